//! The simulation proof of the experiments: false winners among equal arms, power and requests among unequal ones, beside
//! a fixed-size test, a z-test watched as it goes, and TensorZero's stopping rule.
//!
//!     cargo run --release -p perfhost-strategy --example experiment_simulation -- [null runs] [power runs] [ROWS]
//!
//! Only rows whose first words contain ROWS are measured: "blocks, goodput", say.

#![allow(clippy::expect_used, reason = "a measurement that cannot be made must stop")]
#![allow(clippy::print_stdout, reason = "its output is what it is for")]

#[path = "../tests/simulation/proof/mod.rs"]
mod proof;

use perfhost_strategy::experiment::Metric;
use proof::rows::{Effort, KINDS, Succession, equal_arms, life_row, null_row, power_row, succession, unequal_arms};
use proof::traffic::Kind;
use proof::trial::Plan;

/// Requests of a run with equal arms.
const NULL_REQUESTS: u64 = 20_000;

/// The experiments' level.
const LEVEL: f64 = 0.05;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number =
        |at: usize| arguments.get(at).and_then(|argument| argument.parse::<u64>().ok()).map(|runs| runs.max(1));
    let (null_runs, power_runs) = (number(0).unwrap_or(1_000), number(1).unwrap_or(400));
    let rows = arguments.get(2).map_or("", String::as_str);
    null(null_runs, rows);
    power(power_runs, rows);
    lives(null_runs, power_runs, rows);
    continuous(power_runs, rows);
}

/// Equal arms: any winner is a false one.
fn null(count: u64, rows: &str) {
    println!(
        "equal arms, {count} runs x {NULL_REQUESTS} requests, a look every 100, level 5 %: false winners in % of runs\n"
    );
    println!(
        "{:<20} {:<28} {:>9} {:>12} {:>10} {:>11}  aim: promoted <= 5",
        "regime, metric", "traffic", "promoted", "either named", "z peeking", "TensorZero"
    );
    for (regime, metric, is_switchback) in [
        ("request, goodput", Metric::Goodput, false),
        ("request, p95", Metric::LatencyP95, false),
        ("blocks, goodput", Metric::Goodput, true),
        ("blocks, p95", Metric::LatencyP95, true),
    ] {
        // A late challenger's times do differ.
        let is_null = |kind: Kind| metric == Metric::Goodput || kind != Kind::LateChallenger;
        for (name, kind) in KINDS.into_iter().filter(|(_, kind)| is_null(*kind)) {
            null_line(rows, regime, name, &Plan { metric, is_switchback, ..equal_arms(kind, NULL_REQUESTS) }, count);
        }
    }
    let adjusted = Plan { is_adjusted: true, ..equal_arms(Kind::Lengths, NULL_REQUESTS) };
    null_line(rows, "request, goodput", "adjusted for lengths", &adjusted, count);
}

fn null_line(rows: &str, regime: &str, name: &str, plan: &Plan, count: u64) {
    if !regime.contains(rows) {
        return;
    }
    let row = null_row(plan, count);
    println!(
        "{regime:<20} {name:<28} {:>9.1} {:>12.1} {:>10.1} {:>11.1}  {}",
        100.0 * row.promoted,
        100.0 * row.named,
        100.0 * row.peeking,
        100.0 * row.tensor_zero,
        mark(row.promoted <= LEVEL)
    );
}

