//! What must hold for any values: nesting, symmetry, units, order, and numbers that stay numbers.

use perfhost_strategy::experiment::statistics::quantile::Test;
use perfhost_strategy::experiment::statistics::{
    AsymptoticContrast, Baseline, BettingContrast, BettingSequence, Histogram, Increment, Level, PairedBlocks,
    QuantileContrast, SampleRatio, Sides,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::random::Random;

fn level(probability: f64) -> Level {
    Level::new(probability).expect("a level")
}

fn betting(values: &[f64], probability: f64) -> BettingSequence {
    let mut sequence = BettingSequence::new(level(probability), Sides::Both, 60);
    values.iter().for_each(|value| sequence.observe(*value).expect("from 0 to 1"));
    sequence
}

fn contrast(seen: &[(bool, f64)]) -> BettingContrast {
    let mut contrast = BettingContrast::new(&[]);
    for (is_challenger, value) in seen {
        contrast.observe(&Increment::new(*is_challenger, 0.5, *value, 0.5).expect("numbers")).expect("from 0 to 1");
    }
    contrast
}

fn asymptotic(seen: &[(bool, f64)], scale: f64) -> AsymptoticContrast {
    let mut contrast = AsymptoticContrast::default();
    for (is_challenger, value) in seen {
        contrast.observe(&Increment::new(*is_challenger, 0.5, scale * value, scale * 0.5).expect("numbers"));
    }
    contrast
}

fn pairs(differences: &[f64], scale: f64) -> PairedBlocks {
    let mut pairs = PairedBlocks::default();
    differences.iter().for_each(|difference| pairs.observe(scale * difference).expect("a number"));
    pairs
}

fn is_near(a: f64, b: f64) -> bool {
    a == b || (a - b).abs() <= 1e-6 * a.abs().max(b.abs()).max(1e-3)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn running_intersections_only_shrink(values in vec(0.0..=1.0f64, 1..80)) {
        let mut sequence = BettingSequence::new(Level::FIVE_PERCENT, Sides::Both, 60);
        let mut before = sequence.running();
        for value in values {
            sequence.observe(value).expect("from 0 to 1");
            let now = sequence.running();
            prop_assert!(now.lower >= before.lower && now.upper <= before.upper);
            prop_assert!(sequence.interval().width() >= now.width());
            before = now;
        }
    }

    #[test]
    fn a_smaller_error_probability_excludes_no_more(seen in vec((any::<bool>(), 0.0..=1.0f64), 100..300)) {
        let contrast = contrast(&seen);
        let (loose, strict) = (contrast.interval(level(0.05)), contrast.interval(level(0.001)));
        prop_assert!(strict.lower <= loose.lower && strict.upper >= loose.upper);
        let values: Vec<f64> = seen.iter().map(|(_, value)| *value).collect();
        let differences = pairs(&values, 1.0);
        let (loose, strict) = (differences.interval(level(0.05)), differences.interval(level(0.001)));
        prop_assert!(strict.lower <= loose.lower && strict.upper >= loose.upper);
    }

    #[test]
    fn exchanging_arms_turns_the_effect_round(seen in vec((any::<bool>(), 0.0..=1.0f64), 100..300)) {
        let exchanged: Vec<_> = seen.iter().map(|(is_challenger, value)| (!is_challenger, *value)).collect();
        let side = level(0.05);
        let (one, other) = (contrast(&seen).interval(side), contrast(&exchanged).interval(side));
        prop_assert_eq!((one.lower, one.upper), (-other.upper, -other.lower));
        let (one, other) = (asymptotic(&seen, 1.0).interval(side), asymptotic(&exchanged, 1.0).interval(side));
        if let (Some(one), Some(other)) = (one, other) {
            prop_assert!(is_near(one.lower, -other.upper) && is_near(one.upper, -other.lower));
        }
    }

    #[test]
    fn mirrored_values_mirror_the_mean(values in vec(0.0..=1.0f64, 1..120)) {
        let mirrored: Vec<f64> = values.iter().map(|value| 1.0 - value).collect();
        let (one, other) = (betting(&values, 0.05).interval(), betting(&mirrored, 0.05).interval());
        prop_assert!(is_near(one.lower, 1.0 - other.upper) && is_near(one.upper, 1.0 - other.lower));
    }

    #[test]
    fn seconds_or_milliseconds_make_no_difference(
        seen in vec((any::<bool>(), 0.0..=1.0f64), 100..200),
        differences in vec(-1.0..=1.0f64, 2..60),
    ) {
        let side = level(0.05);
        if let (Some(one), Some(other)) = (asymptotic(&seen, 1.0).interval(side), asymptotic(&seen, 1e3).interval(side)) {
            prop_assert!(is_near(1e3 * one.lower, other.lower) && is_near(1e3 * one.upper, other.upper));
        }
        let (one, other) = (pairs(&differences, 1.0).interval(side), pairs(&differences, 1e3).interval(side));
        prop_assert!(is_near(1e3 * one.lower, other.lower) && is_near(1e3 * one.upper, other.upper));
    }

    /// Counts know no order; capitals do, since bets follow the past.
    #[test]
    fn order_does_not_matter_where_only_counts_do(values in vec((any::<bool>(), 1.0..1e4f64), 1..200)) {
        let (mut one, mut other) = (QuantileContrast::new(0.95), QuantileContrast::new(0.95));
        let (mut ratio, mut reversed) = (SampleRatio::new(2), SampleRatio::new(2));
        for ((forth, value), (back, last)) in values.iter().zip(values.iter().rev()) {
            one.observe(*forth, *value).expect("a positive number");
            other.observe(*back, *last).expect("a positive number");
            ratio.observe(usize::from(*forth), &[0.5, 0.5]);
            reversed.observe(usize::from(*back), &[0.5, 0.5]);
        }
        prop_assert_eq!(one, other);
        prop_assert!(is_near(ratio.ln_evidence(), reversed.ln_evidence()));
    }

    #[test]
    fn evidence_about_percentiles_turns_round_with_the_arms_and_follows_the_ratio(
        values in vec((any::<bool>(), 1.0..1e4f64), 1..200),
        ratio in 0.2..1.0f64,
    ) {
        let (mut one, mut exchanged) = (QuantileContrast::new(0.95), QuantileContrast::new(0.95));
        for (is_challenger, value) in &values {
            one.observe(*is_challenger, *value).expect("a positive number");
            exchanged.observe(!is_challenger, *value).expect("a positive number");
        }
        prop_assert!(is_near(one.ln_below(1.0), exchanged.ln_above(1.0)));
        prop_assert!(one.ln_below(ratio) <= one.ln_below(1.0) + 1e-9);
        prop_assert!(one.ln_above(ratio) >= one.ln_above(1.0) - 1e-9);
        let (loose, strict) = (one.interval(level(0.05)), one.interval(level(0.001)));
        prop_assert!(strict.lower <= loose.lower && strict.upper >= loose.upper);
        for side in [0.2, 0.025].map(level) {
            prop_assert!(!one.is_below(1.0, side) || one.ln_below(1.0) >= side.threshold());
            prop_assert!(!(one.is_below(1.0, side) && one.is_above(1.0, side)));
        }
    }

    #[test]
    fn no_value_leads_to_a_number_that_is_none(
        values in vec(prop_oneof![Just(0.0), Just(1.0), 0.0..=1.0f64, Just(f64::MIN_POSITIVE)], 1..60),
        wild in vec(prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(-1.0), Just(1e300), 0.0..1e6f64], 1..40),
    ) {
        let mut sequence = betting(&values, 0.05);
        let mut histogram = Histogram::default();
        let mut baseline = Baseline::new(Some(0.0));
        let mut blocks = PairedBlocks::default();
        for value in wild {
            prop_assert_eq!(sequence.observe(value).is_ok(), (0.0..=1.0).contains(&value));
            prop_assert_eq!(histogram.observe(value).is_ok(), value.is_finite() && value >= 0.0);
            prop_assert_eq!(blocks.observe(value).is_ok(), value.is_finite());
            prop_assert!(baseline.predict(&[value; 4]).is_some_and(f64::is_finite));
            baseline.observe(0.5, &[value; 4]);
        }
        let interval = sequence.interval();
        prop_assert!(interval.lower.is_finite() && interval.upper.is_finite());
        prop_assert!(!blocks.interval(level(0.05)).lower.is_nan());
    }
}

