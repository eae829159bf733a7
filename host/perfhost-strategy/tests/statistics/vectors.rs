//! Numbers that published implementations give; `tests/vectors/make_vectors.py` says which and how.

use perfhost_strategy::experiment::statistics::mixture;
use perfhost_strategy::experiment::statistics::quantile::Test;
use perfhost_strategy::experiment::statistics::{
    BettingSequence, Histogram, Level, QuantileContrast, SampleRatio, Sides,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

#[derive(Deserialize)]
struct Vectors<Case> {
    cases: Vec<Case>,
}

fn cases<Case: DeserializeOwned>(text: &str) -> Vec<Case> {
    serde_json::from_str::<Vectors<Case>>(text).expect("vectors are JSON").cases
}

fn assert_near(found: f64, expected: f64, tolerance: f64, what: &str) {
    assert!((found - expected).abs() <= tolerance * expected.abs().max(1.0), "{what}: {found}, expected {expected}");
}

#[derive(Deserialize)]
struct Betting {
    name: String,
    alpha: f64,
    breaks: usize,
    values: Vec<f64>,
    looks: Vec<u64>,
    means: Vec<f64>,
    ln_capital: Vec<Vec<f64>>,
    lower: Vec<f64>,
    upper: Vec<f64>,
    running_lower: Vec<f64>,
    running_upper: Vec<f64>,
    one_sided_lower: Vec<f64>,
}

#[test]
fn betting_agrees_with_confseq() {
    for case in cases::<Betting>(include_str!("../vectors/betting.json")) {
        let level = Level::new(case.alpha).expect("a level");
        let mut both = BettingSequence::new(level, Sides::Both, case.breaks);
        let mut one = BettingSequence::new(level, Sides::Lower, case.breaks);
        for value in &case.values {
            both.observe(*value).expect("from 0 to 1");
            one.observe(*value).expect("from 0 to 1");
            let Some(at) = case.looks.iter().position(|look| *look == both.count()) else { continue };
            let name = format!("{} after {}", case.name, both.count());
            for (mean, expected) in case.means.iter().zip(&case.ln_capital) {
                assert_near(both.ln_capital(*mean), expected[at], 1e-9, &name);
            }
            assert_near(both.interval().lower, case.lower[at], 1e-9, &name);
            assert_near(both.interval().upper, case.upper[at], 1e-9, &name);
            assert_near(both.running().lower, case.running_lower[at], 1e-9, &name);
            assert_near(both.running().upper, case.running_upper[at], 1e-9, &name);
            assert_near(one.interval().lower, case.one_sided_lower[at], 1e-9, &name);
            assert_eq!(one.interval().upper, 1.0);
        }
    }
}

#[derive(Deserialize)]
struct Mixture {
    best_at: f64,
    alpha: f64,
    variance: f64,
    sums: Vec<f64>,
    one_sided_rho: f64,
    two_sided_rho: f64,
    one_sided_ln: Vec<f64>,
    two_sided_ln: Vec<f64>,
    one_sided_bound: f64,
    two_sided_bound: f64,
}

#[test]
fn normal_mixtures_agree_with_expectation() {
    for case in cases::<Mixture>(include_str!("../vectors/mixtures.json")) {
        let level = Level::new(case.alpha).expect("a level");
        let (one, two) = (mixture::one_sided_rho(case.best_at, level), mixture::two_sided_rho(case.best_at, level));
        assert_near(one, case.one_sided_rho, 1e-12, "one-sided rho");
        assert_near(two, case.two_sided_rho, 1e-12, "two-sided rho");
        for (at, sum) in case.sums.iter().enumerate() {
            assert_near(mixture::one_sided_ln(*sum, case.variance, one), case.one_sided_ln[at], 1e-9, "one-sided");
            assert_near(mixture::two_sided_ln(*sum, case.variance, two), case.two_sided_ln[at], 1e-9, "two-sided");
        }
        let one = mixture::one_sided_bound(case.variance, level, one);
        let two = mixture::two_sided_bound(case.variance, level, two);
        assert_near(one, case.one_sided_bound, 1e-6, "one-sided bound");
        assert_near(two, case.two_sided_bound, 1e-9, "two-sided bound");
    }
}

#[derive(Deserialize)]
struct Radius {
    g: f64,
    n: f64,
    alpha: f64,
    radius: f64,
}

/// The asymptotic sequence with variance 1 is the normal mixture with V = n and ρ = g.
#[test]
fn the_asymptotic_radius_agrees_with_avinf() {
    for case in cases::<Radius>(include_str!("../vectors/radii.json")) {
        let level = Level::new(case.alpha).expect("a level");
        let found = mixture::two_sided_bound(case.n, level, case.g) / case.n;
        assert!((found / case.radius - 1.0).abs() < 1e-9, "{found}, expected {}", case.radius);
    }
}

#[derive(Deserialize)]
struct Evidence {
    p: f64,
    best_at: f64,
    hits: u64,
    count: u64,
    ln_evidence: f64,
}

#[derive(Deserialize)]
struct QuantileInterval {
    p: f64,
    alpha: f64,
    values: Vec<f64>,
    lower: f64,
    upper: f64,
}

#[derive(Deserialize)]
struct Contrast {
    p: f64,
    /// Values as powers of 1.01, so that buckets 1 % wide lose nothing.
    control: Vec<f64>,
    challenger: Vec<f64>,
    ln_below: f64,
    ln_above: f64,
}

#[test]
fn evidence_about_a_quantile_agrees_with_expectation() {
    for case in cases::<Evidence>(include_str!("../vectors/quantile_evidence.json")) {
        let found = Test::tightest_at(case.p, case.best_at).ln_evidence(case.hits, case.count);
        // Ten million values: ln Γ is near 10⁸ there, and the last digits of a double are in the eighth decimal.
        assert_near(found, case.ln_evidence, 1e-6, &format!("{} of {}", case.hits, case.count));
    }
}

#[test]
fn quantile_intervals_agree_with_confseq_to_a_bucket() {
    for case in cases::<QuantileInterval>(include_str!("../vectors/quantile_intervals.json")) {
        let mut histogram = Histogram::default();
        case.values.iter().for_each(|value| histogram.observe(*value).expect("a positive number"));
        let found = histogram.interval(case.p, Level::new(case.alpha).expect("a level"));
        assert_near(found.lower, case.lower, 0.0051, "lower");
        assert_near(found.upper, case.upper, 0.0051, "upper");
    }
}

#[test]
fn evidence_that_quantiles_differ_agrees_with_scipy() {
    for case in cases::<Contrast>(include_str!("../vectors/quantile_contrasts.json")) {
        let mut contrast = QuantileContrast::new(case.p);
        for (is_challenger, values) in [(false, &case.control), (true, &case.challenger)] {
            for steps in values {
                contrast.observe(is_challenger, 1.01f64.powf(steps + 0.5)).expect("a positive number");
            }
        }
        let name = format!("{} of {}", case.p, contrast.count());
        assert_near(contrast.ln_below(1.0), case.ln_below, 1e-9, &name);
        assert_near(contrast.ln_above(1.0), case.ln_above, 1e-9, &name);
    }
}

#[derive(Deserialize)]
struct Ratio {
    shares: Vec<f64>,
    counts: Vec<u64>,
    ln_evidence: f64,
}

#[test]
fn sample_ratios_agree_with_scipy() {
    for case in cases::<Ratio>(include_str!("../vectors/sample_ratios.json")) {
        let mut ratio = SampleRatio::new(case.shares.len());
        for (arm, count) in case.counts.iter().enumerate() {
            (0..*count).for_each(|_| ratio.observe(arm, &case.shares));
        }
        assert_near(ratio.ln_evidence(), case.ln_evidence, 1e-7, &format!("{:?}", case.counts));
    }
}
