//! Rules that meet: others on the same knob, the guard, people, and each other's ends.

use strategy_kit::Instance;
use strategy_kit::testing::World;

use super::{LIMIT, MINUTE, hot, with};

/// Both turn the limit: one by the processor, the other by failures.
const TWO: &str = "cpu_usage > 7.0 -> set concurrency_limit = 200\nerror_rate > 5% -> lower concurrency_limit by 50%";

#[test]
fn two_rules_on_one_knob_end_in_any_order() {
    for ends_first in ["lower", "upper"] {
        let mut run = hot(TWO);
        run.cycles(MINUTE);
        run.world.error_rate = 0.5;
        run.cycles(2 * MINUTE);
        assert_eq!(run.world.setting(LIMIT), 100, "half of what the first left");
        match ends_first {
            "lower" => run.world.cpu_usage = Some(0.0),
            _ => run.world.error_rate = 0.0,
        }
        run.cycles(2 * MINUTE);
        assert_eq!(run.world.setting(LIMIT), if ends_first == "lower" { 100 } else { 200 }, "{:#?}", run.turns);
        (run.world.cpu_usage, run.world.error_rate) = (Some(0.0), 0.0);
        run.cycles(2 * MINUTE);
        assert_eq!(run.world.setting(LIMIT), 256, "{:#?}", run.turns);
    }
}

#[test]
fn what_the_guard_takes_back_is_not_asked_for_again_before_the_rule_fires_anew() {
    let mut run = with(8, "in_flight > 4 -> set engine_slots = 8, raise cache_ttl_ms by 2x until in_flight < 2");
    run.guard.rolls_back_from = Some(("engine_slots", 4));
    run.cycles(10 * MINUTE);
    assert_eq!(run.values_of("engine_slots"), [8], "{:#?}", run.turns);
    assert_eq!((run.world.setting("engine_slots"), run.world.setting("cache_ttl_ms")), (1, 1_200_000));
    let confidence = run.strategy.courses[0].tally.confidence();
    assert!(confidence < 0.5, "{confidence}");
    run.world.clients = 1;
    run.cycles(3 * MINUTE);
    assert_eq!(run.world.setting("cache_ttl_ms"), 600_000, "{:#?}", run.turns);
    run.world.clients = 8;
    run.cycles(3 * MINUTE);
    assert_eq!(run.values_of("engine_slots"), [8, 8], "{:#?}", run.turns);
}

#[test]
fn a_knob_that_somebody_turns_meanwhile_is_theirs() {
    let mut run = hot("cpu_usage > 7.0 -> set concurrency_limit = 200, raise cache_ttl_ms by 2x");
    run.cycles(2 * MINUTE);
    run.world.set(LIMIT, 300);
    run.cycles(MINUTE);
    run.world.cpu_usage = Some(0.0);
    run.cycles(2 * MINUTE);
    assert_eq!((run.world.setting(LIMIT), run.world.setting("cache_ttl_ms")), (300, 600_000), "{:#?}", run.turns);
}

#[test]
fn what_a_removed_rule_changed_goes_back_and_a_rule_that_stays_goes_on() {
    let mut run = hot("cpu_usage > 7.0 -> set concurrency_limit = 200\ncpu_usage > 8.0 -> set cache_ttl_ms = 20m\n\
         cpu_usage > 99% -> shed_load");
    run.cycles(2 * MINUTE);
    let rules = "renamed: cpu_usage > 8.0 -> set cache_ttl_ms = 20m".to_owned();
    run.strategy.configure(&[("rules".to_owned(), rules)], World::knobs()).expect("allowed");
    run.cycles(2 * MINUTE);
    assert_eq!((run.world.setting(LIMIT), run.world.setting("cache_ttl_ms")), (256, 1_200_000));
    let last = run.turns.last().expect("it went back");
    assert_eq!(
        last.reason,
        "the rule is no longer there: concurrency_limit from 200 back to 256; it was `cpu_usage > 7.0 -> set \
         concurrency_limit = 200`"
    );
    assert_eq!(run.turns.len(), 3, "{:#?}", run.turns);
}

#[test]
fn refusals_are_answered_with_patience() {
    let mut run = hot("cpu_usage > 7.0 -> set engine_slots@elsewhere = 4, set concurrency_limit = 200");
    run.cycles(2 * MINUTE);
    assert_eq!(run.values_of(LIMIT), [200], "a provider that is not there holds nothing up: {:#?}", run.turns);
    assert_eq!(run.values_of("engine_slots"), []);
}
