//! Every way to break the contract is found, by its own finding, and a strategy that keeps to it has none.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod double;

use std::convert::Infallible;
use std::time::Duration;

use perfhost_strategy::conformance::{Case, Options, Report, Severity, check};
use perfhost_strategy::strategy::World;
use perfhost_strategy::{Observation, Scope, Value};

fn report(way: &'static str, world: World, parameters: &[(&str, &str)], recorded: Vec<Case>) -> Report {
    let options = Options {
        seed: 11,
        cases: 40,
        parameters: parameters.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        recorded,
        plan_budget: Duration::from_micros(50),
        clock: &double::clock,
        log: &|| vec!["its last words".to_owned()],
        progress: &|_| {},
    };
    check(&mut || Ok::<_, Infallible>(double::make(way, world)), &options).unwrap_or_else(|never| match never {})
}

#[test]
fn a_strategy_that_keeps_to_the_contract_has_no_finding() {
    for world in [World::Strategy, World::Tuner, World::Advisor] {
        let report = report("", world, &[("step", "3")], Vec::new());
        assert_eq!(report.findings, [], "{world:?}");
        let figures = &report.figures;
        assert!(figures.proposals > 20 && figures.calls > 500 && figures.instances > 20, "{figures:?}");
        assert_eq!(figures.plans > 2_500, world == World::Strategy, "{figures:?}");
        assert_eq!((figures.state_bytes, figures.control_bytes), (17, 1 << 20));
    }
}

#[test]
fn each_way_to_misbehave_has_its_finding_with_what_to_do() {
    use Severity::{Error, Note, Warning};
    for (way, severity, code, place, what) in [
        ("reads what is not there", Warning, "unknown-metric", "describe", "it reads \"time_to_first_tokn_ms\""),
        ("turns what is not there", Warning, "unknown-knob", "describe", "it turns \"gpu_fan_speed\""),
        ("has no version", Warning, "version", "describe", "its version is \"new\""),
        ("names a parameter twice", Warning, "parameter-name", "describe", "\"step\" is listed twice"),
        ("says nothing of itself", Note, "no-words", "describe", "its goal is empty"),
        ("needs a parameter", Error, "not-configured", "configure", "target is needed"),
        ("refuses its default", Error, "default-refused", "configure", "its default \"-1\" for step is refused"),
        ("takes unknown parameters", Error, "unknown-parameter-taken", "configure", "does not know"),
        ("takes any value", Warning, "wrong-value-taken", "configure", "for step, whose default is a number"),
        ("does not name the parameter", Warning, "unnamed-parameter", "configure", "without naming it"),
        ("traps on unknown parameters", Error, "trap", "configure", "trapped in configure"),
        ("configures by halves", Warning, "half-configured", "configure", "answers otherwise than before"),
        ("traps where nothing was measured", Error, "trap", "case \"no metrics\"", "trapped in propose"),
        (
            "leaves its bounds",
            Warning,
            "out-of-bounds",
            "propose",
            "concurrency_limit of host: -5 is outside 1 to 100000",
        ),
        ("mistakes a type", Error, "wrong-type", "propose", "a text where a whole number from 1 to 100000 is expected"),
        (
            "divides by nothing",
            Error,
            "not-finite",
            "propose",
            "the confidence of its proposal for concurrency_limit is NaN",
        ),
        (
            "expects the infinite",
            Error,
            "not-finite",
            "propose",
            "the expected ratio of its proposal for concurrency_limit is inf",
        ),
        ("expects less than nothing", Error, "expected-effect", "propose", "to become -1 times"),
        ("expects what is not measured", Warning, "unknown-metric", "propose", "to move \"happiness\""),
        ("is too sure", Error, "confidence", "propose", "its confidence in concurrency_limit is 2"),
        ("gives no reason", Warning, "no-reason", "propose", "has no reason"),
        ("invents a knob", Error, "unknown-knob", "propose", "it proposes \"concurency_limit\""),
        ("turns another knob", Warning, "not-in-turns", "propose", "`turns` of its description does not list"),
        ("turns it elsewhere", Warning, "not-offered", "propose", "for \"nowhere\", where it is not offered"),
        ("proposes what is", Note, "no-change", "propose", "which it is already"),
        ("proposes twice", Note, "twice", "propose", "twice in one answer"),
        ("answers by chance", Error, "not-deterministic", "propose", "two fresh instances that were told the same"),
        ("traps on strange outcomes", Error, "trap", "learn", "trapped in learn"),
        ("saves nothing", Warning, "unsaved-memory", "save", "saves nothing"),
        ("counts its calls", Warning, "unsaved-memory", "save", "saves nothing"),
        ("saves something else each time", Warning, "state-changed", "save", "are 25 other bytes"),
        ("saves without a mark", Warning, "foreign-state-taken", "restore", "it never saved"),
        ("traps on foreign state", Error, "restore-fails", "restore", "it fails where it should refuse"),
        ("refuses its own state", Error, "own-state-refused", "restore", "it has just saved"),
        ("restores by halves", Warning, "half-restored", "restore", "answers otherwise than a fresh instance"),
        ("plans with nobody", Error, "invalid-plan", "plan-request", "order is empty"),
        ("plans with one too many", Error, "invalid-plan", "plan-request", "order has 2 entries for 1 candidates"),
        ("plans with one twice", Error, "invalid-plan", "plan-request", "twice"),
        ("plans for targets", Error, "invalid-plan", "plan-request", "order names candidate 1; there are 1"),
        ("plans by turns", Note, "plans-depend-on-calls", "plan-request", "after other requests"),
        ("plans by chance", Error, "not-deterministic", "plan-request", "two fresh instances plan differently"),
        ("plans slowly", Warning, "over-plan-budget", "plan-request", "the budget of 50µs; the median is 80µs"),
        ("traps in plans", Error, "trap", "plan-request", "trapped in plan-request"),
        ("hoards outcomes", Warning, "memory-grows", "propose", "KiB for every 1,000 calls of propose"),
        (
            "hoards requests",
            Warning,
            "memory-grows",
            "plan-request",
            "its memory grows by 250 KiB for every 1,000 calls",
        ),
    ] {
        expect(&report(way, World::Strategy, &[], Vec::new()), (way, severity, code, place, what));
    }
}

