//! The strategies inside the binary, as the WebAssembly that runs in production, in the built-in scenarios.

use std::sync::Arc;

use perfhost::built_in;
use perfhost_simulation::scenario::built_in as scenarios;
use perfhost_simulation::{Account, Run, Scenario, StrategyOperator, Unattended, simulate};
use perfhost_strategy::{GuardPolicy, Value};
use perfhost_wasm::{NoHistory, PluginSource, Runtime, RuntimeConfig};

fn run(name: &str, parameters: &[(&str, &str)], scenario: &Scenario) -> (Run, Account) {
    run_with_seed(name, parameters, scenario, 1)
}

pub(crate) fn run_with_seed(name: &str, parameters: &[(&str, &str)], scenario: &Scenario, seed: u64) -> (Run, Account) {
    let runtime = Runtime::new(RuntimeConfig::default()).unwrap();
    let bytes = built_in::find(name).unwrap().to_vec();
    let strategy = runtime.load(&PluginSource { name: name.to_owned(), bytes }, Arc::new(NoHistory)).unwrap();
    let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let operator = StrategyOperator::new(strategy, parameters, GuardPolicy::default());
    let (run, operator) = simulate(scenario, seed, operator).unwrap();
    let account = operator.into_account();
    assert!(account.failures.is_empty(), "{:?}", account.failures);
    (run, account)
}

fn alone(scenario: &Scenario) -> Run {
    simulate(scenario, 1, Unattended::default()).unwrap().0
}

fn scenario(name: &str, minutes: f64) -> Scenario {
    Scenario { duration_s: minutes * 60.0, ..scenarios::find(name).unwrap() }
}

fn last_value(run: &Run, knob: &str) -> Option<f64> {
    let track = run.knobs.iter().find(|track| track.name == knob)?;
    track.values.last().and_then(|(_, value)| Value::as_number(value))
}

#[test]
fn aggressive_gets_the_measured_factor_out_of_eight_clients() {
    let steady = scenario("steady", 8.0);
    let (run, account) = run("aggressive", &[], &steady);
    let gain = run.second_half.tokens_per_second / alone(&steady).second_half.tokens_per_second;
    assert!((2.0..2.2).contains(&gain), "{gain}: measured are 166 over 79 tokens/s");
    assert_eq!((last_value(&run, "engine_slots"), run.whole.error_rate), (Some(8.0), 0.0));
    for decision in account.decisions.iter().filter(|decision| decision.applied.is_some()) {
        assert!(decision.measured.is_some(), "{decision:?}");
    }
}

#[test]
fn balanced_brings_goodput_from_nothing_to_nearly_all() {
    let steady = scenario("steady", 8.0);
    let (run, _) = run("balanced", &[], &steady);
    assert!(alone(&steady).second_half.goodput < 0.05 && run.second_half.goodput > 0.95, "{:?}", run.second_half);
}

#[test]
fn conservative_brings_the_first_token_under_its_target() {
    let (run, _) = run("conservative", &[("target_ttft_p95_ms", "1500")], &scenario("steady", 10.0));
    assert!(run.second_half.first_token_p95_ms < 1_500.0, "{:?}", run.second_half);
}

#[test]
fn no_strategy_does_worse_than_none_where_there_is_something_to_be_gained() {
    for name in ["aggressive", "balanced", "conservative"] {
        for scene in ["burst", "cache-friendly"] {
            let scenario = scenario(scene, 12.0);
            let (with, without) = (run(name, &[], &scenario).0.whole, alone(&scenario).whole);
            assert!(with.goodput > without.goodput, "{name} in {scene}: {} for {}", with.goodput, without.goodput);
        }
    }
}

#[test]
fn the_same_run_of_a_component_is_the_same_to_the_digit() {
    let burst = scenario("burst", 6.0);
    let text = || {
        let (run, account) = run("balanced", &[], &burst);
        (serde_json::to_string(&run).unwrap(), serde_json::to_string(&account).unwrap())
    };
    assert_eq!(text(), text());
}
