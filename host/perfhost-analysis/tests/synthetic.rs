//! Findings on made-up series whose answers are known, and how often something is found where nothing is.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "the whole file is tests")]

use fastrand::Rng;
use perfhost_analysis::anomaly::{SpikeRule, spikes};
use perfhost_analysis::baseline::{Restlessness, baseline};
use perfhost_analysis::drift::{DriftRule, drift};
use perfhost_analysis::forecast::{forecast, projected};
use perfhost_analysis::growth::growth;
use perfhost_analysis::trend::{Direction, trend};
use perfhost_analysis::{Point, Series};
use proptest::prelude::*;

const MINUTE_MS: u64 = 60_000;
const FIVE_MINUTES_MS: u64 = 5 * MINUTE_MS;
const WEEK_POINTS: usize = 7 * 24 * 60;

/// A point each `step_ms`.
fn series(step_ms: u64, values: impl IntoIterator<Item = f64>) -> Series {
    let points =
        values.into_iter().enumerate().map(|(at, value)| Point { at_ms: at as u64 * step_ms, value, count: 50 });
    Series::new(points, 1)
}

/// Standard normal, by Box and Muller.
fn normal(random: &mut Rng) -> f64 {
    (-2.0 * (1.0 - random.f64()).ln()).sqrt() * (std::f64::consts::TAU * random.f64()).cos()
}

/// Response times of a quiet host: around 800 ms, log-normal, neighbours correlated by 0.6, 12 % wide.
fn quiet(random: &mut Rng, points: usize) -> Vec<f64> {
    let mut state = normal(random);
    (0..points)
        .map(|_| {
            state = 0.6 * state + 0.8 * normal(random);
            800.0 * (0.12 * state).exp()
        })
        .collect()
}

#[test]
fn a_baseline_is_not_moved_by_outliers_and_needs_points() {
    let mut values = quiet(&mut Rng::with_seed(1), 500);
    (0..20).for_each(|at| values[at * 25] = 60_000.0);
    let found = baseline(&series(MINUTE_MS, values)).unwrap();
    assert!((750.0..850.0).contains(&found.median), "{found:?}");
    assert!((60.0..140.0).contains(&found.deviation), "{found:?}");
    assert_eq!(found.restlessness, Restlessness::Calm);
    assert_eq!(baseline(&series(MINUTE_MS, vec![1.0; 29])), None);
    let wild = (0..100).map(|at| if at % 2 == 0 { 100.0 } else { 900.0 });
    assert_eq!(baseline(&series(MINUTE_MS, wild)).unwrap().restlessness, Restlessness::Volatile);
}

#[test]
fn a_trend_has_the_slope_that_was_put_in() {
    let mut random = Rng::with_seed(2);
    let rising = (0..288).map(|at| 1_000.0 + 12.0 * at as f64 + 200.0 * normal(&mut random));
    let found = trend(&series(FIVE_MINUTES_MS, rising)).unwrap();
    assert_eq!(found.direction, Direction::Rising);
    // Twelve more every five minutes.
    assert!((found.slope_per_hour - 144.0).abs() < 15.0, "{found:?}");
    let flat = trend(&series(FIVE_MINUTES_MS, quiet(&mut random, 288))).unwrap();
    assert_eq!(flat.direction, Direction::Steady);
    assert_eq!(trend(&series(MINUTE_MS, vec![1.0; 19])), None);
    assert_eq!(trend(&series(MINUTE_MS, vec![5.0; 100])).unwrap().direction, Direction::Steady);
}

#[test]
fn a_spike_is_found_where_it_is_and_one_odd_point_is_none() {
    let mut values = quiet(&mut Rng::with_seed(3), 300);
    values[150] = 9_000.0;
    (200..204).for_each(|at| values[at] = 5_000.0);
    let found = spikes(&series(MINUTE_MS, values), &SpikeRule::default());
    assert_eq!(found.len(), 1, "{found:?}");
    let spike = found[0];
    assert_eq!((spike.from_ms, spike.to_ms, spike.points), (200 * MINUTE_MS, 203 * MINUTE_MS, 4));
    assert!(spike.value == 5_000.0 && spike.z > 6.0 && (600.0..1_000.0).contains(&spike.usual), "{spike:?}");
    let mut early = vec![800.0; 20];
    early.extend([9_000.0; 5]);
    assert!(spikes(&series(MINUTE_MS, early), &SpikeRule::default()).is_empty(), "too little is known before");
}