/// What makes a capital proof: over all that chance could have drawn, its mean is what it started with, 1.
#[test]
fn capitals_are_one_on_average_over_all_draws() {
    const COUNT: usize = 10;
    let mut random = Random(5);
    let values: Vec<f64> = (0..COUNT).map(|_| random.uniform()).collect();
    let is_drawn = |draw: u32, at: usize| draw >> at & 1 == 1;
    let (mut contrasts, mut blocks, mut shares) = (0.0, 0.0, 0.0);
    for draw in 0..1u32 << COUNT {
        let (mut contrast, mut pairs, mut ratio) =
            (BettingContrast::new(&[0.0]), PairedBlocks::default(), SampleRatio::new(2));
        let mut expected = 0.5;
        for (at, value) in values.iter().enumerate() {
            let is_challenger = is_drawn(draw, at);
            contrast.observe(&Increment::new(is_challenger, 0.5, *value, expected).expect("numbers")).expect("0 to 1");
            expected = 0.5 * (expected + value);
            pairs.observe(if is_challenger { *value } else { -value }).expect("a number");
            ratio.observe(usize::from(is_challenger), &[0.5, 0.5]);
        }
        contrasts += contrast.ln_capital_above(0.0).expect("an effect that was named").exp();
        blocks += pairs.ln_above(0.0).exp();
        shares += ratio.ln_evidence().exp();
    }
    for (sum, name) in [(contrasts, "contrast"), (blocks, "blocks"), (shares, "shares")] {
        let mean = sum / f64::from(1u32 << COUNT);
        assert!((mean - 1.0).abs() < 1e-9, "{name}: {mean}");
    }
}

