//! What a strategy costs: calls on warm instances, a new instance, loading with and without cached code. Prints JSON.
//!
//!     cargo run --release -p perfhost-wasm --example strategy_calls -- strategy.wasm
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a program for people and for `make bench`")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use perfhost_strategy::observation::{Hardware, Metric, Setting, Summary, metric};
use perfhost_strategy::plan::{FleetNames, Operation, Target};
use perfhost_strategy::strategy::World;
use perfhost_strategy::{Candidate, KnobId, Observation, PlanRequest, Scope, Strategy};
use perfhost_wasm::{NoHistory, PluginSource, Runtime, RuntimeConfig};
use serde_json::{Value, json};

fn main() {
    let path = std::env::args().nth(1).expect("usage: strategy_calls FILE.wasm");
    let source = PluginSource { bytes: std::fs::read(&path).expect("the file can be read"), name: path };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cached = RuntimeConfig { cache_dir: Some(folder.path().to_owned()), ..RuntimeConfig::default() };
    let runtime = Runtime::new(cached).expect("a sandbox");

    let load = || runtime.load(&source, Arc::new(NoHistory)).expect("the strategy loads");
    let started = Instant::now();
    let strategy = load();
    let cold_load_ms = started.elapsed().as_secs_f64() * 1e3;
    let cached_load = times(200, || drop(load()));

    strategy.fleet(&fleet(10)).expect("the fleet is taken");
    let seen = observation();
    let propose = times(2_000, || drop(strategy.propose(&seen).expect("proposals")));
    let is_routed = strategy.identity().world == World::Strategy;
    let plans: Vec<Value> =
        if is_routed { [1, 3, 10].map(|count| plan(&*strategy, count)).to_vec() } else { Vec::new() };
    let report = runtime.inspect(&source);
    println!(
        "{}",
        json!({
            "strategy": strategy.identity(),
            "file_bytes": source.bytes.len(),
            "compiled_bytes": report.compiled_bytes,
            "plan_warm": plans,
            "propose_us": propose.in_us(),
            "first_plan_on_new_instance_us": is_routed.then(|| new_instance(&source)),
            "load_cold_ms": cold_load_ms,
            "load_cached_us": cached_load.in_us(),
            "load_cached_stages_us": report.stages.iter().map(|stage| (stage.stage.name().to_owned(), stage.duration_us.into())).collect::<serde_json::Map<_, Value>>(),
        })
    );
}

/// Times of single calls, sorted.
struct Times(Vec<Duration>);

impl Times {
    fn in_us(&self) -> Value {
        let at = |share: f64| self.0[((self.0.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e6;
        json!({ "p50": at(0.5), "p99": at(0.99), "min": at(0.0), "calls": self.0.len() })
    }
}

fn times(count: usize, mut call: impl FnMut()) -> Times {
    (0..count / 10).for_each(|_| call());
    let mut times: Vec<Duration> = (0..count)
        .map(|_| {
            let started = Instant::now();
            call();
            started.elapsed()
        })
        .collect();
    times.sort();
    Times(times)
}

/// Nanoseconds of a plan call: in batches, because the clock itself costs a good part of one, and one by one for the tail.
fn plan(strategy: &dyn Strategy, count: u32) -> Value {
    let (asked, candidates) = (request(), candidates(count));
    let call = || drop(strategy.plan(&asked, &candidates).expect("a plan"));
    (0..10_000).for_each(|_| call());
    let batches = times(300, || (0..1_000).for_each(|_| call()));
    let single = times(100_000, call);
    let ns = |time: Duration, calls: f64| time.as_secs_f64() * 1e9 / calls;
    json!({
        "candidates": count,
        "mean_ns_median_of_batches": ns(batches.0[batches.0.len() / 2], 1e3),
        "mean_ns_best_batch": ns(batches.0[0], 1e3),
        "single_p50_ns": ns(single.0[single.0.len() / 2], 1.0),
        "single_p99_ns": ns(single.0[single.0.len() * 99 / 100], 1.0),
    })
}

/// Instantiate, describe, configure, fleet and the first plan, with no warm instance to take.
fn new_instance(source: &PluginSource) -> Value {
    let limits = perfhost_wasm::Limits { warm_max: 0, ..Default::default() };
    let cold = Runtime::new(RuntimeConfig { cache_dir: None, limits }).expect("a sandbox");
    let strategy = cold.load(source, Arc::new(NoHistory)).expect("the strategy loads");
    strategy.fleet(&fleet(3)).expect("the fleet is taken");
    let (asked, candidates) = (request(), candidates(3));
    times(500, || drop(strategy.plan(&asked, &candidates).expect("a plan"))).in_us()
}

fn fleet(targets: u32) -> FleetNames {
    let target = |at: u32| Target {
        provider: format!("provider-{at}"),
        model: "gemma-3-270m".to_owned(),
        kind: "llama.cpp".to_owned(),
    };
    FleetNames { targets: (0..targets).map(target).collect(), models: vec!["gemma-3-270m".to_owned()] }
}

fn request() -> PlanRequest {
    PlanRequest {
        operation: Operation::Chat,
        model: 0,
        is_streaming: true,
        is_deterministic: false,
        prompt_bytes: 812,
        max_tokens: 128,
        priority: 0,
        deadline_ms: 0,
        key: 0x1234_5678_9abc_def0,
        session: 0,
        was_seen_before: false,
    }
}

fn candidates(count: u32) -> Vec<Candidate> {
    (0..count)
        .map(|target| Candidate {
            target,
            in_flight: target + 1,
            is_resident: true,
            latency_p50_ms: 120.0,
            ttft_p50_ms: 30.0,
            weight: 1.0,
            ..Candidate::default()
        })
        .collect()
}

/// As large as a real one: every metric in three scopes, every knob in two.
fn observation() -> Observation {
    let summary = Summary { count: 100, mean: 40.0, min: 10.0, max: 90.0, p50: 38.0, p95: 80.0, p99: 88.0 };
    let scopes = [Scope::global(), Scope::provider("local"), Scope::model("local", "gemma-3-270m")];
    let metrics = scopes.iter().flat_map(|scope| {
        metric::ALL.iter().map(move |info| Metric {
            name: info.name.to_owned(),
            scope: scope.clone(),
            unit: info.unit.to_owned(),
            window_ms: 10_000,
            summary,
        })
    });
    let settings = scopes[..2].iter().flat_map(|scope| {
        KnobId::ALL.iter().map(move |id| Setting {
            name: id.name().to_owned(),
            scope: scope.clone(),
            value: id.knob().default,
        })
    });
    Observation {
        now_ms: 1_750_000_000_000,
        seed: 1,
        interval_ms: 5_000,
        metrics: metrics.collect(),
        settings: settings.collect(),
        hardware: Hardware { physical_cores: 2, logical_cores: 2, ..Hardware::default() },
        ..Observation::default()
    }
}
