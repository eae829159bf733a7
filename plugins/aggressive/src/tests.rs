//! Aggressive in the model: it climbs while that brings tokens, and knows when to stop.

use strategy_kit::testing::{Run, World};
use strategy_kit::types::Fault;
use strategy_kit::{Instance, Strategy};

use crate::Aggressive;

const TOKENS: &str = "tokens_per_second";

#[test]
fn eight_clients_get_eight_slots_in_three_proposals_and_no_more() {
    let mut run = Run::<Strategy<Aggressive>>::new(8, &[]);
    run.world.advance(60_000);
    let before = run.mean(TOKENS);
    run.cycles(40);
    assert_eq!(run.values_of("engine_slots"), [2, 4, 8], "{:#?}", run.turns);
    assert!(run.mean(TOKENS) > 1.8 * before, "{} after {before}", run.mean(TOKENS));
    assert_eq!(run.guard.refusals, 0);
    run.cycles(200);
    assert_eq!(run.turns.len(), 3, "{:#?}", run.turns);
}

#[test]
fn a_doubling_without_gain_is_taken_back_and_remembered() {
    let mut run = Run::<Strategy<Aggressive>>::new(64, &[]);
    run.world.hardware.memory_free_bytes = 64 << 30;
    run.cycles(100);
    // Beyond sixteen the model has nothing more to give.
    let slots = run.values_of("engine_slots");
    assert_eq!(slots, [2, 4, 8, 16, 32, 16], "{:#?}", run.turns);
    assert_eq!(run.world.setting("engine_slots"), 16);
}

#[test]
fn a_rolled_back_step_is_not_tried_again_soon_even_by_the_next_instance() {
    let mut run = Run::<Strategy<Aggressive>>::new(8, &[]);
    run.guard.rolls_back_from = Some(("engine_slots", 8));
    run.cycles(80);
    // A smaller step is tried where a doubling did harm; no value comes twice.
    let slots = [2, 4, 8, 6, 12, 9];
    assert_eq!(run.values_of("engine_slots"), slots);
    assert_eq!(run.world.setting("engine_slots"), 6);
    let state = run.strategy.save();
    run.strategy = Strategy::default();
    run.strategy.configure(&[], World::knobs()).expect("no parameters");
    run.strategy.restore(&state).expect("own state");
    assert_eq!(run.strategy.save(), state);
    run.cycles(20);
    assert_eq!(run.values_of("engine_slots"), slots);
    // Ten minutes later it is worth another try.
    run.guard.rolls_back_from = None;
    run.cycles(120);
    assert!(run.world.setting("engine_slots") >= 8, "{:#?}", run.turns);
}

#[test]
fn a_limit_below_the_slots_is_raised_with_them() {
    let mut run = Run::<Strategy<Aggressive>>::new(8, &[]);
    run.world.set("concurrency_limit", 2);
    run.cycles(100);
    assert_eq!(run.world.setting("engine_slots"), 8, "{:#?}", run.turns);
    assert!(run.world.setting("concurrency_limit") >= 8);
}

#[test]
fn refusals_lengthen_the_queue() {
    let mut run = Run::<Strategy<Aggressive>>::new(200, &[("slots_max", "1")]);
    run.world.set("concurrency_limit", 4);
    run.world.set("queue_length", 16);
    run.world.advance(60_000);
    run.cycles(150);
    assert!(run.world.setting("queue_length") > 100, "{:#?}", run.turns);
}

#[test]
fn memory_bounds_the_slots() {
    let mut run = Run::<Strategy<Aggressive>>::new(8, &[]);
    // 2,048 tokens of 128 KiB are 256 MiB a slot: with a fifth on top, 1.5 GiB takes four but not eight.
    run.world.hardware.memory_free_bytes = 3 << 29;
    run.cycles(100);
    assert_eq!(run.world.setting("engine_slots"), 4, "{:#?}", run.turns);
}

#[test]
fn a_cache_that_pays_gets_time_and_memory() {
    let mut run = Run::<Strategy<Aggressive>>::new(1, &[]);
    run.world.cache_hit_rate = Some(0.5);
    run.cycles(100);
    // One step for each lifetime of an answer: its effect cannot show sooner.
    assert_eq!(run.values_of("cache_ttl_ms"), [1_200_000], "{:#?}", run.turns);
    assert_eq!(run.values_of("cache_capacity_bytes"), [128 << 20], "{:#?}", run.turns);
}

#[test]
fn says_nothing_when_idle_or_when_slots_are_free() {
    assert_eq!(Run::<Strategy<Aggressive>>::new(0, &[]).cycles(50).turns, []);
    assert_eq!(Run::<Strategy<Aggressive>>::new(1, &[]).cycles(50).turns, []);
}

#[test]
fn bodies_without_streams_make_no_difference() {
    let mut run = Run::<Strategy<Aggressive>>::new(8, &[]);
    run.world.is_streaming = false;
    run.cycles(40);
    assert_eq!(run.values_of("engine_slots"), [2, 4, 8], "{:#?}", run.turns);
}

#[test]
fn unknown_parameters_are_refused_with_those_allowed() {
    let given = [("speed".to_owned(), "1".to_owned())];
    let fault = Strategy::<Aggressive>::default().configure(&given, World::knobs());
    let Err(Fault::InvalidParameter(message)) = fault else { panic!("{fault:?}") };
    assert!(message.contains("`speed`") && message.contains("gain_min, slots_max"), "{message}");
}