/// The same for the count of values below a quantile: binomial, whatever the distribution.
#[test]
fn evidence_about_a_quantile_is_one_on_average_over_all_counts() {
    for (p, count) in [(0.5, 30u64), (0.95, 60)] {
        let test = Test::new(p);
        let (mut mean, mut probability) = (0.0, (1.0 - p).powi(count as i32));
        for hits in 0..=count {
            mean += probability * test.ln_evidence(hits, count).exp();
            probability *= (count - hits) as f64 / (hits + 1) as f64 * p / (1.0 - p);
        }
        assert!((mean - 1.0).abs() < 1e-9, "{p}: {mean}");
    }
}

/// Twenty thousand values that all say the same push capitals far beyond what a double holds.
#[test]
fn capitals_do_not_overflow() {
    let mut sequence = BettingSequence::new(level(1e-6), Sides::Both, 4);
    let mut contrast = BettingContrast::new(&[0.0]);
    let mut random = Random(7);
    for _ in 0..20_000 {
        sequence.observe(1.0).expect("from 0 to 1");
        let is_challenger = random.is(0.5);
        let seen = Increment::new(is_challenger, 0.5, f64::from(is_challenger), 0.5).expect("numbers");
        contrast.observe(&seen).expect("from 0 to 1");
    }
    assert!(sequence.ln_capital(0.25) > 1e3 && sequence.ln_capital(0.25).is_finite());
    let interval = contrast.interval(level(0.01));
    assert!(interval.lower > 0.8 && interval.upper == 1.0, "{interval:?}");
    assert_eq!(
        serde_json::from_str::<BettingContrast>(&serde_json::to_string(&contrast).expect("JSON")).ok(),
        Some(contrast)
    );
}

/// An effect of five points in 4,000 requests is found, none is not, and a baseline that knows the load helps.
#[test]
fn effects_are_found_and_adjustment_narrows_their_intervals() {
    let run = |effect: f64, knows_load: bool| {
        let (mut random, mut baseline) = (Random(11), Baseline::new(Some(0.0)));
        let mut contrast = AsymptoticContrast::default();
        for _ in 0..4_000 {
            let (load, is_challenger) = (random.normal(), random.is(0.5));
            let value = 3.0 * load + random.normal() + if is_challenger { effect } else { 0.0 };
            let covariates = [if knows_load { load } else { 0.0 }, 0.0, 0.0, 0.0];
            let expected = baseline.predict(&covariates).expect("a start");
            contrast.observe(&Increment::new(is_challenger, 0.5, value, expected).expect("numbers"));
            baseline.observe(value, &covariates);
        }
        contrast.interval(level(0.025)).expect("enough values")
    };
    let (plain, adjusted, none) = (run(0.5, false), run(0.5, true), run(0.0, true));
    assert!(plain.contains(0.5) && adjusted.contains(0.5) && none.contains(0.0));
    assert!(adjusted.lower > 0.0 && adjusted.width() < plain.width() / 2.5, "{adjusted:?} {plain:?}");
}
