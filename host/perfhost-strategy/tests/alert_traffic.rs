//! The default alerts over seeded simulated traffic: a sustained fault is found at the rates of language models, and traffic
//! without one keeps quiet. Looks are five seconds apart, as on a host; windows are those that a host reads.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use perfhost_strategy::alert::{AlertEngine, WINDOWS, default_rules};
use perfhost_strategy::observation::{Metric, Summary, metric};
use perfhost_strategy::{Observation, Scope};

const LOOK_MS: u64 = 5_000;
const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// Requests that come without memory of one another (Poisson), each failing by chance.
#[derive(Clone, Copy)]
struct Traffic {
    per_second: f64,
    failing: f64,
    /// Median of response times, which are lognormal with a 95th percentile of 2.7 times that.
    median_ms: f64,
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    /// Above 0, at most 1.
    fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64 + f64::EPSILON
    }

    /// Box and Muller's.
    fn normal(&mut self) -> f64 {
        (-2.0 * self.share().ln()).sqrt() * (std::f64::consts::TAU * self.share()).cos()
    }
}

struct Request {
    at_ms: f64,
    has_failed: bool,
    took_ms: f64,
}

/// The alerts that fire in `length_ms`, each with the time until it does.
fn fired(traffic: Traffic, length_ms: u64, seed: u64) -> Vec<(String, u64)> {
    let mut random = Random(seed);
    let mut requests: Vec<Request> = Vec::new();
    let mut at_ms = 0.0;
    let mut engine = AlertEngine::new(default_rules(), Vec::new(), Vec::new(), 1);
    let mut list = Vec::new();
    for now_ms in (LOOK_MS..=length_ms).step_by(LOOK_MS as usize) {
        while at_ms <= now_ms as f64 {
            if at_ms > 0.0 {
                let took_ms = traffic.median_ms * (0.6 * random.normal()).exp();
                requests.push(Request { at_ms, has_failed: random.share() < traffic.failing, took_ms });
            }
            at_ms += -random.share().ln() / traffic.per_second * 1_000.0;
        }
        let oldest = requests.partition_point(|one| one.at_ms <= now_ms as f64 - 120_000.0);
        requests.drain(..oldest);
        let metrics =
            WINDOWS.iter().flat_map(|window| measured(&requests, now_ms, window.as_millis() as u32)).collect();
        let step = engine.step(now_ms, &Observation { metrics, ..Observation::default() }, &[]);
        list.extend(step.changed.into_iter().filter(|alert| alert.is_firing()).map(|alert| (alert.rule, now_ms)));
    }
    list.dedup_by(|one, other| one.0 == other.0);
    list
}

fn measured(requests: &[Request], now_ms: u64, window_ms: u32) -> Vec<Metric> {
    let first = requests.partition_point(|one| one.at_ms <= now_ms as f64 - f64::from(window_ms));
    let within = &requests[first..];
    if within.is_empty() {
        return Vec::new();
    }
    let failed = within.iter().filter(|one| one.has_failed).count();
    let mut times: Vec<f64> = within.iter().map(|one| one.took_ms).collect();
    times.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| times[((share * times.len() as f64).ceil() as usize).clamp(1, times.len()) - 1];
    let count = within.len() as u64;
    let errors = Summary { count, mean: failed as f64 / count as f64, ..Summary::default() };
    let response = Summary { count, p50: at(0.5), p95: at(0.95), max: at(1.0), ..Summary::default() };
    let metric = |name: &str, summary| Metric {
        name: name.to_owned(),
        scope: Scope::global(),
        unit: String::new(),
        window_ms,
        summary,
    };
    vec![metric(metric::ERROR_RATE, errors), metric(metric::RESPONSE_TIME, response)]
}

#[test]
fn a_request_in_ten_that_fails_is_told_within_ten_minutes_at_one_a_second() {
    let failing = Traffic { per_second: 1.0, failing: 0.1, median_ms: 800.0 };
    for seed in 0..20 {
        let fired = fired(failing, 10 * MINUTE_MS, seed);
        assert!(fired.iter().any(|(rule, _)| rule == "high-error-rate"), "seed {seed}: {fired:?}");
    }
}

#[test]
fn slow_and_failing_answers_are_told_where_a_request_comes_every_ten_seconds() {
    let down = Traffic { per_second: 0.1, failing: 1.0, median_ms: 9_000.0 };
    for seed in 0..20 {
        let mut rules: Vec<String> = fired(down, 15 * MINUTE_MS, seed).into_iter().map(|(rule, _)| rule).collect();
        rules.sort();
        rules.dedup();
        assert_eq!(rules, ["high-error-rate", "slow-responses"], "seed {seed}");
    }
}

#[test]
fn a_quiet_week_without_a_fault_fires_nothing() {
    for (per_second, hours) in [(0.1, 7 * 24), (1.0, 4)] {
        let quiet = Traffic { per_second, failing: 0.01, median_ms: 800.0 };
        assert_eq!(fired(quiet, hours * HOUR_MS, 7), [], "{per_second} requests a second");
    }
}
