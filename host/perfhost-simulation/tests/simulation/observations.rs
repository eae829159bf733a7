//! What a strategy sees: every metric with its unit and window, the fleet, the settings, the machine.

use perfhost_simulation::scenario::{Machine, built_in};
use perfhost_simulation::{Scenario, simulate};
use perfhost_strategy::observation::{Health, metric};
use perfhost_strategy::{Scope, Value};

use crate::support::{is_near, knobs, witness};

#[test]
fn every_metric_there_is_is_seen_with_its_unit() {
    let scenario = Scenario { duration_s: 120.0, ..built_in::find("cache-friendly").unwrap() };
    let (_, witness) = simulate(&scenario, 1, witness()).unwrap();
    let seen = witness.seen.last().unwrap();
    for info in metric::ALL {
        let found: Vec<_> = seen.metrics.iter().filter(|metric| metric.name == info.name).collect();
        // The simulated machine has none, and says so to strategies.
        if metric::OF_GPUS.contains(&info.name) {
            assert!(found.is_empty() && seen.hardware.gpus.is_empty());
            continue;
        }
        assert!(!found.is_empty() && found.iter().all(|metric| metric.unit == info.unit), "{}", info.name);
        let mut windows: Vec<u32> = found.iter().map(|metric| metric.window_ms).collect();
        windows.dedup();
        assert_eq!(windows, [10_000, 30_000, 60_000], "{}", info.name);
    }
    assert!(witness.ends.iter().all(|end| end.arm == 7));
}

#[test]
fn observations_come_at_their_interval_with_a_seed_of_their_own() {
    let scenario = Scenario { duration_s: 61.0, ..Scenario::default() };
    let (_, witness) = simulate(&scenario, 1, witness()).unwrap();
    let times: Vec<u64> = witness.seen.iter().map(|seen| seen.now_ms - witness.seen[0].now_ms).collect();
    assert_eq!(times, (0..12).map(|at| at * 5_000).collect::<Vec<_>>());
    let mut seeds: Vec<u64> = witness.seen.iter().map(|seen| seen.seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    assert_eq!(seeds.len(), 12);
}

#[test]
fn the_numbers_are_those_of_the_world() {
    let machine = Machine { cores: 2, memory_bytes: 16 << 30, other_bytes: 4 << 30 };
    let scenario =
        Scenario { duration_s: 200.0, machine, knobs: knobs(&[("engine_slots@local", 4)]), ..Scenario::default() };
    let (run, witness) = simulate(&scenario, 1, witness()).unwrap();
    let seen = witness.seen.last().unwrap();
    let (local, host) = (Scope::provider("local"), Scope::global());
    let mean = |name, scope: &Scope| seen.metric(name, scope, 60_000).unwrap().mean;
    assert!(is_near(mean(metric::TOKENS_PER_SECOND, &local), run.second_half.tokens_per_second, 0.05));
    assert!(is_near(mean(metric::IN_FLIGHT, &host), 8.0, 0.01));
    assert!(is_near(mean(metric::ENGINE_SLOTS_BUSY, &local), 4.0, 0.02));
    assert!(is_near(mean(metric::ENGINE_REQUESTS_DEFERRED, &local), 4.0, 0.02));
    assert!(is_near(mean(metric::CPU_USAGE, &host), 1.0, 0.01));
    let engine_bytes = ((253 + 256) << 20) + 4 * 2_048 * 18 * 512 * 2;
    assert_eq!(mean(metric::PROCESS_MEMORY, &local), f64::from(engine_bytes));
    let free = seen.hardware.memory_free_bytes;
    assert!(free < (12 << 30) - engine_bytes as u64 && free > (11 << 30), "{free}");
    let provider = &seen.providers[0];
    assert_eq!((provider.health, provider.managed, provider.in_flight), (Health::Up, true, 8));
    let slots = seen.settings.iter().find(|setting| setting.name == "engine_slots").unwrap();
    assert_eq!(slots.value, Value::Integer(4));
}

#[test]
fn a_provider_that_is_gone_is_seen_to_be_down_and_up_again() {
    let (_, witness) = simulate(&built_in::find("provider-down").unwrap(), 1, witness()).unwrap();
    let health = |at_s: u64, name: &str| {
        let began_ms = witness.seen[0].now_ms - 5_000;
        let seen = witness.seen.iter().find(|seen| seen.now_ms - began_ms == at_s * 1_000).unwrap();
        seen.providers.iter().find(|provider| provider.name == name).unwrap().health
    };
    assert_eq!(
        (health(895, "local"), health(905, "local"), health(1_205, "local")),
        (Health::Up, Health::Down, Health::Up)
    );
    assert_eq!((health(1_395, "service"), health(1_420, "service")), (Health::Up, Health::Down));
    assert_eq!(health(1_620, "service"), Health::Up);
}
