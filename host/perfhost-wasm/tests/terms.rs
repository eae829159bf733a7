//! What a strategy is not granted it does without, and where it has less than others, less it is.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use perfhost_strategy::strategy::World;
use perfhost_strategy::{Grants, Strategy, StrategyError, Value};
use perfhost_wasm::{History, HistoryPoint, Limits, LoadError, Runtime, Stage, Terms};
use support::{asked, candidates, fleet, guest, runtime, seen, set_mode, short_limits, source};

struct TwoPoints;

impl History for TwoPoints {
    fn query(&self, _: &str, _: &str, _: u64, _: u64, _: u32) -> Vec<HistoryPoint> {
        vec![HistoryPoint { at_ms: 1, count: 1, mean: 1.0, p95: 1.0 }; 2]
    }
}

fn granted(words: &[&str]) -> Terms {
    Terms { grants: Grants::parse(words).unwrap(), ..Terms::default() }
}

fn limited(limits: &[(&str, u64)]) -> Terms {
    let limits = limits.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    Terms { limits, ..Terms::default() }
}

fn load(runtime: &Arc<Runtime>, terms: &Terms) -> Result<Arc<dyn Strategy>, LoadError> {
    let terms_of = |name: &str| if name == "hostile" { terms.clone() } else { Terms::default() };
    let source = source("hostile.wasm", guest("guest-hostile", support::PLAIN));
    runtime.load_under(&source, Arc::new(TwoPoints), &terms_of)
}

/// What it makes of a history query: the number of points, as the value of a proposal.
fn points_seen(strategy: &dyn Strategy) -> Value {
    set_mode(strategy, "history");
    strategy.propose(&seen()).unwrap()[0].value.clone()
}

#[test]
fn history_that_is_not_granted_is_empty() {
    let runtime = runtime(short_limits());
    assert_eq!(points_seen(&*load(&runtime, &granted(&["history"])).unwrap()), Value::Integer(2));
    assert_eq!(points_seen(&*load(&runtime, &granted(&["log"])).unwrap()), Value::Integer(0));
}

#[test]
fn lines_of_a_strategy_without_a_log_are_dropped() {
    let runtime = runtime(short_limits());
    for (words, is_any_kept) in [(&["log"][..], true), (&["history"][..], false)] {
        let strategy = load(&runtime, &granted(words)).unwrap();
        set_mode(&*strategy, "flood");
        strategy.propose(&seen()).unwrap();
        let lines = runtime.recent_log(&strategy.identity().digest);
        assert_eq!(lines.iter().any(|line| line.text.starts_with("line ")), is_any_kept, "{words:?}");
    }
}

#[test]
fn a_strategy_that_may_not_plan_is_a_tuner() {
    let runtime = runtime(short_limits());
    let planner = load(&runtime, &granted(&["plan"])).unwrap();
    planner.fleet(&fleet()).unwrap();
    assert_eq!(planner.identity().world, World::Strategy);
    assert!(planner.plan(&asked(), &candidates(2)).is_ok());

    let tuner = load(&runtime, &granted(&["turn"])).unwrap();
    tuner.fleet(&fleet()).unwrap();
    assert_eq!(tuner.identity().world, World::Tuner);
    let refused = tuner.plan(&asked(), &candidates(2));
    assert_eq!(refused, Err(StrategyError::NotExported { call: "plan-request" }));
    assert_eq!(tuner.propose(&seen()), Ok(Vec::new()), "it goes on tuning");
}

#[test]
fn the_lesser_limit_of_host_and_strategy_holds() {
    let runtime = runtime(short_limits());
    let failure = |terms: Terms, mode: &str| {
        let strategy = load(&runtime, &terms).unwrap();
        set_mode(&*strategy, mode);
        strategy.propose(&seen()).unwrap_err()
    };
    let memory = |limit| failure(limited(&[("memory_bytes", limit)]), "memory");
    let StrategyError::OutOfMemory { limit_bytes, .. } = memory(8 << 20) else { panic!() };
    assert_eq!(limit_bytes, 8 << 20);
    let StrategyError::OutOfMemory { limit_bytes, .. } = memory(1 << 30) else { panic!() };
    assert_eq!(limit_bytes, Limits::default().memory_bytes, "more than the host's is not to be had");
    let timeout = failure(limited(&[("call_timeout_ms", 60)]), "spin");
    assert_eq!(timeout, StrategyError::Timeout { call: "propose", limit_ms: 60 });
    let many = failure(limited(&[("max_proposals", 0)]), "negative");
    assert!(matches!(many, StrategyError::OutputTooLarge { what: "proposals", size: 1, limit: 0, .. }), "{many}");
}

#[test]
fn limits_too_narrow_to_work_in_are_told_when_it_is_loaded() {
    let Err(error) = load(&runtime(short_limits()), &limited(&[("memory_bytes", 64 << 10)])) else { panic!() };
    assert_eq!((error.stage, error.failure.code()), (Stage::Grants, "out-of-memory"));
    assert!(error.to_string().contains("hostile@0.1.0") && error.to_string().contains("limit 65536"), "{error}");
}

#[test]
fn what_it_is_held_to_can_be_seen() {
    let terms = Terms {
        plan_budget: Some(Duration::from_micros(20)),
        ..Terms { limits: limited(&[("memory_bytes", 8 << 20)]).limits, ..granted(&["log", "turn:retries"]) }
    };
    let runtime = runtime(short_limits());
    let strategy = load(&runtime, &terms).unwrap();
    let allowance = strategy.allowance();
    assert_eq!(allowance.grants.words(), ["log", "turn:retries"]);
    assert_eq!(allowance.plan_budget, Some(Duration::from_micros(20)));
    let limit = |name: &str| allowance.limits[name];
    assert_eq!((limit("memory_bytes"), limit("call_timeout_ms"), limit("plan_budget_us")), (8 << 20, 200, 20));

    let source = source("hostile.wasm", guest("guest-hostile", support::PLAIN));
    let inspection = runtime.inspect_under(&source, &|_| terms.clone());
    assert_eq!(inspection.allowance.as_ref(), Some(allowance));
    let stage = inspection.stages.iter().find(|report| report.stage == Stage::Grants).unwrap();
    assert_eq!(stage.detail, "granted: log, turn:retries, memory_bytes 8388608");
}
