//! Tests of the policy, on this machine: `cargo test`.

use super::*;
use crate::perfhost::strategy::types::{Hardware, Metric, Setting, Summary};

/// A policy that may give one engine 8 slots at most.
fn policy(parameters: &[(&str, &str)]) -> Result<Policy, String> {
    let knob = Knob {
        name: "engine_slots".into(),
        scope: "local".into(),
        unit: "count".into(),
        bounds: Bounds::IntegerRange((1, 8)),
        default: Value::Integer(1),
        reload: true,
    };
    let given: Vec<_> =
        parameters.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let mut policy = Policy::default();
    policy.configure(&given, vec![knob]).map(|()| policy)
}

/// What the host shows of one engine with 4 slots in which so many requests wait.
fn observation(now_ms: u64, waiting: f64) -> Observation {
    let metric = |window_ms, mean| Metric {
        name: "engine_requests_deferred".into(),
        scope: "local".into(),
        unit: "count".into(),
        window_ms,
        summary: Summary { count: 10, mean, min: 0.0, max: mean, p50: mean, p95: mean, p99: mean },
    };
    Observation {
        now_ms,
        seed: 1,
        interval_ms: 5_000,
        metrics: vec![metric(60_000, 0.0), metric(10_000, waiting)],
        providers: Vec::new(),
        settings: vec![Setting {
            name: "engine_slots".into(),
            scope: "local".into(),
            value: Value::Integer(4),
        }],
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

fn candidate(in_flight: u32, weight: f32) -> Candidate {
    Candidate {
        target: 0,
        in_flight,
        queued: 0,
        resident: true,
        latency_p50_ms: 0.0,
        ttft_p50_ms: 0.0,
        error_rate: 0.0,
        cost: 0.0,
        prefix_match: 0.0,
        weight,
        extra: Vec::new(),
    }
}

#[test]
fn waiting_requests_bring_half_as_many_slots_again_once_the_last_change_has_settled() {
    let mut policy = policy(&[]).unwrap();
    let change = policy.propose(&observation(100_000, 3.0)).unwrap();
    assert!(matches!(change.value, Value::Integer(6)) && change.scope == "local", "{change:?}");
    assert!(change.reason.contains("3.0 requests wait"), "{}", change.reason);
    assert!(policy.propose(&observation(110_000, 3.0)).is_none());
    assert!(policy.propose(&observation(120_000, 3.0)).is_some());
}

#[test]
fn nothing_is_asked_for_while_nothing_waits() {
    assert!(policy(&[]).unwrap().propose(&observation(100_000, 0.5)).is_none());
    assert!(
        Policy::default().propose(&observation(100_000, 3.0)).is_none(),
        "the knob is not on offer"
    );
}

#[test]
fn what_was_rolled_back_is_not_asked_for_again_by_the_next_instance_neither() {
    let mut first = policy(&[]).unwrap();
    first.learn(&[Outcome {
        name: "engine_slots".into(),
        scope: "local".into(),
        proposed: Value::Integer(5),
        verdict: Verdict::RolledBack,
        detail: String::new(),
        measured: None,
    }]);
    let mut second = policy(&[]).unwrap();
    second.restore(&first.save()).unwrap();
    assert!(second.propose(&observation(100_000, 3.0)).is_none());
    assert!(second.restore("version 2").is_err());
}

#[test]
fn parameters_are_checked() {
    assert!(policy(&[("waiting_min", "5")]).unwrap().propose(&observation(100_000, 3.0)).is_none());
    assert!(policy(&[("waiting_min", "many")]).err().unwrap().contains("many"));
    assert!(policy(&[("slots", "1")]).err().unwrap().contains("waiting_min, settle_s"));
}

#[test]
fn the_least_loaded_candidate_comes_first() {
    let candidates = [candidate(5, 1.0), candidate(0, 0.0), candidate(1, 1.0), candidate(4, 4.0)];
    assert_eq!(order(&candidates), [3, 2, 0], "by load for its weight; weight 0 is left out");
    assert_eq!(order(&candidates[1..2]), [0], "unless there is nothing else");
}
