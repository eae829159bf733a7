//! The simulation proof of the experiments: false winners among equal arms, power and requests among unequal ones, beside
//! a fixed-size test, a z-test watched as it goes, and TensorZero's stopping rule.
//!
//!     cargo run --release -p perfhost-strategy --example experiment_simulation -- [null runs] [power runs]

#![allow(clippy::expect_used, reason = "a measurement that cannot be made must stop")]
#![allow(clippy::print_stdout, reason = "its output is what it is for")]

#[path = "../tests/simulation/random.rs"]
mod random;
#[path = "../tests/simulation/rules.rs"]
mod rules;
#[path = "../tests/simulation/traffic.rs"]
mod traffic;
#[path = "../tests/simulation/trial.rs"]
mod trial;

use perfhost_strategy::experiment::Metric;
use traffic::{Kind, Shape, Traffic};
use trial::{BLOCK, BURN_IN, Plan, Run, runs};

const KINDS: [(&str, Kind); 6] = [
    ("independent", Kind::Independent),
    ("load, correlation 0.99", Kind::Autocorrelated(0.99)),
    ("load, correlation 0.999", Kind::Autocorrelated(0.999)),
    ("day and night", Kind::Diurnal),
    ("carry-over through a cache", Kind::CarryOver),
    ("challenger finishes later", Kind::LateChallenger),
];

fn main() {
    let mut arguments = std::env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let (null_runs, power_runs) = (arguments.next().unwrap_or(1_000), arguments.next().unwrap_or(300));
    null(null_runs);
    power(power_runs);
}

/// Equal arms: any winner is a false one.
fn null(count: u64) {
    println!("equal arms, {count} runs × 20,000 requests, a look every 100, level 5 %: false winners in %\n");
    println!("{:<12} {:<28} {:>9} {:>14} {:>11}", "regime", "traffic", "perfhost", "z-test peeking", "TensorZero");
    for (metric, is_switchback) in [(Metric::Goodput, false), (Metric::LatencyP95, false), (Metric::Goodput, true)] {
        for (name, kind) in KINDS {
            // A late challenger's times do differ; and in blocks there is no late and early.
            if kind == Kind::LateChallenger && (is_switchback || metric == Metric::LatencyP95) {
                continue;
            }
            let shape = Shape { kind, base: 0.6, effect: 0.0, swing: 0.25 };
            let plan = Plan { shape, metric, is_switchback, is_adjusted: false, requests: 20_000, look_every: 100 };
            let runs = runs(&plan, 1, count, true);
            let percent =
                |is: fn(&Run) -> bool| 100.0 * runs.iter().filter(|run| is(run)).count() as f64 / count as f64;
            let regime = match (is_switchback, metric) {
                (true, _) => "blocks",
                (_, Metric::LatencyP95) => "request, p95",
                _ => "request",
            };
            println!(
                "{regime:<12} {name:<28} {:>9.1} {:>14.1} {:>11.1}",
                percent(|run| run.winner.is_some()),
                percent(|run| run.peeking.is_some()),
                percent(|run| run.tensor_zero.is_some()),
            );
        }
    }
}

/// Unequal arms: how often and after how many requests the better one is named.
fn power(count: u64) {
    println!(
        "\nunequal arms, {count} runs: power, and mean requests as a multiple of a fixed-size test's (5 %, power 0.9)\n"
    );
    println!(
        "{:<44} {:>10} {:>18} {:>18} {:>18}",
        "what differs", "fixed size", "perfhost", "z-test peeking", "TensorZero"
    );
    let plan = |kind, effect, metric, is_switchback| Plan {
        shape: Shape { kind, base: 0.6, effect, swing: 0.08 },
        metric,
        is_switchback,
        is_adjusted: false,
        requests: 0,
        look_every: 10,
    };
    for effect in [0.1, 0.2, 0.5] {
        let fixed = rules::fixed_shares(0.6, 0.6 * (1.0 + effect));
        let plan = plan(Kind::Independent, effect, Metric::Goodput, false);
        report(&format!("goodput 0.60 → {:.2}", 0.6 * (1.0 + effect)), &plan, fixed, count);
    }
    for (is_adjusted, how) in [(false, "unadjusted"), (true, "adjusted for length")] {
        let known = plan(Kind::Lengths, 0.2, Metric::Goodput, false);
        let shape = Shape { swing: 0.4, base: 0.5, ..known.shape };
        let (one, other) = (share(&shape, false), share(&shape, true));
        let fixed = rules::fixed_shares(one, other);
        report(&format!("goodput {one:.2} → {other:.2}, {how}"), &Plan { shape, is_adjusted, ..known }, fixed, count);
    }
    let percentile = plan(Kind::Independent, 0.2, Metric::LatencyP95, false);
    report("p95 of times, 20 % less", &percentile, rules::fixed_percentiles(0.8), count);
    for effect in [0.1, 0.2, 0.5] {
        for (kind, name) in [(Kind::Autocorrelated(0.99), "0.99"), (Kind::Autocorrelated(0.999), "0.999")] {
            let plan = plan(kind, effect, Metric::Goodput, true);
            let (mean, variance) = pairs(&plan.shape);
            let fixed = rules::fixed_pairs(mean, variance).ceil() * 2.0 * BLOCK as f64;
            report(&format!("blocks, goodput +{:.0} %, load {name}", 100.0 * effect), &plan, fixed, count);
        }
    }
}

/// Share of good answers of an arm.
fn share(shape: &Shape, is_challenger: bool) -> f64 {
    let mut traffic = Traffic::new(*shape, 98);
    let requests = 400_000;
    (0..requests).filter(|_| traffic.next(is_challenger, false).is_good).count() as f64 / f64::from(requests)
}

fn report(name: &str, plan: &Plan, fixed: f64, count: u64) {
    let requests = ((5.0 * fixed) as u64).clamp(3_000, 400_000) / 100 * 100;
    let runs = runs(&Plan { requests, ..*plan }, 1, count, true);
    let share = |found: usize| found as f64 / count as f64;
    let found = runs.iter().filter(|run| run.winner == Some(1)).count();
    let mean = runs.iter().map(|run| run.requests as f64).sum::<f64>() / count as f64 / fixed;
    let of = |when: fn(&Run) -> Option<u64>| {
        let total: u64 = runs.iter().map(|run| when(run).unwrap_or(requests)).sum();
        let found = runs.iter().filter(|run| when(run).is_some()).count();
        format!("{:.2} at {:.2} ×", share(found), total as f64 / count as f64 / fixed)
    };
    println!(
        "{name:<44} {fixed:>10.0} {:>18} {:>18} {:>18}",
        format!("{:.2} at {mean:.2} ×", share(found)),
        of(|run| run.peeking),
        of(|run| run.tensor_zero)
    );
}

/// Mean and variance of the differences of neighbouring blocks, for the size of a fixed test.
fn pairs(shape: &Shape) -> (f64, f64) {
    let mut traffic = Traffic::new(*shape, 99);
    let mut block = |is_challenger: bool| {
        let good = (0..BLOCK).map(|at| (at, traffic.next(is_challenger, true).is_good));
        good.filter(|(at, is_good)| *at >= BURN_IN && *is_good).count() as f64 / (BLOCK - BURN_IN) as f64
    };
    let mut differences = Vec::new();
    for pair in 0..4_000 {
        let is_first = pair % 2 == 0;
        let (first, second) = (block(is_first), block(!is_first));
        differences.push(if is_first { first - second } else { second - first });
    }
    let mean = differences.iter().sum::<f64>() / differences.len() as f64;
    let variance = differences.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / differences.len() as f64;
    (mean, variance)
}
