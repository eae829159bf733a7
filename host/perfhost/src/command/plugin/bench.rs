//! `perfhost plugin bench`: what a strategy's calls cost, what memory it takes, and how fast it loads, beside the budgets.

mod times;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use perfhost_strategy::strategy::{Identity, InstanceMemory, World};
use perfhost_strategy::{KnobId, Strategy, typical};
use perfhost_wasm::{Limits, NoHistory, PluginSource, Stage};
use serde::Serialize;

use crate::cli::BenchFlags;
use crate::command::plugin_file::read;
use crate::command::print::{self, bytes, number, table};
use crate::command::sandbox::Sandbox;
use crate::command::waiting::Waiting;
use times::Times;

/// Numbers of candidates for which plans are measured.
const CANDIDATES: [u32; 4] = [1, 3, 10, 100];

/// Plans in one batch; the mean of a batch does not hold the cost of reading the clock.
const BATCH: u64 = 100;

/// Loads that are measured.
const MOST_LOADS: u64 = 200;

/// What was measured.
#[derive(Serialize)]
struct Measured {
    /// Version of the perfhost that measured.
    perfhost: &'static str,
    /// Whether that perfhost was built for speed; if not, calls cost several times what they do in production.
    is_optimised: bool,
    strategy: Identity,
    file_bytes: usize,
    compiled_bytes: Option<u64>,
    memory: InstanceMemory,
    /// With nothing compiled before.
    load_cold_ms: f64,
    /// With the compiled code at hand, all stages.
    load_cached_ms: Times,
    /// Making one instance and starting it.
    instantiate_ms: Times,
    /// A new instance, told everything, and its first plan.
    first_plan_ms: Option<Times>,
    propose_us: Times,
    plans: Vec<PlanCost>,
    /// What a host asks of it.
    budgets: Budgets,
}

/// Plans over one number of candidates, on warm instances.
#[derive(Serialize)]
struct PlanCost {
    candidates: u32,
    /// Mean of a call, from batches.
    mean_us: f64,
    calls_per_second: f64,
    /// Single calls, the clock's own cost included.
    single_us: Times,
}

/// What a host asks of a strategy.
#[derive(Serialize)]
struct Budgets {
    /// The knob `plan_budget_us`: most plans over it, and requests follow the host's own plan.
    plan_us: f64,
    /// A plan that runs longer is ended.
    plan_limit_ms: f64,
    /// Any other call that runs longer is ended.
    call_limit_ms: f64,
    memory_limit_bytes: u64,
}

pub(super) fn bench(flags: &BenchFlags) -> Result<()> {
    let source = read(&flags.plugin, None)?;
    let most = Duration::from_secs(flags.seconds);
    let limits = Limits::default();
    let sandbox = Sandbox::new(limits.clone())?;
    let load = || sandbox.runtime.load(&source, Arc::new(NoHistory));

    let waiting = Waiting::on_stderr();
    waiting.show("loading; compiling takes some seconds for Python and JavaScript");
    let started = Instant::now();
    let strategy = load()?;
    let load_cold_ms = started.elapsed().as_secs_f64() * 1e3;
    let load_cached_ms = times::each(MOST_LOADS, most, || load().map(drop))?.in_ms();
    let inspection = sandbox.runtime.inspect(&source);
    let mut instantiations = Vec::new();
    let until = Instant::now() + most;
    while instantiations.len() < MOST_LOADS as usize && (instantiations.is_empty() || Instant::now() < until) {
        let stages = sandbox.runtime.inspect(&source).stages;
        let stage = stages.iter().find(|stage| stage.stage == Stage::Instantiate);
        instantiations.push(Duration::from_micros(stage.map_or(0, |stage| stage.duration_us)));
    }

    waiting.show("measuring calls");
    tell(strategy.as_ref(), flags)?;
    let seen = typical::observation();
    let propose = times::each(2_000, most, || strategy.propose(&seen).map(drop)).map_err(failed)?;
    let is_routed = strategy.identity().world == World::Strategy;
    let mut plans = Vec::new();
    for candidates in CANDIDATES.into_iter().filter(|_| is_routed) {
        plans.push(plan_cost(strategy.as_ref(), candidates, most)?);
    }
    let budget = KnobId::PlanBudget.knob().default.as_number().unwrap_or(0.0);
    let first_plan_ms = if is_routed { Some(first_plans(&source, flags, most)?) } else { None };
    drop(waiting);
    let measured = Measured {
        perfhost: env!("CARGO_PKG_VERSION"),
        is_optimised: !cfg!(debug_assertions),
        strategy: strategy.identity().clone(),
        file_bytes: source.bytes.len(),
        compiled_bytes: inspection.compiled_bytes,
        memory: strategy.memory(),
        load_cold_ms,
        load_cached_ms,
        instantiate_ms: Times::of(instantiations).in_ms(),
        first_plan_ms,
        propose_us: propose,
        plans,
        budgets: Budgets {
            plan_us: budget,
            plan_limit_ms: limits.plan_timeout.as_secs_f64() * 1e3,
            call_limit_ms: limits.call_timeout.as_secs_f64() * 1e3,
            memory_limit_bytes: limits.memory_bytes,
        },
    };
    print::print(&measured, flags.output, layout)
}

