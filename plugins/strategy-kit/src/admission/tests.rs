//! Steps of admission before services, whose capacity nobody knows, and in quiet times before an engine. What they do
//! to an engine under load is in the tests of the strategies.

use super::*;
use crate::engine::engines;
use crate::knobs::Knobs;
use crate::testing::World;
use crate::types::{Metric, Observation, Setting, Summary, Value};

const TARGET_MS: f64 = 2_000.0;

/// One service with so many requests under way and waiting for admission, at a limit of 16.
fn service(under_way: f64, queued: f64) -> Observation {
    let mut seen = World::new(0).observe();
    seen.now_ms = 1_000_000;
    seen.providers[0].managed = false;
    seen.metrics.clear();
    set(&mut seen, LIMIT, 16);
    level(&mut seen, "in_flight", under_way, under_way);
    level(&mut seen, "queue_length", queued, queued);
    level(&mut seen, "rejected_rate", 0.0, 0.0);
    seen
}

fn set(seen: &mut Observation, name: &str, value: i64) {
    seen.settings.retain(|setting| setting.name != name);
    seen.settings.push(Setting { name: name.to_owned(), scope: String::new(), value: Value::Integer(value) });
}

fn level(seen: &mut Observation, name: &str, p50: f64, p95: f64) {
    for window_ms in [10_000, 60_000] {
        let summary = Summary { count: 50, mean: p50, min: p50, max: p95, p50, p95, p99: p95 };
        let (name, scope, unit) = (name.to_owned(), String::new(), String::new());
        seen.metrics.push(Metric { name, scope, unit, window_ms, summary });
    }
}

fn tuning() -> Tuning {
    Tuning { knobs: Knobs::new(World::knobs()), ..Tuning::default() }
}

fn wait(p50_ms: f64, p95_ms: f64) -> FirstToken {
    FirstToken { p50_ms, p95_ms, is_measured: true }
}

/// The knob and its new value.
fn turned(proposal: Option<Proposal>) -> Option<(String, i64)> {
    proposal.map(|proposal| match proposal.value {
        Value::Integer(value) => (proposal.name, value),
        other => panic!("{other:?}"),
    })
}

/// Tuning whose last step brought the limit from 24 to 16, with that effect.
fn after_lowering(effect: Effect) -> Tuning {
    let mut tuning = tuning();
    tuning.trials.remember(Tried {
        name: LIMIT.to_owned(),
        scope: String::new(),
        from: 24,
        value: 16,
        effect,
        demand: 16.0,
        at_ms: 900_000,
        is_return: false,
    });
    tuning
}

#[test]
fn late_first_tokens_of_some_do_not_count_as_load() {
    let observation = service(12.0, 0.0);
    let mut tuning = tuning();
    let seen = tuning.begin(&observation);
    // One of two services is slow: most answers begin early.
    assert_eq!(turned(tighten(&seen, &mut tuning, &[], wait(300.0, 6_000.0), TARGET_MS)), None);
    let lowered = tighten(&seen, &mut tuning, &[], wait(1_800.0, 6_000.0), TARGET_MS);
    let lowered = lowered.expect("typical answers are late, twelve at once may be why");
    assert_eq!(lowered.expected.as_ref().expect("an effect").metric, UPSTREAM);
    assert_eq!(turned(Some(lowered)), Some((LIMIT.to_owned(), 8)));
}

#[test]
fn two_at_once_are_no_load() {
    let observation = service(2.0, 0.0);
    let mut tuning = tuning();
    let seen = tuning.begin(&observation);
    assert_eq!(turned(tighten(&seen, &mut tuning, &[], wait(6_000.0, 9_000.0), TARGET_MS)), None);
}

#[test]
fn a_queue_before_services_that_answer_in_time_widens_the_limit() {
    let observation = service(16.0, 9.0);
    let mut tuning = tuning();
    let seen = tuning.begin(&observation);
    let widened = turned(tighten(&seen, &mut tuning, &[], wait(300.0, 6_000.0), TARGET_MS));
    assert_eq!(widened, Some((LIMIT.to_owned(), 24)));
    // Where a lower limit was seen to help, the queue is bounded instead.
    let mut tuning = after_lowering(Effect::Better);
    let seen = tuning.begin(&observation);
    let bounded = turned(tighten(&seen, &mut tuning, &[], wait(300.0, 6_000.0), TARGET_MS));
    assert_eq!(bounded.map(|(name, _)| name), Some(QUEUE_WAIT.to_owned()));
}

#[test]
fn a_lower_limit_that_helped_nothing_is_taken_back_where_it_makes_requests_wait() {
    let back = |effect, queued| {
        let observation = service(16.0, queued);
        let mut tuning = after_lowering(effect);
        let seen = tuning.begin(&observation);
        turned(take_back(&seen, &mut tuning, &[]))
    };
    for effect in [Effect::Same, Effect::Worse, Effect::Unknown] {
        assert_eq!(back(effect, 3.0), Some((LIMIT.to_owned(), 24)), "{effect:?}");
        assert_eq!(back(effect, 0.0), None, "{effect:?}");
    }
    assert_eq!(back(Effect::Better, 3.0), None);
}

#[test]
fn what_was_taken_back_unmeasured_is_not_tried_again_at_once() {
    let observation = service(16.0, 3.0);
    let mut tuning = after_lowering(Effect::Unknown);
    let seen = tuning.begin(&observation);
    assert!(take_back(&seen, &mut tuning, &[]).is_some());
    assert!(tuning.trials.is_ruled_out(LIMIT, HOST, 16));
}

/// An idle engine of eight slots whose first tokens come after 100 ms.
fn quiet_engine() -> Observation {
    let mut world = World::new(0);
    world.set("engine_slots", 8);
    let mut seen = world.observe();
    seen.now_ms = 1_000_000;
    level(&mut seen, TTFT, 100.0, 150.0);
    seen.metrics.retain(|metric| metric.summary.count > 0);
    seen
}

#[test]
fn what_a_rush_began_is_finished_when_it_is_over() {
    let mut observation = quiet_engine();
    let asked = |observation: &Observation, tuning: &mut Tuning| {
        let seen = tuning.begin(observation);
        let knobs = tuning.knobs.clone();
        let engines = engines(&seen, &knobs, 131_072.0);
        turned(finish(&seen, tuning, &engines, TARGET_MS))
    };
    assert_eq!(asked(&observation, &mut tuning()), None, "nothing was begun");
    let begun = || after_lowering(Effect::Unknown);
    assert_eq!(asked(&observation, &mut begun()), Some((LIMIT.to_owned(), 8)));
    set(&mut observation, LIMIT, 8);
    // A tenth in reserve, and what a first token takes by itself.
    assert_eq!(asked(&observation, &mut begun()), Some((QUEUE_WAIT.to_owned(), 1_700)));
    set(&mut observation, QUEUE_WAIT, 1_700);
    assert_eq!(asked(&observation, &mut begun()), None, "it is finished");
    let mut with_service = quiet_engine();
    let service = ProviderState { name: "service".to_owned(), managed: false, ..with_service.providers[0].clone() };
    with_service.providers.push(service);
    assert_eq!(asked(&with_service, &mut begun()), None, "nobody knows what the service can take");
}
