//! Conservative in the model: it holds its target, with as few slots as that takes.

use strategy_kit::testing::{Run, World};
use strategy_kit::types::Fault;
use strategy_kit::{Instance, Strategy};

use crate::Conservative;

const TTFT: &str = "time_to_first_token_ms";

#[test]
fn holds_the_target_by_raising_slots_step_by_step() {
    let mut run = Run::<Strategy<Conservative>>::new(8, &[]);
    run.cycles(12);
    assert!(run.p95(TTFT) > 2000.0, "the model starts above the target: {}", run.p95(TTFT));
    run.cycles(120);
    assert!(run.p95(TTFT) <= 2000.0, "{} ms after {:#?}", run.p95(TTFT), run.turns);
    let slots = run.values_of("engine_slots");
    assert!(slots.windows(2).all(|pair| pair[1] > pair[0] && pair[1] <= 2 * pair[0]), "{slots:?}");
    assert!(run.mean("rejected_rate") < 0.001, "nobody had to be refused");
    assert_eq!(run.guard.refusals, 0, "{:#?}", run.turns);
}

#[test]
fn refuses_what_would_wait_too_long_when_slots_are_at_their_cap() {
    let mut run = Run::<Strategy<Conservative>>::new(48, &[("settle_s", "10")]);
    run.guard.refused_rise_max = 1.0;
    run.cycles(400);
    assert!(run.world.setting("engine_slots") <= 8, "four for each of two cores");
    assert!(run.p95(TTFT) <= 2000.0, "{} ms after {:#?}", run.p95(TTFT), run.turns);
    assert!(run.world.setting("queue_wait_ms") <= 2000);
    assert!(run.mean("tokens_per_second") > 120.0, "{}", run.mean("tokens_per_second"));
}

#[test]
fn sheds_as_much_as_a_guard_of_refusals_allows() {
    let mut run = Run::<Strategy<Conservative>>::new(48, &[("settle_s", "10")]);
    run.cycles(60);
    let before = run.p95(TTFT);
    run.cycles(340);
    assert!(run.p95(TTFT) < before, "{} after {before}: {:#?}", run.p95(TTFT), run.turns);
    assert!(run.mean("rejected_rate") < 0.3, "{}", run.mean("rejected_rate"));
    assert_eq!(run.guard.refusals, 0);
}

#[test]
fn gives_capacity_back_where_admission_is_tighter_than_the_target_needs() {
    let mut run = Run::<Strategy<Conservative>>::new(8, &[("settle_s", "10")]);
    for (name, value) in [("engine_slots", 6), ("concurrency_limit", 3), ("queue_wait_ms", 100)] {
        run.world.set(name, value);
    }
    run.world.advance(60_000);
    assert!(run.mean("rejected_rate") > 0.5, "the model starts too tight: {}", run.mean("rejected_rate"));
    run.cycles(200);
    assert!(run.mean("rejected_rate") < 0.1, "{} {:#?}", run.mean("rejected_rate"), run.turns);
    assert!(run.p95(TTFT) <= 2000.0, "{}", run.p95(TTFT));
    let waits = run.values_of("queue_wait_ms");
    assert!(waits.windows(2).all(|pair| pair[1] <= 2 * pair[0]), "step by step: {waits:?}");
}

#[test]
fn bodies_without_streams_are_judged_by_what_waits() {
    let mut run = Run::<Strategy<Conservative>>::new(8, &[]);
    run.world.is_streaming = false;
    run.cycles(120);
    assert!(run.world.setting("engine_slots") >= 4, "{:#?}", run.turns);
}

#[test]
fn says_nothing_when_idle_or_within_the_target() {
    assert_eq!(Run::<Strategy<Conservative>>::new(0, &[]).cycles(50).turns, []);
    assert_eq!(Run::<Strategy<Conservative>>::new(1, &[]).cycles(50).turns, []);
    assert_eq!(Run::<Strategy<Conservative>>::new(8, &[("target_ttft_p95_ms", "60000")]).cycles(50).turns, []);
}

#[test]
fn memory_bounds_the_slots() {
    let mut run = Run::<Strategy<Conservative>>::new(8, &[]);
    // 2,048 tokens of 128 KiB are 256 MiB a slot: with a fifth on top, 1 GiB takes three.
    run.world.hardware.memory_free_bytes = 1 << 30;
    run.cycles(120);
    assert_eq!(run.world.setting("engine_slots"), 3, "{:#?}", run.turns);
}

#[test]
fn errors_take_load_off() {
    let mut run = Run::<Strategy<Conservative>>::new(4, &[("target_ttft_p95_ms", "60000")]);
    run.world.error_rate = 0.2;
    run.cycles(40);
    let limits = run.values_of("concurrency_limit");
    assert!(limits.len() >= 2 && limits.windows(2).all(|pair| pair[1] < pair[0]), "{:#?}", run.turns);
}

#[test]
fn what_was_learned_survives() {
    let mut run = Run::<Strategy<Conservative>>::new(8, &[]);
    run.cycles(60);
    let state = run.strategy.save();
    assert!(!state.is_empty());
    let mut other = Strategy::<Conservative>::default();
    other.restore(&state).expect("own state");
    assert_eq!(other.save(), state);
    assert!(matches!(other.restore(b"something else"), Err(Fault::Unsupported(_))));
}

#[test]
fn unknown_parameters_are_refused_with_those_allowed() {
    let given = [("target".to_owned(), "1".to_owned())];
    let fault = Strategy::<Conservative>::default().configure(&given, World::knobs());
    let Err(Fault::InvalidParameter(message)) = fault else { panic!("{fault:?}") };
    assert!(message.contains("`target`") && message.contains("target_ttft_p95_ms, target_error_rate"), "{message}");
}