#[test]
fn each_way_to_advise_badly_has_its_finding() {
    use Severity::{Error, Warning};
    for (way, severity, code, what) in [
        ("advises what is not there", Error, "no-such-choice", "which is no choice"),
        ("advises a strange cache", Error, "kv-type", "\"q3_1\""),
        ("is too sure of its advice", Error, "confidence", "is 1.5"),
        ("advises without a reason", Warning, "no-reason", "no reason"),
        ("advises by chance", Error, "not-deterministic", "advise differently"),
    ] {
        expect(&report(way, World::Advisor, &[], Vec::new()), (way, severity, code, "recommend", what));
    }
}

fn expect(report: &Report, (way, severity, code, place, what): (&str, Severity, &str, &str, &str)) {
    let is_it = |code_found: &str, place_found: &str| code_found == code && place_found.contains(place);
    let found = report.findings.iter().find(|finding| is_it(&finding.code, &finding.place));
    let Some(found) = found else { panic!("{way}: {:#?}", report.findings) };
    assert_eq!(found.severity, severity, "{way}: {found:?}");
    assert!(found.what.contains(what), "{way}: {found:?}");
    assert!(found.fix.len() > 10, "{way}: {found:?}");
    // Nothing else is as bad: one cause, one finding. A trap may show in several calls.
    let others = report.findings.iter().filter(|other| other.severity >= severity && other.code != code);
    let others: Vec<_> = others.filter(|other| !is_consequence(way, &other.code)).collect();
    assert!(others.is_empty(), "{way}: {others:#?}");
}

/// What follows from a fault of another kind.
fn is_consequence(way: &str, code: &str) -> bool {
    match way {
        // A number that differs is no number any more.
        "plans with one twice" | "plans for targets" => code == "trap",
        "invents a knob" => code == "not-in-turns",
        "turns another knob" => code == "no-change",
        "counts its calls" => code == "half-configured",
        _ => false,
    }
}

#[test]
fn the_same_seed_finds_the_same() {
    let findings = |way| report(way, World::Strategy, &[], Vec::new()).findings;
    assert_eq!(findings("leaves its bounds"), findings("leaves its bounds"));
}

#[test]
fn a_strategy_that_needs_parameters_is_checked_with_them() {
    let report = report("needs a parameter", World::Strategy, &[("step", "2")], Vec::new());
    assert!(report.findings.iter().all(|finding| finding.code != "not-configured"), "{:#?}", report.findings);
    assert!(report.figures.observations > 40);
}

#[test]
fn recorded_observations_are_shown_too() {
    let mut observation = Observation { seed: 5, now_ms: 9, ..Observation::default() };
    observation.settings = perfhost_strategy::Settings::default().list(&[]);
    let case = Case::recorded(17, observation, None);
    assert!(case.knobs.iter().any(|offered| offered.knob.name == "retries" && offered.at == Scope::global()));
    assert_eq!(case.knobs[0].knob.default, Value::Integer(256));
    let whole = report("divides by nothing", World::Strategy, &[], vec![case; 3]);
    let without = report("divides by nothing", World::Strategy, &[], Vec::new());
    assert_eq!((whole.figures.recorded, whole.figures.observations), (3, without.figures.observations + 3));
    assert_eq!(whole.findings[0].times, without.findings[0].times + 3);
}
