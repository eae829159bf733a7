//! What the model does not have: several providers, weights, words, and requests to plan.

use strategy_kit::Instance;
use strategy_kit::control::{Outcome, Verdict};
use strategy_kit::route::Candidate;
use strategy_kit::testing::World;
use strategy_kit::testing::requests::{candidate, request};
use strategy_kit::types::{Bounds, Knob, Metric, Observation, Proposal, Setting, Summary, Value};

use crate::Rules;

/// Three providers with a token time each; the processor is busy.
fn seen() -> Observation {
    let mut seen = World::new(0).observe();
    let provider = seen.providers.remove(0);
    let metric = |name: &str, scope: &str, mean: f64| Metric {
        name: name.to_owned(),
        scope: scope.to_owned(),
        unit: String::new(),
        window_ms: 10_000,
        summary: Summary { count: 10, mean, min: mean, max: mean, p50: mean, p95: mean, p99: mean },
    };
    seen.metrics = vec![metric("cpu_usage", "", 0.5), metric("error_rate", "small", 0.3)];
    for (name, token_ms) in [("large", 80.0), ("small", 9.0), ("middle", 30.0)] {
        seen.metrics.push(metric("time_per_output_token_ms", name, token_ms));
        seen.providers.push(strategy_kit::types::ProviderState { name: name.to_owned(), ..provider.clone() });
    }
    seen.settings = knobs()
        .iter()
        .map(|knob| Setting { name: knob.name.clone(), scope: knob.scope.clone(), value: knob.default.clone() })
        .collect();
    seen
}

fn knobs() -> Vec<Knob> {
    let knob = |name: &str, scope: &str, bounds: Bounds, default: Value| Knob {
        name: name.to_owned(),
        scope: scope.to_owned(),
        unit: String::new(),
        bounds,
        default,
        reload: false,
    };
    let mut knobs = Vec::new();
    for scope in ["large", "small", "middle"] {
        knobs.push(knob("candidate_weight", scope, Bounds::NumberRange((0.0, 100.0)), Value::Number(1.0)));
    }
    let words = ["f16", "q8_0", "q4_0"].map(str::to_owned).to_vec();
    knobs.push(knob("engine_kv_type", "large", Bounds::OneOf(words), Value::Text("f16".to_owned())));
    knobs.push(knob("hedge_after_ms", "", Bounds::IntegerRange((0, 600_000)), Value::Integer(0)));
    knobs
}

/// Every proposal that a rule makes, one after the other, each applied as asked.
fn everything_asked(rules: &str, mut seen: Observation) -> Vec<Proposal> {
    let mut strategy = Rules::default();
    strategy.configure(&[("rules".to_owned(), rules.to_owned())], knobs()).expect("allowed");
    let mut asked = Vec::new();
    for _ in 0..10 {
        seen.now_ms += 5_000;
        for proposal in strategy.propose(&seen) {
            let setting = seen.settings.iter_mut().find(|one| one.name == proposal.name && one.scope == proposal.scope);
            setting.expect("a knob that is there").value = proposal.value.clone();
            let outcome = Outcome {
                name: proposal.name.clone(),
                scope: proposal.scope.clone(),
                proposed: proposal.value.clone(),
                verdict: Verdict::Applied,
                detail: String::new(),
                measured: None,
            };
            strategy.learn(&[outcome.clone(), outcome]);
            asked.push(proposal);
        }
    }
    asked
}

fn words(asked: &[Proposal]) -> Vec<String> {
    let value = |value: &Value| crate::sight::from_contract(value).to_string();
    asked.iter().map(|one| format!("{}@{} {}", one.name, one.scope, value(&one.value))).collect()
}

#[test]
fn lightweight_models_get_the_traffic_of_the_others() {
    let asked = everything_asked("cpu_usage > 7.0 -> switch_to_lightweight_models", seen());
    assert_eq!(
        words(&asked),
        ["candidate_weight@large 0.25", "candidate_weight@middle 0.25", "engine_kv_type@large q8_0"]
    );
    let effect = asked[0].expected.as_ref().expect("an expectation");
    assert_eq!((effect.metric.as_str(), effect.ratio, asked[0].confidence), ("cpu_usage", 0.14, 0.5));
}

#[test]
fn where_nobody_knows_which_is_lightest_no_weight_is_turned_and_a_smaller_cache_stays() {
    let mut seen = seen();
    seen.metrics.retain(|metric| metric.name != "time_per_output_token_ms" || metric.scope == "small");
    let kv_type = seen.settings.iter_mut().find(|setting| setting.name == "engine_kv_type").expect("there");
    kv_type.value = Value::Text("q4_0".to_owned());
    assert_eq!(words(&everything_asked("cpu_usage > 7.0 -> switch_to_lightweight_models", seen)), [] as [&str; 0]);
}

#[test]
fn an_action_goes_to_the_provider_that_the_trigger_looks_at() {
    assert_eq!(
        words(&everything_asked("error_rate@small > 5% -> avoid_provider", seen())),
        ["candidate_weight@small 0.25"]
    );
    let named = "error_rate@small > 5% -> prefer_provider@middle, avoid_provider";
    assert_eq!(words(&everything_asked(named, seen())), ["candidate_weight@middle 4", "candidate_weight@small 0.25"]);
}

#[test]
fn a_share_of_what_is_not_measured_is_left_out() {
    assert_eq!(words(&everything_asked("cpu_usage > 7.0 -> enable_hedging", seen())), [] as [&str; 0]);
    let mut seen = seen();
    let summary = Summary { count: 40, mean: 300.0, min: 100.0, max: 900.0, p50: 250.0, p95: 800.0, p99: 880.0 };
    let name = "time_to_first_token_ms".to_owned();
    seen.metrics.push(Metric { name, scope: String::new(), unit: String::new(), window_ms: 10_000, summary });
    assert_eq!(words(&everything_asked("cpu_usage > 7.0 -> enable_hedging", seen)), ["hedge_after_ms@ 800"]);
}

#[test]
fn requests_go_where_least_is_under_way_and_the_model_is_loaded() {
    let busy = Candidate { in_flight: 5, ..candidate(0) };
    let cold = Candidate { resident: false, ..candidate(1) };
    let failing = Candidate { error_rate: 0.5, ..candidate(2) };
    let free = Candidate { in_flight: 1, ..candidate(3) };
    assert_eq!(Rules::default().plan(&request(), &[busy, cold, failing, free]).order, [3, 1, 0, 2]);
}
