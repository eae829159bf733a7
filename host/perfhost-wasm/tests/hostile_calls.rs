//! Calls that go wrong in service: each ends in the right error, and the strategy works on.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use perfhost_strategy::{Outcome, Plan, Scope, Strategy, StrategyError, Value, Verdict};
use perfhost_wasm::{History, HistoryPoint, Limits, Runtime};
use support::{asked, candidates, guest, hostile, runtime, seen, set_mode, short_limits, source};

fn plan(strategy: &dyn Strategy) -> Result<Plan, StrategyError> {
    strategy.plan(&asked(), &candidates(3))
}

/// Fails `propose` in a mode and checks that the strategy works again in a good mode.
fn failed_proposal(mode: &str) -> StrategyError {
    let strategy = hostile(&runtime(short_limits()), mode);
    let error = strategy.propose(&seen()).unwrap_err();
    set_mode(&*strategy, "good");
    assert_eq!(strategy.propose(&seen()), Ok(Vec::new()), "works after {mode}");
    assert!(plan(&*strategy).is_ok(), "plans after {mode}");
    error
}

/// Fails `plan` in a mode and checks that the strategy works again in a good mode.
fn failed_plan(mode: &str) -> StrategyError {
    let strategy = hostile(&runtime(short_limits()), mode);
    let error = plan(&*strategy).unwrap_err();
    assert_eq!(plan(&*strategy).unwrap_err(), error, "a fresh instance fails in the same way");
    assert_eq!(strategy.propose(&seen()), Ok(Vec::new()), "control goes on");
    set_mode(&*strategy, "good");
    assert_eq!(plan(&*strategy).unwrap().order, [0, 1, 2], "works after {mode}");
    error
}

