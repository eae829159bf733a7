//! The same scenario, seed and strategy are the same run, to the digit; and strategies meet the same requests.

use perfhost_simulation::scenario::built_in;
use perfhost_simulation::{RequestEnd, Scenario, Unattended, simulate};

use crate::support::{Native, Witness, proposal, witness};

fn short(scenario: Scenario) -> Scenario {
    Scenario { duration_s: 300.0, ..scenario }
}

#[test]
fn the_same_seed_is_the_same_run_and_another_seed_is_not() {
    for scenario in built_in::all().into_iter().map(short) {
        let run = |seed| {
            let busy = Native::new().proposing(|seen| {
                let limit = 8 + (seen.seed % 64) as i64;
                Ok(vec![proposal("concurrency_limit", "", limit), proposal("engine_slots", "local", limit % 8 + 1)])
            });
            let (run, account) = busy.run(&scenario, seed);
            (serde_json::to_string(&run).unwrap(), serde_json::to_string(&account).unwrap())
        };
        assert_eq!(run(3), run(3), "{}", scenario.name);
        assert_ne!(run(3).0, run(4).0, "{}", scenario.name);
    }
}

#[test]
fn open_loop_requests_are_the_same_whatever_is_done_with_them() {
    let scenario = short(built_in::find("cache-friendly").unwrap());
    let requests = |mut ends: Vec<RequestEnd>| {
        ends.sort_by_key(|end| end.number);
        ends.iter().map(|end| (end.number, end.arrived, end.model, end.is_streaming)).collect::<Vec<_>>()
    };
    let (_, quiet) = simulate(&scenario, 3, witness()).unwrap();
    let (_, busy) = simulate(
        &scenario,
        3,
        Witness::new(|_, settings| {
            let off = perfhost_strategy::Value::Integer(0);
            Some(settings.with(perfhost_strategy::KnobId::CacheCapacity, &perfhost_strategy::Scope::global(), off))
        }),
    )
    .unwrap();
    assert_eq!(requests(quiet.ends), requests(busy.ends));
}

#[test]
fn looking_changes_nothing() {
    for scenario in built_in::all().into_iter().map(short) {
        let (watched, _) = simulate(&scenario, 3, witness()).unwrap();
        let (unwatched, _) = simulate(&scenario, 3, Unattended::default()).unwrap();
        assert_eq!(watched, unwatched, "{}", scenario.name);
    }
}
