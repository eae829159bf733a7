//! A guest with a whole standard library finds no files, network, environment or clock.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod support;

use std::sync::Arc;

use perfhost_strategy::{Strategy, StrategyError};
use perfhost_wasm::{LogLevel, Runtime};
use support::{WASI, guest, load, runtime, seen, set_mode, short_limits};

fn nosy() -> (Arc<Runtime>, Arc<dyn Strategy>) {
    let runtime = runtime(short_limits());
    let strategy = load(&runtime, "nosy.wasm", guest("guest-nosy", WASI)).unwrap();
    (runtime, strategy)
}

fn attempt(strategy: &dyn Strategy, mode: &str) -> Result<String, StrategyError> {
    set_mode(strategy, mode);
    strategy.propose(&seen()).map(|proposals| proposals[0].reason.clone())
}

#[test]
fn there_is_nothing_to_find() {
    let (_, strategy) = nosy();
    for (mode, found) in [
        ("environment", "0 variables"),
        ("arguments", "0 arguments"),
        ("input", "Ok(0)"),
        ("clock", "Ok(1700000000000)"),
        ("sleep", "3600 s"),
    ] {
        assert_eq!(attempt(&*strategy, mode).as_deref(), Ok(found), "{mode}");
    }
    for mode in ["read-file", "write-file", "list-folder"] {
        let found = attempt(&*strategy, mode).unwrap();
        assert!(found.starts_with("Err("), "{mode}: {found}");
    }
    assert!(!std::path::Path::new("/tmp/left-behind").exists());
}

#[test]
fn the_network_is_refused_by_name_and_the_strategy_goes_on() {
    let (_, strategy) = nosy();
    let error = attempt(&*strategy, "network").unwrap_err();
    let StrategyError::NotGranted { call: "propose", import } = &error else { panic!("{error}") };
    assert!(import.starts_with("wasi:sockets/"), "{import}");
    assert!(attempt(&*strategy, "arguments").is_ok());
}

#[test]
fn leaving_is_a_trap_and_not_the_end_of_the_host() {
    let (_, strategy) = nosy();
    let error = attempt(&*strategy, "exit").unwrap_err();
    assert!(matches!(&error, StrategyError::Trap { .. }) && error.to_string().contains("ended itself"), "{error}");
}

#[test]
fn what_it_prints_is_in_its_log() {
    let (runtime, strategy) = nosy();
    assert_eq!(attempt(&*strategy, "print").as_deref(), Ok("printed"));
    let log = runtime.recent_log(&strategy.identity().digest);
    let lines: Vec<(LogLevel, &str)> = log.iter().map(|line| (line.level, line.text.as_str())).collect();
    assert_eq!(lines, [(LogLevel::Info, "hello from inside"), (LogLevel::Warn, "and a warning")]);
}

#[test]
fn random_numbers_follow_from_the_seed() {
    let numbers: Vec<String> = (0..2).map(|_| attempt(&*nosy().1, "random").unwrap()).collect();
    assert_eq!(numbers[0], numbers[1]);
}
