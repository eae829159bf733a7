//! What many trials of one kind came to: a row of a table.

use perfhost_strategy::experiment::statistics::{Level, OnlineBound};
use perfhost_strategy::experiment::{Confirmed, Metric};

use super::rules;
use super::traffic::{Kind, Server, Shape, Traffic};
use super::trial::{BLOCK, BURN_IN, Plan, Run, run, runs};

/// Traffic of every kind, with the names that tables use.
pub(crate) const KINDS: [(&str, Kind); 6] = [
    ("independent", Kind::Independent),
    ("load, correlation 0.99", Kind::Autocorrelated(0.99)),
    ("load, correlation 0.999", Kind::Autocorrelated(0.999)),
    ("day and night", Kind::Diurnal),
    ("carry-over through caches", Kind::CarryOver),
    ("challenger finishes later", Kind::LateChallenger),
];

/// Equal arms on strongly varying traffic; the metric is goodput.
pub(crate) fn equal_arms(kind: Kind, requests: u64) -> Plan {
    Plan {
        shape: Shape { kind, base: 0.6, effect: 0.0, swing: 0.25 },
        metric: Metric::Goodput,
        is_switchback: false,
        is_adjusted: false,
        has_default_terms: false,
        level: Level::FIVE_PERCENT,
        requests,
        look_every: 100,
    }
}

/// Unequal arms: `base` is the incumbent's share of good answers, `effect` the challenger's relative gain.
pub(crate) fn unequal_arms(kind: Kind, base: f64, effect: f64) -> Plan {
    let shape = Shape { kind, base, effect, swing: if kind == Kind::Lengths { 0.4 } else { 0.08 } };
    Plan { shape, look_every: 10, ..equal_arms(kind, 0) }
}

/// Equal arms: any winner is a false one.
#[derive(Debug)]
pub(crate) struct NullRow {
    /// Shares of runs, 0 to 1: a challenger was promoted; any arm was said to be better.
    pub(crate) promoted: f64,
    pub(crate) named: f64,
    /// The same of the others' rules, which name either arm.
    pub(crate) peeking: f64,
    pub(crate) tensor_zero: f64,
}

/// Runs `count` experiments.
pub(crate) fn null_row(plan: &Plan, count: u64) -> NullRow {
    let runs = runs(plan, count, true);
    NullRow {
        promoted: share(&runs, |run| run.winner == Some(1)),
        named: share(&runs, |run| run.winner.is_some()),
        peeking: share(&runs, |run| run.peeking.is_some()),
        tensor_zero: share(&runs, |run| run.tensor_zero.is_some()),
    }
}

/// One rule on unequal arms.
#[derive(Debug)]
pub(crate) struct Effort {
    /// Share of runs in which it named the challenger (any arm, for the others' rules).
    pub(crate) power: f64,
    /// Mean requests until then or until it was given up.
    pub(crate) requests: f64,
}

/// Unequal arms: how often, and after how many requests, the better one is named.
#[derive(Debug)]
pub(crate) struct PowerRow {
    /// Requests of a fixed-size test, 5 % on two sides, power 0.9.
    pub(crate) fixed: f64,
    /// Requests that perfhost's verdict rests on.
    pub(crate) counted: Effort,
    /// Requests served until the verdict: those under way, or in a round that is not over, too.
    pub(crate) served: f64,
    /// Requests counted if every run were given up where nine in ten are decided: the fixed test's power.
    pub(crate) at_same_power: f64,
    pub(crate) peeking: Effort,
    pub(crate) tensor_zero: Effort,
}

/// Runs `count` experiments, each for up to five times as long as a fixed-size test.
pub(crate) fn power_row(plan: &Plan, count: u64) -> PowerRow {
    let fixed = fixed_size(plan);
    let requests = ((5.0 * fixed) as u64).max(3_000) / 100 * 100;
    // A look every ten requests is too coarse where a hundred decide.
    let look_every = if fixed < 1_000.0 { 1 } else { plan.look_every };
    let runs = runs(&Plan { requests, look_every, ..*plan }, count, true);
    let mean = |of: &dyn Fn(&Run) -> u64| runs.iter().map(of).sum::<u64>() as f64 / runs.len() as f64;
    let other = |when: fn(&Run) -> Option<u64>| Effort {
        power: share(&runs, |run| when(run).is_some()),
        requests: mean(&|run| when(run).unwrap_or(requests)),
    };
    let mut lengths: Vec<u64> = runs.iter().map(|run| run.counted).collect();
    lengths.sort_unstable();
    let given_up = lengths.get((0.9 * lengths.len() as f64).ceil() as usize - 1).copied().unwrap_or(requests);
    PowerRow {
        fixed,
        counted: Effort { power: share(&runs, |run| run.winner == Some(1)), requests: mean(&|run| run.counted) },
        served: mean(&|run| run.served),
        at_same_power: mean(&|run| run.counted.min(given_up)),
        peeking: other(|run| run.peeking),
        tensor_zero: other(|run| run.tensor_zero),
    }
}

