//! Each built-in scenario shows its thing: it is there, and what copes with it does better than what does not.

use perfhost_simulation::scenario::built_in;
use perfhost_simulation::{Run, Scenario, Unattended, simulate};
use perfhost_strategy::{Plan, Value};

use crate::support::{Native, is_near};

fn scenario(name: &str) -> Scenario {
    built_in::find(name).unwrap()
}

fn with(name: &str, values: &[(&str, i64)]) -> Scenario {
    let mut scenario = scenario(name);
    scenario.knobs.extend(values.iter().map(|(name, value)| ((*name).to_owned(), Value::Integer(*value))));
    scenario
}

fn run(scenario: &Scenario) -> Run {
    simulate(scenario, 1, Unattended::default()).unwrap().0
}

/// Without what goes wrong.
fn calm(name: &str) -> Run {
    run(&Scenario { disturbances: Vec::new(), ..scenario(name) })
}

#[test]
fn steady_is_a_matter_of_slots() {
    let (one, eight) = (run(&scenario("steady")).whole, run(&with("steady", &[("engine_slots@local", 8)])).whole);
    assert!(is_near(eight.tokens_per_second / one.tokens_per_second, 2.1, 0.03) && one.goodput < 0.1);
    assert!(eight.goodput > 0.95, "{eight:?}");
}

#[test]
fn a_burst_cannot_be_served_in_full_and_a_short_queue_loses_least() {
    let eight = ("engine_slots@local", 8);
    let (long, short) =
        (with("burst", &[eight]), with("burst", &[eight, ("concurrency_limit", 10), ("queue_length", 4)]));
    let (long, short) = (run(&long).whole, run(&short).whole);
    assert!(long.goodput < 0.8 && long.given_up_rate > 0.0 && short.rejected_rate > 0.2, "{long:?} {short:?}");
    assert!(short.goodput > long.goodput + 0.05, "{} {}", short.goodput, long.goodput);
}

#[test]
fn a_slow_provider_hurts_those_who_stay_with_it() {
    let (calm, disturbed) = (calm("provider-slow").whole, run(&scenario("provider-slow")).whole);
    assert!(disturbed.first_token_p95_ms > 1.3 * calm.first_token_p95_ms, "{calm:?} {disturbed:?}");
    let by_wait = Native::new().planning(|asked, candidates| {
        let mut plan = Plan::default_for(asked, candidates);
        let wait = |index: &u32| candidates[*index as usize].ttft_p50_ms;
        plan.order.sort_by(|one, other| wait(one).total_cmp(&wait(other)));
        Ok(plan)
    });
    let avoided = by_wait.run(&scenario("provider-slow"), 1).0.whole;
    assert!(avoided.first_token_p95_ms < 0.8 * disturbed.first_token_p95_ms, "{avoided:?} {disturbed:?}");
}

#[test]
fn a_provider_that_is_down_costs_answers_without_retries_and_few_with_them() {
    assert_eq!(calm("provider-down").whole.error_rate, 0.0);
    let errors = |retries| run(&with("provider-down", &[("retries", retries)])).whole.error_rate;
    assert!(errors(0) > 0.02 && errors(2) < 0.2 * errors(0), "{} {}", errors(0), errors(2));
}

#[test]
fn memory_pressure_is_paid_for_by_those_who_took_all() {
    let slots = |slots| run(&with("memory-pressure", &[("engine_slots@local", slots)]));
    let (three, five) = (slots(3), slots(5));
    let during = |run: &Run, from: f64, to: f64| -> f64 {
        let points: Vec<_> = run.points.iter().filter(|point| (from..to).contains(&point.at_s)).collect();
        points.iter().map(|point| point.tokens_per_second).sum::<f64>() / points.len() as f64
    };
    assert!(during(&five, 600.0, 1_400.0) > during(&three, 600.0, 1_400.0), "more slots are worth having before");
    assert!(during(&five, 1_600.0, 2_300.0) < 0.3 * during(&three, 1_600.0, 2_300.0), "and cost dearly then");
    assert!(is_near(during(&five, 2_600.0, 3_500.0), during(&five, 600.0, 1_400.0), 0.1), "and it passes");
}

#[test]
fn a_friendly_cache_saves_most_of_the_work_and_a_hostile_one_nothing() {
    let (on, off) =
        (run(&scenario("cache-friendly")).whole, run(&with("cache-friendly", &[("cache_capacity_bytes", 0)])).whole);
    assert!(on.cache_hit_rate > 0.7 && on.goodput > off.goodput + 0.4, "{on:?} {off:?}");
    let (on, off) = (run(&scenario("cache-hostile")), run(&with("cache-hostile", &[("cache_capacity_bytes", 0)])));
    assert_eq!((on.whole.cache_hit_rate, on.whole.goodput), (0.0, off.whole.goodput));
}

#[test]
fn cold_models_are_loaded_less_often_by_those_who_go_where_they_are() {
    let anywhere = run(&scenario("cold-models")).whole;
    let to_the_warm = Native::new().planning(|asked, candidates| {
        let mut plan = Plan::default_for(asked, candidates);
        plan.order.sort_by_key(|index| !candidates[*index as usize].is_resident);
        Ok(plan)
    });
    let warm = to_the_warm.run(&scenario("cold-models"), 1).0.whole;
    assert!(anywhere.first_token_p95_ms > 5_000.0, "{anywhere:?}");
    assert!(warm.response_mean_ms < 0.7 * anywhere.response_mean_ms, "{warm:?} {anywhere:?}");
}