#[test]
fn a_drift_is_found_with_its_beginning_and_a_spike_is_none() {
    let mut values = quiet(&mut Rng::with_seed(4), 288);
    let spiky: Vec<f64> = values
        .iter()
        .enumerate()
        .map(|(at, value)| if (200..206).contains(&at) { value * 6.0 } else { *value })
        .collect();
    assert_eq!(drift(&series(FIVE_MINUTES_MS, spiky), &DriftRule::default()), None);
    values[220..].iter_mut().for_each(|value| *value *= 1.8);
    let found = drift(&series(FIVE_MINUTES_MS, values.clone()), &DriftRule::default()).unwrap();
    assert!(found.from_ms.abs_diff(220 * FIVE_MINUTES_MS) <= 6 * FIVE_MINUTES_MS, "{found:?}");
    assert!((0.6..1.1).contains(&found.relative_change.unwrap()), "{found:?}");
    let fewer = values.into_iter().skip(240);
    assert_eq!(drift(&series(FIVE_MINUTES_MS, fewer), &DriftRule::default()), None, "48 points are too few");
}

#[test]
fn a_leak_is_told_from_a_cache_that_fills() {
    let mut random = Rng::with_seed(5);
    let mut noisy = |bytes: f64| bytes + 2e5 * normal(&mut random);
    let leak: Vec<f64> = (0..240).map(|minute| noisy(300e6 + minute as f64 / 60.0 * 18e6)).collect();
    let found = growth(&series(MINUTE_MS, leak)).unwrap();
    assert!(found.is_leak && (found.mb_per_hour - 18.0).abs() < 0.5, "{found:?}");
    let filling: Vec<f64> =
        (0..240).map(|minute| noisy(300e6 + 60e6 * (1.0 - (-f64::from(minute) / 30.0).exp()))).collect();
    assert!(!growth(&series(MINUTE_MS, filling)).unwrap().is_leak);
    let steady: Vec<f64> = (0..240).map(|_| noisy(300e6)).collect();
    let found = growth(&series(MINUTE_MS, steady)).unwrap();
    assert!(!found.is_leak && found.mb_per_hour.abs() < 0.5, "{found:?}");
    assert_eq!(growth(&series(MINUTE_MS, vec![1.0; 30])), None, "29 minutes are too short");
}

#[test]
fn a_forecast_reaches_the_limit_where_the_line_does() {
    let mut random = Rng::with_seed(6);
    let memory: Vec<f64> = (0..288).map(|at| 0.40 + 0.0005 * at as f64 + 0.003 * normal(&mut random)).collect();
    let seen = series(FIVE_MINUTES_MS, memory);
    let found = forecast(&seen, 0.9).unwrap();
    // 0.544 at the end, 0.006 an hour: 59 hours are left.
    assert!((found.hours_left - 59.3).abs() < 4.0, "{found:?}");
    assert_eq!(found.reached_at_ms, seen.points()[287].at_ms + (found.hours_left * 3_600_000.0) as u64);
    assert!(forecast(&seen, 0.2).is_none(), "it moves away from it");
    assert!(forecast(&seen, 5.0).is_none(), "more than ten times as far as was seen");
    assert!((projected(&found.trend, 10.0) - found.trend.level - 0.06).abs() < 0.01);
}

/// The rates that docs/monitoring.md states come from here.
#[test]
fn false_alarms_in_quiet_weeks_are_rare() {
    let mut random = Rng::with_seed(7);
    let (weeks, mut false_spikes, mut false_drifts, mut looks, mut false_trends) = (20, 0, 0, 0, 0);
    for _ in 0..weeks {
        let week = quiet(&mut random, WEEK_POINTS);
        false_spikes += spikes(&series(MINUTE_MS, week.iter().copied()), &SpikeRule::default()).len();
        // As the host looks: every hour at the last day in steps of five minutes.
        let fives: Vec<f64> = week.chunks(5).map(|five| five.iter().sum::<f64>() / five.len() as f64).collect();
        for end in (288..=fives.len()).step_by(12) {
            let day = series(FIVE_MINUTES_MS, fives[end - 288..end].iter().copied());
            looks += 1;
            false_drifts += usize::from(drift(&day, &DriftRule::default()).is_some());
            false_trends += usize::from(trend(&day).unwrap().direction != Direction::Steady);
        }
    }
    let of_looks = |found: usize| found as f64 / f64::from(looks);
    let told = format!(
        "{false_spikes} spikes in {weeks} weeks; of {looks} looks {false_drifts} drifts, {false_trends} trends"
    );
    assert!(false_spikes * 5 <= weeks, "more than one in five weeks: {told}");
    assert!(of_looks(false_drifts) <= 0.002, "{told}");
    assert!(of_looks(false_trends) <= 0.005, "{told}");
    eprintln!("{told}");
}

