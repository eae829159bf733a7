//! Simulated coverage: how often a bound is ever wrong, over all looks, must not exceed its level.
//!
//! Each test draws a few hundred sequences from a fixed seed. A true error rate of 5 % passes a bound of 8 % in 300
//! draws with probability 0.98, and a broken statistic (a z-test watched like this errs in over 30 %) fails surely.

use perfhost_strategy::experiment::statistics::{
    AsymptoticContrast, AsymptoticMean, Baseline, BettingContrast, BettingSequence, DifferenceByArm, Histogram,
    Increment, Level, PairedBlocks, QuantileContrast, SampleRatio, Sides,
};

use crate::random::Random;

const RUNS: u64 = 300;
const MOST_ERRORS: u64 = 24;

/// Counts the runs in which `errs` says that a bound was wrong at some time.
fn errors(mut errs: impl FnMut(&mut Random) -> bool) -> u64 {
    (0..RUNS).filter(|run| errs(&mut Random(1_000 + run))).count() as u64
}

fn level(probability: f64) -> Level {
    Level::new(probability).expect("a level")
}

#[test]
fn bounded_means_are_covered_at_all_times() {
    let wrong = errors(|random| {
        let mut sequence = BettingSequence::new(Level::FIVE_PERCENT, Sides::Both, 50);
        (0..200).any(|_| {
            sequence.observe(f64::from(random.is(0.3))).expect("from 0 to 1");
            !sequence.interval().contains(0.3)
        })
    });
    assert!(wrong <= MOST_ERRORS, "{wrong} of {RUNS}");
}

#[test]
fn differences_by_arm_are_covered() {
    let wrong = errors(|random| {
        let mut difference = DifferenceByArm::new(Level::FIVE_PERCENT, 50);
        (0..300).any(|_| {
            let is_challenger = random.is(0.5);
            difference.observe(is_challenger, f64::from(random.is(0.6))).expect("from 0 to 1");
            !difference.interval().contains(0.0)
        })
    });
    assert!(wrong <= MOST_ERRORS, "{wrong} of {RUNS}");
}

/// Level of the value swings between ½ and 1 with a slow random walk; shares of traffic change on the way.
fn contrast_error(random: &mut Random, effect: f64, is_asymptotic: bool) -> bool {
    let (mut betting, mut asymptotic) = (BettingContrast::new(&[effect]), AsymptoticContrast::default());
    let mut baseline = Baseline::new(Some(0.5));
    let (mut load, side) = (0.0f64, level(0.025));
    (0..1_000).any(|request| {
        load = 0.999 * load + 0.045 * random.normal();
        let propensity = if request < 300 { 0.1 } else { 0.5 };
        let is_challenger = random.is(propensity);
        let good = 0.5 + 0.3 / (1.0 + load.exp()) + if is_challenger { effect } else { 0.0 };
        let value = f64::from(random.is(good));
        let covariates = [request as f64 / 1_000.0, 0.0, 0.0, 0.0];
        let expected = baseline.predict(&covariates).expect("a start").clamp(0.0, 1.0);
        let seen = Increment::new(is_challenger, propensity, value, expected).expect("numbers");
        baseline.observe(value, &covariates);
        if is_asymptotic {
            asymptotic.observe(&seen);
            request % 50 == 0 && asymptotic.interval(side).is_some_and(|interval| !interval.contains(effect))
        } else {
            betting.observe(&seen).expect("from 0 to 1");
            request % 25 == 0 && (betting.is_above(effect, side) || betting.is_below(effect, side))
        }
    })
}

#[test]
fn effects_on_bounded_values_are_covered_under_drift_and_changing_shares() {
    for effect in [0.0, 0.05] {
        let wrong = errors(|random| contrast_error(random, effect, false));
        assert!(wrong <= MOST_ERRORS, "{wrong} of {RUNS} with effect {effect}");
    }
}

#[test]
fn asymptotic_effects_are_covered_under_drift_and_changing_shares() {
    let wrong = errors(|random| contrast_error(random, 0.0, true));
    assert!(wrong <= MOST_ERRORS, "{wrong} of {RUNS}");
}

#[test]
fn asymptotic_means_are_covered() {
    let wrong = errors(|random| {
        let mut mean = AsymptoticMean::default();
        (0..2_000).any(|at| {
            mean.observe((0.5 * random.normal()).exp()).expect("a number");
            at % 50 == 0 && mean.interval(level(0.025)).is_some_and(|interval| !interval.contains(0.125f64.exp()))
        })
    });
    assert!(wrong <= MOST_ERRORS, "{wrong} of {RUNS}");
}

#[test]
fn percentiles_are_covered() {
    let truth = (6.0 + 0.8 * 1.644_853_627f64).exp();
    let wrong = errors(|random| {
        let mut histogram = Histogram::default();
        (0..1_500).any(|at| {
            histogram.observe((6.0 + 0.8 * random.normal()).exp()).expect("a positive number");
            at % 100 == 99 && {
                let interval = histogram.interval(0.95, Level::FIVE_PERCENT);
                interval.lower > truth * 1.01 || interval.upper < truth * 0.99
            }
        })
    });
    assert!(wrong <= MOST_ERRORS, "{wrong} of {RUNS}");
}

#[test]
fn equal_percentiles_under_one_drifting_load_are_not_told_apart() {
    let wrong = errors(|random| {
        let mut contrast = QuantileContrast::new(0.95);
        let mut load = 0.0;
        (0..1_500).any(|at| {
            load = 0.999 * load + 0.045 * random.normal();
            let value = (6.0 + 0.3 * load + 0.8 * random.normal()).exp();
            contrast.observe(random.is(0.5), value).expect("a positive number");
            at % 250 == 249 && (contrast.is_below(1.0, level(0.025)) || contrast.is_above(1.0, level(0.025)))
        })
    });
    assert!(wrong <= MOST_ERRORS, "{wrong} of {RUNS}");
}

/// Loads that wander as a random walk: blocks close in time are alike, and the difference of two far ones is anything.
#[test]
fn block_effects_are_covered_whatever_load_does() {
    let wrong = errors(|random| {
        let (mut pairs, mut load, effect) = (PairedBlocks::default(), 0.0, 0.7);
        (0..60).any(|_| {
            let mut block = || {
                load += random.normal().powi(3);
                load
            };
            let (first, second) = (block(), block());
            let sign = if random.is(0.5) { 1.0 } else { -1.0 };
            pairs.observe(effect + sign * (first - second)).expect("a number");
            pairs.ln_above(effect).max(pairs.ln_below(effect)) >= level(0.025).threshold()
        })
    });
    assert!(wrong <= MOST_ERRORS, "{wrong} of {RUNS}");
}

#[test]
fn right_sample_ratios_pass_and_wrong_ones_are_found() {
    let alarms = |challenger: f64| {
        errors(|random| {
            let mut ratio = SampleRatio::new(2);
            (0..2_000).any(|_| {
                ratio.observe(usize::from(random.is(challenger)), &[0.5, 0.5]);
                ratio.is_mismatch(Level::FIVE_PERCENT)
            })
        })
    };
    let (right, wrong) = (alarms(0.5), alarms(0.58));
    assert!(right <= MOST_ERRORS, "{right} of {RUNS}");
    assert!(wrong > RUNS * 9 / 10, "{wrong} of {RUNS}");
}