/// Whole experiments with ramp, guardrail and confirmation.
#[derive(Debug)]
pub(crate) struct LifeRow {
    /// Shares of runs, 0 to 1: the challenger was promoted; it was confirmed; it was taken back.
    pub(crate) promoted: f64,
    pub(crate) confirmed: f64,
    pub(crate) reverted: f64,
    /// Mean requests served until the verdict.
    pub(crate) served: f64,
}

/// Runs `count` experiments to their end.
pub(crate) fn life_row(plan: &Plan, count: u64) -> LifeRow {
    let runs = runs(&Plan { has_default_terms: true, ..*plan }, count, false);
    LifeRow {
        promoted: share(&runs, |run| run.winner == Some(1)),
        confirmed: share(&runs, |run| run.confirmed == Some(Confirmed::Confirmed)),
        reverted: share(&runs, |run| matches!(run.confirmed, Some(Confirmed::Reverted { .. }))),
        served: runs.iter().map(|run| run.served).sum::<u64>() as f64 / runs.len() as f64,
    }
}

/// Continuous mode: one champion meets challengers in turn, each at the level that is left to it.
#[derive(Debug, Default)]
pub(crate) struct Succession {
    pub(crate) bound: OnlineBound,
    /// Promotions of challengers that were better, and of others.
    pub(crate) right: u32,
    pub(crate) wrong: u32,
}

/// One challenger after another; those that `is_better` says have twice the incumbent's chance of a good answer.
pub(crate) fn succession(challengers: u64, seed: u64, is_better: impl Fn(u64) -> bool) -> Succession {
    let mut course = Succession::default();
    for challenger in 0..challengers {
        let (effect, is_better) = if is_better(challenger) { (1.0, true) } else { (0.0, false) };
        let shape = Shape { kind: Kind::Independent, base: 0.4, effect, swing: 0.0 };
        let level = course.bound.next_level(Level::FIVE_PERCENT);
        let plan = Plan { shape, level, look_every: 20, ..equal_arms(Kind::Independent, 600) };
        course.bound.begun();
        if run(&plan, seed * 1_000 + challenger, false).winner == Some(1) {
            course.bound.promoted();
            *(if is_better { &mut course.right } else { &mut course.wrong }) += 1;
        }
    }
    course
}

fn share(runs: &[Run], is: impl Fn(&Run) -> bool) -> f64 {
    runs.iter().filter(|run| is(run)).count() as f64 / runs.len() as f64
}

/// Requests that a test of a size fixed beforehand needs for power 0.9. It neither adjusts nor peeks.
fn fixed_size(plan: &Plan) -> f64 {
    if plan.is_switchback {
        return rules::fixed_pairs(&differences(&plan.shape)) as f64 * 2.0 * BLOCK as f64;
    }
    if plan.metric == Metric::LatencyP95 {
        return rules::fixed_percentiles(1.0 - plan.shape.effect);
    }
    rules::fixed_shares(good(&plan.shape, false), good(&plan.shape, true))
}

/// Share of good answers of an arm.
fn good(shape: &Shape, is_challenger: bool) -> f64 {
    let mut traffic = Traffic::new(*shape, 98);
    let server = Server { is_challenger, is_shared: false, partition: 0 };
    let requests = 400_000;
    (0..requests).filter(|_| traffic.next(server).is_good).count() as f64 / f64::from(requests)
}

/// Differences of neighbouring blocks.
fn differences(shape: &Shape) -> Vec<f64> {
    let mut traffic = Traffic::new(*shape, 99);
    let mut block = |is_challenger: bool| {
        let server = Server { is_challenger, is_shared: true, partition: u64::from(is_challenger) };
        let good = (0..BLOCK).filter(|at| traffic.next(server).is_good && *at >= BURN_IN);
        good.count() as f64 / (BLOCK - BURN_IN) as f64
    };
    let pair = |at: u32| {
        let is_first = at.is_multiple_of(2);
        let (first, second) = (block(is_first), block(!is_first));
        if is_first { first - second } else { second - first }
    };
    (0..8_000).map(pair).collect()
}