#[test]
fn endless_loops_end_at_their_limit() {
    let started = Instant::now();
    assert_eq!(failed_proposal("spin"), StrategyError::Timeout { call: "propose", limit_ms: 200 });
    assert_eq!(failed_plan("plan-spin"), StrategyError::Timeout { call: "plan-request", limit_ms: 50 });
    // Not a measurement: without deadlines this would not come back at all.
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[test]
fn an_endless_loop_ends_also_after_a_pause() {
    let strategy = hostile(&runtime(short_limits()), "plan-spin");
    // Longer than the clock of time limits stays awake after the calls before.
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(plan(&*strategy), Err(StrategyError::Timeout { call: "plan-request", limit_ms: 50 }));
}

#[test]
fn memory_ends_at_its_limit() {
    for error in [failed_proposal("memory"), failed_plan("plan-memory")] {
        let StrategyError::OutOfMemory { asked_bytes, limit_bytes, .. } = error else { panic!("{error}") };
        assert!(asked_bytes > limit_bytes && limit_bytes == Limits::default().memory_bytes);
    }
}

#[test]
fn deep_recursion_ends_at_the_stack_limit() {
    let StrategyError::Trap { call, message } = failed_proposal("recurse") else { panic!() };
    assert_eq!(call, "propose");
    assert!(message.contains("stack") && message.contains("recurse ← "), "{message}");
}

#[test]
fn a_trap_names_the_functions_it_happened_in() {
    for error in [failed_proposal("trap"), failed_plan("plan-trap")] {
        let StrategyError::Trap { message, .. } = error else { panic!("{error}") };
        assert!(message.contains("fall_over"), "{message}");
    }
}

#[test]
fn answers_that_are_too_large_are_refused() {
    let part = |error| match error {
        StrategyError::OutputTooLarge { what, .. } => what,
        other => panic!("{other}"),
    };
    assert_eq!(part(failed_proposal("long")), "a proposal's name");
    assert_eq!(part(failed_proposal("huge")), "bytes (at least)");
    assert_eq!(part(failed_plan("plan-huge")), "order");
    let many = failed_proposal("many");
    assert!(matches!(many, StrategyError::OutputTooLarge { .. }), "{many}");
}

#[test]
fn numbers_that_are_not_finite_are_refused_and_negative_ones_are_left_to_the_guard() {
    for mode in ["nan", "infinite"] {
        let StrategyError::InvalidAnswer { message, .. } = failed_proposal(mode) else { panic!("{mode}") };
        assert!(message.contains("must be finite"), "{message}");
    }
    let strategy = hostile(&runtime(short_limits()), "negative");
    assert_eq!(strategy.propose(&seen()).unwrap()[0].value, Value::Integer(-5));
}

#[test]
fn plans_that_make_no_sense_are_refused() {
    for (mode, words) in [("plan-nothing", "empty"), ("plan-twice", "twice"), ("plan-nobody", "names candidate 9")] {
        let StrategyError::InvalidAnswer { message, .. } = failed_plan(mode) else { panic!("{mode}") };
        assert!(message.contains(words), "{mode}: {message}");
    }
}

#[test]
fn faults_keep_the_guests_words_and_its_instance() {
    assert_eq!(
        failed_proposal("fault"),
        StrategyError::Fault { call: "propose", message: "failed: no idea".to_owned() }
    );
    let strategy = hostile(&runtime(short_limits()), "good");
    let refused = strategy.configure(&[("mode".to_owned(), "refuse".to_owned())], &[]).unwrap_err();
    assert!(refused.to_string().contains("refuse is not allowed"), "{refused}");
}

#[test]
fn a_trap_in_learn_costs_that_call_only() {
    let strategy = hostile(&runtime(short_limits()), "trap-in-learn");
    let outcome = Outcome {
        name: "concurrency_limit".to_owned(),
        scope: Scope::global(),
        proposed: Value::Integer(1),
        verdict: Verdict::Refused,
        detail: "no".to_owned(),
        measured: None,
    };
    assert!(matches!(strategy.learn(&[outcome]), Err(StrategyError::Trap { call: "learn", .. })));
    assert_eq!(strategy.propose(&seen()), Ok(Vec::new()));
}

#[test]
fn state_that_is_too_large_is_refused_and_proposals_go_on() {
    let strategy = hostile(&runtime(short_limits()), "huge-state");
    assert_eq!(strategy.propose(&seen()), Ok(Vec::new()));
    assert!(matches!(strategy.save(), Err(StrategyError::OutputTooLarge { call: "save", .. })));
}

#[test]
fn a_flood_of_log_lines_is_cut() {
    let runtime = runtime(Limits { log_lines: 10, log_lines_per_second: 10, ..short_limits() });
    let strategy = hostile(&runtime, "flood");
    assert_eq!(strategy.propose(&seen()), Ok(Vec::new()));
    assert_eq!(runtime.recent_log(&strategy.identity().digest).len(), 10);
}

struct TwoPoints;

impl History for TwoPoints {
    fn query(&self, metric: &str, _: &str, from_ms: u64, to_ms: u64, step_ms: u32) -> Vec<HistoryPoint> {
        assert_eq!((metric, from_ms, to_ms, step_ms), ("response_time_ms", 0, seen().now_ms, 1_000));
        vec![HistoryPoint { at_ms: 1, count: 1, mean: 1.0, p95: 1.0 }; 2]
    }
}

struct Slow;

impl History for Slow {
    fn query(&self, _: &str, _: &str, _: u64, _: u64, _: u32) -> Vec<HistoryPoint> {
        std::thread::sleep(short_limits().call_timeout * 2);
        Vec::new()
    }
}

#[test]
fn time_in_which_a_call_has_no_processor_is_not_held_against_it() {
    let bytes = guest("guest-hostile", support::PLAIN);
    let strategy = runtime(short_limits()).load(&source("hostile.wasm", bytes), Arc::new(Slow)).unwrap();
    set_mode(&*strategy, "history");
    assert_eq!(strategy.propose(&seen()).unwrap()[0].value, Value::Integer(0));
}

#[test]
fn history_answers_control_and_is_empty_for_planning() {
    let runtime: Arc<Runtime> = runtime(short_limits());
    let bytes = guest("guest-hostile", support::PLAIN);
    let strategy = runtime.load(&source("hostile.wasm", bytes), Arc::new(TwoPoints)).unwrap();
    set_mode(&*strategy, "history");
    assert_eq!(strategy.propose(&seen()).unwrap()[0].value, Value::Integer(2));
    set_mode(&*strategy, "tell-history");
    assert_eq!(plan(&*strategy).unwrap().cache_ttl_ms, 0);
}
