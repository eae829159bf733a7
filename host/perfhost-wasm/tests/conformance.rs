//! The hostile guest in each of its modes, judged as `perfhost plugin check` judges: each mode has its own finding.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod support;

use std::time::{Duration, Instant};

use perfhost_strategy::conformance::{Options, Report, Severity, check};
use perfhost_wasm::{Limits, LoadError, NoHistory, Runtime, RuntimeConfig};
use support::{PLAIN, guest, source};

/// Limits under which a runaway call ends very soon.
fn limits() -> Limits {
    Limits {
        plan_timeout: Duration::from_millis(60),
        call_timeout: Duration::from_millis(60),
        load_timeout: Duration::from_millis(400),
        memory_bytes: 32 << 20,
        ..Limits::default()
    }
}

fn report(mode: &str) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let config = RuntimeConfig { cache_dir: Some(folder.path().to_owned()), limits: limits() };
    let runtime = Runtime::new(config).unwrap();
    let source = source("hostile.wasm", guest("guest-hostile", PLAIN));
    let mut load = || runtime.load(&source, std::sync::Arc::new(NoHistory));
    let started = Instant::now();
    let parameters = if mode.is_empty() { Vec::new() } else { vec![("mode".to_owned(), mode.to_owned())] };
    let clock = move || started.elapsed();
    let options = Options {
        seed: 3,
        cases: 10,
        parameters,
        recorded: Vec::new(),
        // Timing is judged elsewhere: this machine may be busy.
        plan_budget: Duration::from_secs(1),
        clock: &clock,
        log: &Vec::new,
        progress: &|_| {},
    };
    check::<LoadError>(&mut load, &options).unwrap()
}

#[test]
fn each_mode_that_tunes_badly_has_its_own_finding() {
    use Severity::{Error, Warning};
    for (mode, severity, code, place, what) in [
        ("spin", Error, "timeout", "propose", "propose took longer than its limit of 60 ms"),
        ("memory", Error, "out-of-memory", "propose", "propose ran out of memory"),
        ("recurse", Error, "trap", "propose", "call stack exhausted"),
        ("trap", Error, "trap", "propose", "fall_over"),
        ("many", Error, "output-too-large", "propose", "propose answered too much"),
        ("long", Error, "output-too-large", "propose", "a proposal's name is 1048576, limit 4096"),
        ("huge", Error, "output-too-large", "propose", "propose answered too much"),
        ("nan", Error, "invalid-answer", "propose", "the value proposed for candidate_weight is NaN"),
        ("infinite", Error, "invalid-answer", "propose", "the confidence in candidate_weight is inf"),
        ("negative", Warning, "out-of-bounds", "propose", "concurrency_limit of host: -5 is outside 1 to 100000"),
        ("fault", Warning, "fault", "propose", "failed: no idea"),
        ("trap-in-learn", Error, "trap", "learn", "fall_over"),
        ("huge-state", Error, "output-too-large", "save", "state in bytes is 3145728, limit 1048576"),
        ("refuse", Error, "not-configured", "configure", "refuse is not allowed"),
        // It takes any bytes but those that begin with a question mark.
        ("remember", Warning, "foreign-state-taken", "restore", "state that it never saved"),
    ] {
        expect(mode, severity, (code, place, what));
    }
}

#[test]
fn each_mode_that_plans_badly_has_its_own_finding() {
    use Severity::{Error, Warning};
    for (mode, severity, code, place, what) in [
        ("plan-spin", Error, "timeout", "plan-request", "plan-request took longer than its limit of 60 ms"),
        ("plan-trap", Error, "trap", "plan-request", "fall_over"),
        ("plan-memory", Error, "out-of-memory", "plan-request", "plan-request ran out of memory"),
        ("plan-leak", Warning, "memory-grows", "plan-request", "its memory grows by"),
        ("plan-nothing", Error, "invalid-answer", "plan-request", "order is empty"),
        ("plan-twice", Error, "invalid-answer", "plan-request", "order has 2 entries for 1 candidates"),
        ("plan-nobody", Error, "invalid-answer", "plan-request", "order names candidate 9"),
        ("plan-huge", Error, "output-too-large", "plan-request", "order is 100000, limit 1024"),
    ] {
        expect(mode, severity, (code, place, what));
    }
}

fn expect(mode: &str, severity: Severity, (code, place, what): (&str, &str, &str)) {
    let report = report(mode);
    let found = report.findings.iter().find(|finding| finding.code == code && finding.place.contains(place));
    let Some(found) = found else { panic!("{mode}: {:#?}", report.findings) };
    assert_eq!(found.severity, severity, "{mode}: {found:?}");
    assert!(found.what.contains(what) && !found.fix.is_empty(), "{mode}: {found:?}");
    assert_eq!(report.findings[0].severity, severity, "{mode}: {:#?}", report.findings);
}

#[test]
fn the_hostile_guest_that_behaves_has_no_error() {
    let report = report("");
    assert!(report.findings.iter().all(|finding| finding.severity < Severity::Error), "{:#?}", report.findings);
    assert!(report.figures.control_bytes > 0 && report.figures.planning_bytes > 0, "{:?}", report.figures);
}