/// Unequal arms: how often and after how many requests the better one is named.
fn power(count: u64, rows: &str) {
    println!(
        "\nunequal arms, {count} runs, a look every 10 (1 where 1,000 and fewer decide): power, and mean requests as a multiple of a fixed-size test's \
         (5 %, power 0.9).\n\"counted\": whose outcomes were known at the verdict; \"served\": with those under way; \
         \"power 0.9\": counted, if given up where\nnine in ten runs are decided\n"
    );
    println!(
        "{:<44} {:>7} {:>6} {:>8} {:>7} {:>10} {:>13} {:>13}  aim: counted <=",
        "what differs", "fixed", "power", "counted", "served", "power 0.9", "z peeking", "TensorZero"
    );
    let name = |base: f64, effect: f64| format!("goodput {base:.2} +{:.0} %", 100.0 * effect);
    for (base, effect) in [(0.6, 0.1), (0.6, 0.2), (0.6, 0.5), (0.3, 0.1), (0.3, 0.2), (0.3, 0.5), (0.8, 0.1)] {
        power_line(rows, &name(base, effect), &unequal_arms(Kind::Independent, base, effect), 1.1, count);
    }
    for effect in [0.1, 0.2] {
        let plan = unequal_arms(Kind::Lengths, 0.5, effect);
        power_line(rows, &format!("{}, lengths not told", name(0.5, effect)), &plan, 1.1, count);
        let plan = Plan { is_adjusted: true, ..plan };
        power_line(rows, &format!("{}, adjusted for lengths", name(0.5, effect)), &plan, 1.0, count);
    }
    for effect in [0.1, 0.2, 0.5] {
        let plan = Plan { metric: Metric::LatencyP95, ..unequal_arms(Kind::Independent, 0.6, effect) };
        power_line(rows, &format!("p95 -{:.0} %", 100.0 * effect), &plan, 1.1, count);
    }
    for (load, correlation) in [("0.99", 0.99), ("0.999", 0.999)] {
        for effect in [0.1, 0.2, 0.5] {
            let plan = unequal_arms(Kind::Autocorrelated(correlation), 0.6, effect);
            let plan = Plan { is_switchback: true, ..plan };
            power_line(rows, &format!("blocks, {}, load {load}", name(0.6, effect)), &plan, 2.0, count);
        }
    }
}

fn power_line(rows: &str, name: &str, plan: &Plan, aim: f64, count: u64) {
    if !name.contains(rows) {
        return;
    }
    let row = power_row(plan, count);
    let times = |requests: f64| format!("{:.2} x", requests / row.fixed);
    let other = |rule: &Effort| format!("{:.2} {}", rule.power, times(rule.requests));
    println!(
        "{name:<44} {:>7.0} {:>6.2} {:>8} {:>7} {:>10} {:>13} {:>13}  {aim:.1} x {}",
        row.fixed,
        row.counted.power,
        times(row.counted.requests),
        times(row.served),
        times(row.at_same_power),
        other(&row.peeking),
        other(&row.tensor_zero),
        mark(row.counted.power >= 0.9 && row.counted.requests <= aim * row.fixed)
    );
}

/// As users meet it: with ramp, guardrail and confirmation.
fn lives(null_runs: u64, power_runs: u64, rows: &str) {
    println!("\ndefault ramp, error-rate guardrail and confirmation, per request, goodput: % of runs\n");
    println!(
        "{:<44} {:>9} {:>10} {:>9} {:>22}",
        "traffic", "promoted", "confirmed", "reverted", "served until a verdict"
    );
    for (name, kind) in KINDS {
        life_line(rows, &format!("equal arms, {name}"), &equal_arms(kind, NULL_REQUESTS), null_runs);
    }
    for effect in [0.1, 0.2, 0.5] {
        let plan = Plan { requests: 60_000, look_every: 100, ..unequal_arms(Kind::Independent, 0.6, effect) };
        life_line(rows, &format!("goodput 0.60 +{:.0} %", 100.0 * effect), &plan, power_runs);
    }
}

fn life_line(rows: &str, name: &str, plan: &Plan, count: u64) {
    if !name.contains(rows) {
        return;
    }
    let row = life_row(plan, count);
    println!(
        "{name:<44} {:>9.1} {:>10.1} {:>9.1} {:>22.0}",
        100.0 * row.promoted,
        100.0 * row.confirmed,
        100.0 * row.reverted,
        row.served
    );
}

/// One champion, challengers in turn, one bound over all.
fn continuous(hosts: u64, rows: &str) {
    println!(
        "\ncontinuous mode, 30 challengers in turn on each of {hosts} hosts, at most 5 % of promotions expected to be false\n"
    );
    for (name, every) in [("continuous, all equal", u64::MAX), ("continuous, every third better", 3)] {
        if !name.contains(rows) {
            continue;
        }
        let courses: Vec<_> =
            (1..=hosts).map(|seed| succession(30, seed, |challenger| challenger % every == every - 1)).collect();
        // Of a host without promotions no part is false.
        let share = |course: &Succession| f64::from(course.wrong) / f64::from((course.wrong + course.right).max(1));
        let (right, wrong) = courses.iter().fold((0, 0), |all, course| (all.0 + course.right, all.1 + course.wrong));
        let rate = courses.iter().map(share).sum::<f64>() / hosts as f64;
        println!(
            "{name:<44} {right:>6} right, {wrong:>3} wrong, mean share of wrong ones {:.1} %  {}",
            100.0 * rate,
            mark(rate <= LEVEL)
        );
    }
}

fn mark(is_met: bool) -> &'static str {
    if is_met { "met" } else { "MISSED" }
}
