//! What strategies cost: calls on warm instances, a new instance, its memory, loading with and without cached code, and a
//! million plans one after another. Prints JSON, one object a strategy.
//!
//!     cargo run --release -p perfhost-wasm --example strategy_calls -- [--calls 1000000] NAME=FILE.wasm[.lzma] ...
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a program for people and for `make bench`")]

mod times;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use perfhost_strategy::Strategy;
use perfhost_strategy::strategy::World;
use perfhost_strategy::typical::{candidates, fleet, observation, request};
use perfhost_wasm::{NoHistory, PluginSource, Runtime, RuntimeConfig};
use serde_json::{Value, json};
use times::{resident_bytes, times};

/// For measuring one thing.
const MOST: Duration = Duration::from_secs(3);
/// Calls in one batch: the clock itself costs a good part of a short one.
const BATCH: u32 = 200;
/// A call this long is measured by itself: a batch of them would not fit in the time that a busy machine gives at once.
const SLOW: Duration = Duration::from_micros(10);
/// Instances whose memory is measured together.
const TOGETHER: usize = 16;

fn main() {
    let mut calls = 1_000_000;
    let mut named = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.split_once('=') {
            Some((name, path)) => named.push((name.to_owned(), path.to_owned())),
            None if argument == "--calls" => {
                calls = arguments.next().and_then(|count| count.parse().ok()).expect("--calls has a number");
            }
            None => panic!("usage: strategy_calls [--calls 1000000] NAME=FILE.wasm[.lzma] ..."),
        }
    }
    for (name, path) in named {
        let source = PluginSource { bytes: read(Path::new(&path)), name: path };
        println!("{}", measure(&name, &source, calls));
    }
}

fn read(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).expect("the file can be read");
    if path.extension().is_none_or(|extension| extension != "lzma") {
        return bytes;
    }
    let mut unpacked = Vec::new();
    let mut packed = lzma_rust2::LzmaReader::new_mem_limit(&bytes[..], 96 << 10, None).expect("a packed file");
    packed.read_to_end(&mut unpacked).expect("the file is whole");
    unpacked
}

fn measure(name: &str, source: &PluginSource, calls: u64) -> Value {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cached = RuntimeConfig { cache_dir: Some(folder.path().to_owned()), ..RuntimeConfig::default() };
    let runtime = Runtime::new(cached).expect("a sandbox");
    let load = || runtime.load(source, Arc::new(NoHistory)).expect("the strategy loads");
    let started = Instant::now();
    let strategy = load();
    let load_cold_ms = started.elapsed().as_secs_f64() * 1e3;
    let load_cached = times(200, 3 * MOST, || drop(load()));
    let mut stages: BTreeMap<&str, u64> = BTreeMap::new();
    for _ in 0..20 {
        for stage in runtime.inspect(source).stages {
            let best = stages.entry(stage.stage.name()).or_insert(u64::MAX);
            *best = stage.duration_us.min(*best);
        }
    }

    strategy.fleet(&fleet(10)).expect("the fleet is taken");
    let seen = observation();
    let propose = times(2_000, MOST, || drop(strategy.propose(&seen).expect("proposals")));
    let is_routed = strategy.identity().world == World::Strategy;
    json!({
        "name": name,
        "strategy": strategy.identity(),
        "file_bytes": source.bytes.len(),
        "compiled_bytes": runtime.inspect(source).compiled_bytes,
        "load_cold_ms": load_cold_ms,
        "load_cached_us": load_cached.in_us(1),
        "load_cached_best_stages_us": stages,
        "propose_us": propose.in_us(1),
        "plan_us": is_routed.then(|| {
            [1, 3, 10].map(|count| (count.to_string(), plan(&*strategy, count))).into_iter().collect::<BTreeMap<_, _>>()
        }),
        "instance": is_routed.then(|| instance(&runtime, source)),
        "endurance": is_routed.then(|| endurance(&runtime, source, calls)),
    })
}

/// Plans on warm instances: the mean of each batch, and single calls for the tail.
fn plan(strategy: &dyn Strategy, count: u32) -> Value {
    let (asked, candidates) = (request(), candidates(count));
    let call = || drop(strategy.plan(&asked, &candidates).expect("a plan"));
    let single = times(100_000, MOST / 3, call);
    let batch = if single.median() < SLOW { BATCH } else { 1 };
    let batches = times(5_000, MOST, || (0..batch).for_each(|_| call()));
    json!({ "batches": batches.in_us(batch), "single": single.in_us(1) })
}

/// A new instance that is told everything, and its first plan; and what each of many takes of this process's memory.
fn instance(runtime: &Arc<Runtime>, source: &PluginSource) -> Value {
    let strategy = runtime.load(source, Arc::new(NoHistory)).expect("the strategy loads");
    strategy.fleet(&fleet(3)).expect("the fleet is taken");
    strategy.rest();
    let (asked, candidates) = (request(), candidates(3));
    let first_plan = times(500, MOST, || {
        drop(strategy.plan(&asked, &candidates).expect("a plan"));
        strategy.rest();
    });
    let before = resident_bytes();
    strategy.warm(TOGETHER).expect("instances");
    let instances = strategy.warm_instances().max(1) as u64;
    json!({
        "new_with_first_plan_us": first_plan.in_us(1),
        "memory_bytes": strategy.memory().planning_bytes,
        "resident_bytes": resident_bytes().saturating_sub(before) / instances,
    })
}

/// One plan after another, as a host makes them; none may fail.
fn endurance(runtime: &Arc<Runtime>, source: &PluginSource, calls: u64) -> Value {
    let strategy = runtime.load(source, Arc::new(NoHistory)).expect("the strategy loads");
    strategy.fleet(&fleet(3)).expect("the fleet is taken");
    strategy.warm(1).expect("instances");
    let (asked, candidates) = (request(), candidates(3));
    let (mut failed, mut most_memory, mut most_resident, mut after_a_tenth) = (0_u64, 0, 0, 0);
    let started = Instant::now();
    for call in 0..calls {
        failed += u64::from(strategy.plan(&asked, &candidates).is_err());
        if call % 1_000 == 0 {
            most_memory = strategy.memory().planning_bytes.max(most_memory);
            most_resident = resident_bytes().max(most_resident);
            if call <= calls / 10 {
                after_a_tenth = most_resident;
            }
        }
    }
    let mean_us = started.elapsed().as_secs_f64() * 1e6 / calls.max(1) as f64;
    json!({
        "plans": calls,
        "failed": failed,
        "mean_us": mean_us,
        "most_instance_bytes": most_memory,
        "most_resident_bytes_in_first_tenth": after_a_tenth,
        "most_resident_bytes": most_resident,
        "instances": strategy.instances(),
    })
}
