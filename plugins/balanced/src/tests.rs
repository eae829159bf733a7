//! Balanced in the model: it climbs until a limit or the lack of gain stops it.

use strategy_kit::testing::{Run, World};
use strategy_kit::types::{Fault, Observation};
use strategy_kit::{Instance, Strategy};

use crate::Balanced;

const TTFT: &str = "time_to_first_token_ms";
const TOKEN_TIME: &str = "time_per_output_token_ms";

#[test]
fn eight_clients_get_eight_slots_or_so() {
    let mut run = Run::<Strategy<Balanced>>::new(8, &[]);
    run.cycles(100);
    assert!((7..=9).contains(&run.world.setting("engine_slots")), "{:#?}", run.turns);
    assert!(run.p95(TTFT) <= 2000.0 && run.p95(TOKEN_TIME) <= 100.0);
    assert!(run.mean("tokens_per_second") > 150.0);
    assert_eq!(run.guard.refusals, 0);
}

#[test]
fn token_time_stops_the_climb_before_throughput_does() {
    let mut run = Run::<Strategy<Balanced>>::new(48, &[("slo_tpot_ms", "40")]);
    run.cycles(300);
    assert!(run.p95(TOKEN_TIME) <= 40.0, "{} {:#?}", run.p95(TOKEN_TIME), run.turns);
    assert!((3..=6).contains(&run.world.setting("engine_slots")), "{:#?}", run.turns);
}

#[test]
fn overload_is_refused_so_that_what_is_served_is_good() {
    let mut run = Run::<Strategy<Balanced>>::new(96, &[]);
    run.guard.refused_rise_max = 1.0;
    run.cycles(400);
    assert!(run.p95(TTFT) <= 2200.0, "{} {:#?}", run.p95(TTFT), run.turns);
    assert!(run.p95(TOKEN_TIME) <= 100.0, "{}", run.p95(TOKEN_TIME));
    assert!(run.mean("tokens_per_second") > 140.0, "{}", run.mean("tokens_per_second"));
}

#[test]
fn too_many_slots_are_lowered() {
    let mut run = Run::<Strategy<Balanced>>::new(64, &[]);
    run.world.set("engine_slots", 32);
    run.cycles(100);
    assert!(run.world.setting("engine_slots") < 32, "{:#?}", run.turns);
    assert!(run.p95(TOKEN_TIME) <= 105.0, "{}", run.p95(TOKEN_TIME));
}

#[test]
fn says_nothing_when_idle_or_when_nothing_is_known() {
    assert_eq!(Run::<Strategy<Balanced>>::new(0, &[]).cycles(50).turns, []);
    assert_eq!(Run::<Strategy<Balanced>>::new(1, &[]).cycles(50).turns, []);
    let nothing =
        Observation { metrics: Vec::new(), providers: Vec::new(), settings: Vec::new(), ..World::new(0).observe() };
    let mut strategy = Strategy::<Balanced>::default();
    assert!(strategy.propose(&nothing).is_empty());
    strategy.configure(&[], World::knobs()).expect("no parameters");
    assert!(strategy.propose(&nothing).is_empty());
}

#[test]
fn numbers_that_are_not_finite_count_as_unknown() {
    let mut world = World::new(8);
    world.advance(60_000);
    let mut seen = world.observe();
    for metric in &mut seen.metrics {
        (metric.summary.mean, metric.summary.p95) = (f64::NAN, f64::INFINITY);
    }
    let mut strategy = Strategy::<Balanced>::default();
    strategy.configure(&[], World::knobs()).expect("no parameters");
    for proposal in strategy.propose(&seen) {
        assert!(proposal.confidence.is_finite() && !proposal.reason.contains("unknown"), "{proposal:?}");
        assert!(proposal.expected.is_some_and(|effect| effect.ratio.is_finite()));
    }
}

#[test]
fn what_was_learned_survives() {
    let mut run = Run::<Strategy<Balanced>>::new(8, &[]);
    run.cycles(60);
    let state = run.strategy.save();
    assert!(!state.is_empty());
    let mut other = Strategy::<Balanced>::default();
    other.restore(&state).expect("own state");
    assert_eq!(other.save(), state);
}

#[test]
fn unknown_parameters_are_refused_with_those_allowed() {
    let given = [("slo".to_owned(), "1".to_owned())];
    let fault = Strategy::<Balanced>::default().configure(&given, World::knobs());
    let Err(Fault::InvalidParameter(message)) = fault else { panic!("{fault:?}") };
    assert!(message.contains("`slo`") && message.contains("slo_ttft_ms, slo_tpot_ms"), "{message}");
}
