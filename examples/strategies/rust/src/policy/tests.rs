//! The limit against made-up windows, and in a closed loop with a provider that gets slower beyond 8 requests.

use super::*;
use crate::perfhost::strategy::types::{Hardware, Metric, Setting};

fn policy() -> Policy {
    let knob = Knob {
        name: LIMIT.into(),
        scope: String::new(),
        unit: "count".into(),
        bounds: Bounds::IntegerRange((1, 1_000)),
        default: Value::Integer(256),
        reload: false,
    };
    let mut policy = Policy::default();
    policy.configure(&[], &[knob]).unwrap();
    policy
}

/// What the host shows: the limit, and mean values of the last ten seconds.
fn observation(now_ms: u64, limit: i64, means: [(&str, f64); 4]) -> Observation {
    let summary = |mean| Summary { count: 20, mean, min: mean, max: mean, p50: mean, p95: mean, p99: mean };
    let metric = |(name, mean): (&str, f64)| Metric {
        name: name.into(),
        scope: String::new(),
        unit: String::new(),
        window_ms: 10_000,
        summary: summary(mean),
    };
    Observation {
        now_ms,
        seed: 1,
        interval_ms: 5_000,
        metrics: means.map(metric).to_vec(),
        providers: Vec::new(),
        settings: vec![Setting { name: LIMIT.into(), scope: String::new(), value: Value::Integer(limit) }],
        hardware: Hardware {
            physical_cores: 2,
            logical_cores: 2,
            memory_total_bytes: 0,
            memory_free_bytes: 0,
            gpus: Vec::new(),
        },
        extra: Vec::new(),
    }
}

/// `clients` in a closed loop: a provider needs 100 ms to a first token up to 8 requests at once, and in proportion more
/// beyond; what the limit holds back waits as long as those before it take.
fn closed_loop(now_ms: u64, limit: i64, clients: f64) -> Observation {
    let inside = clients.min(limit as f64);
    let start_ms = 100.0 * (inside / 8.0).max(1.0);
    let waiting = clients - inside;
    let wait_ms = waiting / inside * start_ms;
    let means = [
        ("time_to_first_token_ms", start_ms + wait_ms),
        ("queue_wait_ms", wait_ms),
        ("in_flight", inside),
        ("queue_length", waiting),
    ];
    observation(now_ms, limit, means)
}

fn value(proposal: &Proposal) -> i64 {
    match proposal.value {
        Value::Integer(value) => value,
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn a_limit_that_is_too_high_falls_and_one_that_holds_back_for_nothing_grows() {
    let mut policy = policy();
    policy.restore(b"best_ms 100").unwrap();
    let mut limit = 256;
    for look in 1..200 {
        if let Some(change) = policy.propose(&closed_loop(look * 5_000, limit, 64.0)) {
            assert!(value(&change) * 2 >= limit && value(&change) <= limit * 2, "{change:?}");
            limit = value(&change);
        }
    }
    // Twice the best time is tolerated: between 8 requests at once, where it is reached, and 16, where it is passed.
    assert!((8..=24).contains(&limit), "{limit}");
}

#[test]
fn the_wait_for_admission_is_not_held_against_the_providers() {
    let mut policy = policy();
    policy.restore(b"best_ms 100").unwrap();
    let waits =
        [("time_to_first_token_ms", 5_100.0), ("queue_wait_ms", 5_000.0), ("in_flight", 4.0), ("queue_length", 30.0)];
    let change = policy.propose(&observation(100_000, 4, waits)).unwrap();
    assert_eq!(value(&change), 6, "{}", change.reason);
}

#[test]
fn nothing_changes_without_load_or_before_a_change_has_settled() {
    let mut policy = policy();
    assert!(policy.propose(&closed_loop(100_000, 256, 4.0)).is_none());
    assert!(policy.propose(&closed_loop(105_000, 256, 64.0)).is_some());
    assert!(policy.propose(&closed_loop(110_000, 128, 64.0)).is_none());
    let mut without_knob = Policy::default();
    assert!(without_knob.propose(&closed_loop(100_000, 256, 64.0)).is_none());
}

#[test]
fn the_best_time_survives_and_drifts() {
    let (mut first, mut second) = (policy(), policy());
    first.propose(&closed_loop(100_000, 256, 4.0));
    assert_eq!(first.save(), b"best_ms 100.000");
    second.restore(&first.save()).unwrap();
    second.propose(&closed_loop(105_000, 256, 64.0));
    assert_eq!(second.save(), b"best_ms 100.016");
    assert!(second.restore(b"something else").is_err());
}

#[test]
fn parameters_are_checked() {
    let configure = |name: &str, text: &str| Policy::default().configure(&[(name.into(), text.into())], &[]);
    assert!(configure("tolerance", "3").is_ok());
    assert!(configure("tolerance", "0.5").unwrap_err().contains("from 1"));
    assert!(configure("limit", "3").unwrap_err().contains("tolerance, settle_s"));
}
