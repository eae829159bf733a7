//! What survives a swap and a restart, and what must not.

use strategy_kit::Instance;
use strategy_kit::testing::{Run, World};
use strategy_kit::types::Fault;

use super::{LIMIT, MINUTE, hot};
use crate::Rules;

const HOT: &str = "cpu_usage > 7.0 for 1m -> set concurrency_limit = 200 until cpu_usage < 5.0 for 1m";

/// The next instance of the same strategy, with what the one before saved.
fn swap(run: &mut Run<Rules>, rules: &str) {
    let state = run.strategy.save();
    run.strategy = Rules::default();
    run.strategy.configure(&[("rules".to_owned(), rules.to_owned())], World::knobs()).expect("allowed");
    run.strategy.restore(&state).expect("own state");
}

#[test]
fn nothing_under_way_is_nothing_to_save() {
    let mut run = hot("cpu_usage > 50% -> shed_load");
    run.cycles(MINUTE);
    assert_eq!(run.strategy.save(), b"");
    run.strategy.restore(b"").expect("nothing");
}

#[test]
fn what_is_saved_comes_back() {
    let mut run = hot(&format!("{HOT}\ncpu_usage > 6.0 -> raise cache_ttl_ms by 2x, set queue_wait_ms = 1s keep"));
    run.cycles(5 * MINUTE);
    let state = run.strategy.save();
    assert!(state.starts_with(b"perfhost-rules 1\n"));
    let (ledger, tallies) =
        (run.strategy.ledger.clone(), run.strategy.courses.iter().map(|course| course.tally).collect::<Vec<_>>());
    assert!(ledger.entries.len() == 3 && tallies.iter().any(|tally| tally.measured > 0));
    swap(&mut run, &format!("{HOT}\ncpu_usage > 6.0 -> raise cache_ttl_ms by 2x, set queue_wait_ms = 1s keep"));
    assert_eq!(run.strategy.ledger, ledger);
    assert_eq!(run.strategy.courses.iter().map(|course| course.tally).collect::<Vec<_>>(), tallies);
    assert_eq!(run.strategy.save(), state);
}

#[test]
fn a_swap_neither_restarts_the_clock_nor_forgets_what_to_take_back() {
    let mut run = hot(HOT);
    run.cycles(MINUTE - 2);
    swap(&mut run, HOT);
    run.cycles(3);
    assert_eq!(run.values_of(LIMIT), [200], "the minute went on");
    swap(&mut run, HOT);
    run.cycles(MINUTE);
    run.world.cpu_usage = Some(0.0);
    run.cycles(2 * MINUTE);
    assert_eq!((run.world.setting(LIMIT), run.turns.len()), (256, 2), "{:#?}", run.turns);
}

#[test]
fn after_a_restart_a_rule_that_still_holds_does_its_part_anew() {
    let mut run = hot(HOT);
    run.cycles(3 * MINUTE);
    run.world.set(LIMIT, 256);
    swap(&mut run, HOT);
    run.cycles(2);
    assert_eq!(run.values_of(LIMIT), [200, 200], "{:#?}", run.turns);
}

#[test]
fn time_in_which_nobody_looked_does_not_count() {
    let mut run = hot(HOT);
    run.cycles(MINUTE - 2);
    run.world.advance(600_000);
    swap(&mut run, HOT);
    run.cycles(MINUTE);
    assert_eq!(run.turns, []);
    run.cycles(1);
    assert_eq!(run.values_of(LIMIT), [200]);
}

#[test]
fn a_swap_to_other_rules_takes_back_what_the_old_ones_did() {
    let mut run = hot(HOT);
    run.cycles(3 * MINUTE);
    swap(&mut run, "cpu_usage > 6.0 -> set cache_ttl_ms = 20m");
    run.cycles(MINUTE);
    assert_eq!((run.world.setting(LIMIT), run.world.setting("cache_ttl_ms")), (256, 1_200_000), "{:#?}", run.turns);
}

#[test]
fn the_state_changes_at_most_once_a_minute_while_nothing_happens() {
    let mut run = hot("cpu_usage > 7.0 for 1h -> shed_load");
    let mut states: Vec<Vec<u8>> = (0..10 * MINUTE).map(|_| run.cycles(1).strategy.save()).collect();
    states.dedup();
    assert!(states.len() <= 11, "{}", states.len());
}

#[test]
fn foreign_state_is_refused_and_changes_nothing() {
    let mut run = hot(HOT);
    run.cycles(3 * MINUTE);
    let state = run.strategy.save();
    let half = &state[..state.len() - HOT.len() - 3];
    for foreign in [&b"\xff"[..], b"perfhost-rules 2", b"perfhost-rules 1", b"perfhost-rules 1\n0\nsomething", half] {
        assert!(
            matches!(run.strategy.restore(foreign), Err(Fault::Unsupported(_))),
            "{}",
            String::from_utf8_lossy(foreign)
        );
        assert_eq!(run.strategy.save(), state);
    }
}