fn failed(error: perfhost_strategy::StrategyError) -> anyhow::Error {
    anyhow::anyhow!("{error}; `perfhost plugin check` says more")
}

fn tell(strategy: &dyn Strategy, flags: &BenchFlags) -> Result<()> {
    strategy.configure(&flags.param, &typical::knobs()).map_err(failed).context("configuring it")?;
    if strategy.identity().world == World::Strategy {
        strategy.fleet(&typical::fleet(100)).map_err(failed)?;
    }
    Ok(())
}

/// Batches for the mean, because the clock itself costs a good part of a call, and single calls for the tail.
fn plan_cost(strategy: &dyn Strategy, count: u32, most: Duration) -> Result<PlanCost> {
    let (asked, candidates) = (typical::request(), typical::candidates(count));
    let call = || strategy.plan(&asked, &candidates).map(drop);
    let batches = times::each(1_000, most, || (0..BATCH).try_for_each(|_| call())).map_err(failed)?;
    let single_us = times::each(100_000, most, call).map_err(failed)?;
    let mean_us = batches.p50 / BATCH as f64;
    if mean_us <= 0.0 {
        bail!("the clock of this machine is too coarse to measure a plan");
    }
    Ok(PlanCost { candidates: count, mean_us, calls_per_second: 1e6 / mean_us, single_us })
}

/// Instantiate, describe, configure, fleet and the first plan, with no warm instance to take.
fn first_plans(source: &PluginSource, flags: &BenchFlags, most: Duration) -> Result<Times> {
    let sandbox = Sandbox::new(Limits { warm_max: 0, ..Limits::default() })?;
    let strategy = sandbox.runtime.load(source, Arc::new(NoHistory))?;
    tell(strategy.as_ref(), flags)?;
    let (asked, candidates) = (typical::request(), typical::candidates(3));
    let times = times::each(500, most, || strategy.plan(&asked, &candidates).map(drop)).map_err(failed)?;
    Ok(times.in_ms())
}

fn layout(measured: &Measured) -> String {
    let Measured { strategy, budgets, memory, .. } = measured;
    let mut text = format!("{} {}, sha256 {}\n\n", strategy.name, strategy.version, strategy.digest);
    let size = |count: u64| bytes(count as f64);
    let allowed = size(budgets.memory_limit_bytes);
    let mut rows = vec![
        vec!["file".to_owned(), size(measured.file_bytes as u64), String::new()],
        vec!["compiled code".to_owned(), measured.compiled_bytes.map_or("-".to_owned(), size), String::new()],
        vec!["memory of the control instance".to_owned(), size(memory.control_bytes), allowed.clone()],
    ];
    if memory.planning_bytes > 0 {
        rows.push(vec!["memory of a planning instance".to_owned(), size(memory.planning_bytes), allowed]);
    }
    text += &table(&["SIZE OF", "IS", "ALLOWED"], &rows);

    let spread = |times: &Times| vec![number(times.p50), number(times.p99)];
    let mut rows = vec![vec!["load, nothing compiled".to_owned(), number(measured.load_cold_ms), "-".to_owned()]];
    rows.push([vec!["load, compiled before".to_owned()], spread(&measured.load_cached_ms)].concat());
    rows.push([vec!["make an instance".to_owned()], spread(&measured.instantiate_ms)].concat());
    if let Some(first) = &measured.first_plan_ms {
        rows.push([vec!["new instance and first plan".to_owned()], spread(first)].concat());
    }
    text += &format!("\n{}", table(&["MILLISECONDS TO", "P50", "P99"], &rows));

    let call_limit = format!("{} ms", number(budgets.call_limit_ms));
    let mut rows = vec![vec![
        "propose".to_owned(),
        number(measured.propose_us.p50),
        number(measured.propose_us.p99),
        number(1e6 / measured.propose_us.p50.max(0.001)),
        call_limit,
    ]];
    for plan in &measured.plans {
        let candidates = if plan.candidates == 1 { "candidate" } else { "candidates" };
        rows.push(vec![
            format!("plan, {} {candidates}", plan.candidates),
            number(plan.mean_us),
            number(plan.single_us.p99),
            number(plan.calls_per_second),
            format!("{} us{}", number(budgets.plan_us), if plan.mean_us > budgets.plan_us { ", over" } else { "" }),
        ]);
    }
    text += &format!("\n{}", table(&["MICROSECONDS OF", "P50", "P99", "CALLS/S", "BUDGET"], &rows));
    if measured.plans.iter().any(|plan| plan.mean_us > budgets.plan_us) {
        text += "over: a host stops asking a strategy whose plans are mostly late, and lets it tune only\n";
    }
    if !measured.is_optimised {
        text += "this perfhost is not an optimised build: in production calls cost a fraction of this\n";
    }
    text
}