fn any_series() -> impl Strategy<Value = Series> {
    prop::collection::vec(prop_oneof![8 => 0.0..1e6, 1 => Just(0.0), 1 => 0.0..1e-9], 0..150)
        .prop_map(|values| series(MINUTE_MS, values))
}

#[test]
fn what_comes_after_nothing_is_measured_in_the_unit_and_has_no_share() {
    let begins_to_fail = |rate: f64| series(FIVE_MINUTES_MS, (0..100).map(move |at| if at < 80 { 0.0 } else { rate }));
    let spike = spikes(&begins_to_fail(0.2), &SpikeRule::for_unit("ratio"))[0];
    assert_eq!((spike.usual, spike.value, spike.z), (0.0, 0.2, 40.0));
    let found = drift(&begins_to_fail(0.2), &DriftRule::for_unit("ratio")).unwrap();
    assert_eq!((found.before, found.after, found.relative_change), (0.0, 0.2, None));
    // One failure in a thousand is neither, and of an unknown unit nothing can be said.
    assert!(spikes(&begins_to_fail(0.001), &SpikeRule::for_unit("ratio")).is_empty());
    assert_eq!(drift(&begins_to_fail(0.001), &DriftRule::for_unit("ratio")), None);
    assert!(spikes(&begins_to_fail(0.2), &SpikeRule::default()).is_empty());
    assert_eq!(drift(&begins_to_fail(0.2), &DriftRule::default()), None);
}

proptest! {
    #[test]
    fn nothing_breaks_and_all_numbers_are_finite(seen in any_series(), limit in 0.0..1e7) {
        if let Some(found) = baseline(&seen) {
            prop_assert!(found.median.is_finite() && found.volatility.is_finite() && found.usual_low <= found.usual_high);
        }
        if let Some(found) = trend(&seen) {
            prop_assert!(found.slope_per_hour.is_finite() && found.relative_change.is_finite() && found.z.is_finite());
        }
        for spike in spikes(&seen, &SpikeRule::for_unit("ms")) {
            prop_assert!(spike.z.abs() <= 1e6 && spike.from_ms <= spike.to_ms && spike.points >= 2);
        }
        if let Some(found) = drift(&seen, &DriftRule::for_unit("ms")) {
            prop_assert!(found.points_after >= DriftRule::default().least_after);
            prop_assert!(found.relative_change.is_none_or(|share| share.abs() <= 1e6));
        }
        if let Some(found) = forecast(&seen, limit) {
            prop_assert!(found.hours_left >= 0.0 && found.hours_left.is_finite());
        }
        if let Some(found) = growth(&seen) {
            prop_assert!(found.mb_per_hour.is_finite());
        }
    }

    #[test]
    fn what_is_found_does_not_depend_on_the_unit(seed in 0_u64..200, factor in 0.001..1000.0_f64) {
        let values = quiet(&mut Rng::with_seed(seed), 200);
        let scaled = values.iter().map(|value| value * factor);
        let (one, other) = (series(MINUTE_MS, values.iter().copied()), series(MINUTE_MS, scaled));
        prop_assert_eq!(trend(&one).unwrap().direction, trend(&other).unwrap().direction);
        prop_assert_eq!(spikes(&one, &SpikeRule::default()).len(), spikes(&other, &SpikeRule::default()).len());
        prop_assert_eq!(
            drift(&one, &DriftRule::default()).map(|found| found.from_ms),
            drift(&other, &DriftRule::default()).map(|found| found.from_ms)
        );
    }

    #[test]
    fn a_level_that_jumps_far_enough_is_always_found(seed in 0_u64..200, factor in 2.0..5.0_f64) {
        let mut values = quiet(&mut Rng::with_seed(seed), 288);
        values[200..].iter_mut().for_each(|value| *value *= factor);
        prop_assert!(drift(&series(FIVE_MINUTES_MS, values), &DriftRule::default()).is_some());
    }
}
