//! Many calls one after another in every language: none fails, and memory stays bounded. Strategies written in Rust and C
//! make a million plans here; Python and JavaScript make fewer, so that this ends soon, and a million in `make bench`.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

#[path = "released/fixtures.rs"]
#[allow(dead_code, reason = "the tests of released contracts use all of it")]
mod fixtures;
mod support;

use std::sync::Arc;

use perfhost_strategy::observation::{Metric, Summary};
use perfhost_strategy::strategy::InstanceCounts;
use perfhost_strategy::{Observation, Scope, Strategy};
use perfhost_wasm::{Limits, NoHistory};
use support::{asked, candidates, fleet, seen};

/// Growth of this process that is no growth of a strategy: buffers, a new instance beside the one that it replaces.
const OWN_MIB: u64 = 32;

fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.map_or(0, |line| line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() >> 10)
}

fn observation() -> Observation {
    let summary = Summary { count: 100, mean: 40.0, min: 10.0, max: 90.0, p50: 38.0, p95: 80.0, p99: 88.0 };
    let metric = |name: &str| Metric {
        name: name.to_owned(),
        scope: Scope::global(),
        unit: "ms".to_owned(),
        window_ms: 10_000,
        summary,
    };
    Observation { metrics: ["response_time_ms", "in_flight", "queue_length"].map(metric).to_vec(), ..seen() }
}

/// Makes the calls and says what became of the planning instances.
fn endures(language: &str, plans: u32, proposals: u32) -> InstanceCounts {
    let bytes = fixtures::unpacked("0.1.0", language);
    let strategy: Arc<dyn Strategy> = fixtures::load(&fixtures::runtime(), &bytes, Arc::new(NoHistory));
    strategy.fleet(&fleet()).unwrap();
    strategy.warm(1).unwrap();
    let (ready, limits) = (strategy.memory().planning_bytes, Limits::default());
    let (asked, candidates, seen) = (asked(), candidates(3), observation());

    let mut resident = 0;
    for call in 0..plans {
        let plan = strategy.plan(&asked, &candidates).unwrap_or_else(|error| panic!("plan {call}: {error}"));
        assert_eq!(plan.order.len(), 3);
        if call == plans / 10 {
            resident = resident_mib();
        }
    }
    let grown = strategy.memory().planning_bytes.saturating_sub(ready);
    assert!(grown <= 4 * limits.retire_after_growth_bytes, "an instance grew by {grown} bytes");
    // An instance is replaced when it has grown by so much, and one more of those may be on its way out.
    let allowed = 2 * (limits.retire_after_growth_bytes >> 20) + OWN_MIB;
    let grown = resident_mib().saturating_sub(resident);
    assert!(grown <= allowed, "the process grew by {grown} MiB in the last nine tenths of {plans} plans");

    for call in 0..proposals {
        strategy.propose(&seen).unwrap_or_else(|error| panic!("proposal {call}: {error}"));
    }
    assert!(strategy.memory().control_bytes < limits.memory_bytes);
    strategy.instances()
}

#[test]
fn rust_endures_a_million_plans() {
    let counts = endures("rust", 1_000_000, 20_000);
    assert!(counts.retired >= 1, "{counts:?}");
}

#[test]
fn c_endures_a_million_plans() {
    let counts = endures("c", 1_000_000, 20_000);
    assert!(counts.retired >= 1, "{counts:?}");
}

#[test]
fn python_endures_many_plans() {
    endures("python", 100_000, 5_000);
}

/// One instance of this strategy fails after some 35,000 plans, having used up its memory.
#[test]
fn javascript_endures_several_times_what_one_instance_can() {
    let counts = endures("javascript", 100_000, 10_000);
    assert!(counts.retired >= 3, "{counts:?}");
}
