//! Tells people how a strategy did: numbers side by side, curves, and what it decided. One scenario in full, several in
//! a table each and one of goodput.
//!
//! `numbers`: side by side; `decisions`: one by one; this file: curves, and what binds them together.

mod decisions;
mod numbers;

use std::time::Duration;

use perfhost_simulation::operator::STARTS_AT_MS;
use perfhost_simulation::{Account, KnobTrack, Point, WITHOUT_EFFECT};
use perfhost_strategy::{KnobId, Value, Verdict};

use super::{Contestant, Trial};
use crate::command::plot::{Canvas, Chart};
use crate::command::print::{bytes, number, wrapped};
use decisions::decisions;
use numbers::{numbers, summary};

/// A series that is drawn, by contestant.
type Series = (&'static str, fn(&Point) -> Option<f64>, fn(f64) -> String);

const CURVES: [Series; 2] = [
    ("tokens/s", |point| Some(point.tokens_per_second), number),
    ("response p95, ms", |point| point.response_p95_ms, number),
];

const SPARKLINES: [Series; 6] = [
    ("good answers/s", |point| Some(point.goodput_per_second), number),
    ("tokens/s", |point| Some(point.tokens_per_second), number),
    ("response p95, ms", |point| point.response_p95_ms, number),
    ("first token p95, ms", |point| point.first_token_p95_ms, number),
    ("failed or rejected", |point| Some(point.error_rate? + point.rejected_rate?), percent),
    ("cache hits", |point| point.cache_hit_rate, percent),
];

/// The whole report.
pub(super) fn report(trials: &[Trial], canvas: Canvas, took: Duration) -> String {
    let mut text = String::new();
    for trial in trials {
        text += &heading(trial, canvas.width);
        let is_only = trials.len() == 1;
        text += &numbers(trial, is_only);
        if is_only {
            text += &curves(trial, canvas);
            text += &knobs(trial, canvas);
            text += &decisions(&trial.contestants[0].account, canvas.width);
        }
        for contestant in &trial.contestants {
            text += &failures(contestant, canvas.width);
        }
        for answer in &trial.requirements {
            let verdict = if answer.is_met { "holds" } else { "DOES NOT HOLD" };
            let (found, bound) = (number(answer.found), number(answer.bound));
            text += &format!("required {}: {verdict}, {found} against {bound}\n", answer.condition);
        }
        text.push('\n');
    }
    if trials.len() > 1 {
        text += &format!("{}\n", summary(trials));
    }
    let calls = |count: fn(&Account) -> u64| -> u64 {
        trials.iter().flat_map(|trial| &trial.contestants).map(|contestant| count(&contestant.account)).sum()
    };
    text + &format!(
        "simulated in {:.1} s; {} plan calls (one a request, none sampled) and {} propose calls were made\n",
        took.as_secs_f64(),
        calls(|account| account.plan_calls),
        calls(|account| account.propose_calls),
    )
}

fn heading(trial: &Trial, width: usize) -> String {
    let scenario = &trial.scenario;
    let minutes = number(scenario.duration_s / 60.0);
    let text = format!("{}: {} ({minutes} simulated minutes, seed {})", scenario.name, scenario.about, trial.seed);
    wrapped(&text, "  ", width) + "\n\n"
}

fn curves(trial: &Trial, canvas: Canvas) -> String {
    let points = &trial.contestants[0].run.points;
    let duration_s = trial.scenario.duration_s;
    let signs = signs(&trial.contestants[0].account, duration_s, canvas);
    let end = clock(duration_s);
    let mut text = String::new();
    for (name, read, label) in CURVES {
        let values: Vec<Option<f64>> = points.iter().map(read).collect();
        let chart = Chart { values: &values, height: 6, marks: &signs, ends: ("0:00", &end), label };
        text += &format!("\n{} of {}\n{}\n", name, trial.contestants[0].name, canvas.chart(&chart).join("\n"));
    }
    if !signs.is_empty() {
        let [applied, rolled_back] = signs_of(canvas);
        text += &format!("{applied} a change was applied, {rolled_back} one was rolled back\n");
    }
    text += "\nSide by side over time, each on the scale of the largest; on the right the last value\n";
    let widest = trial.contestants.iter().map(|one| one.name.chars().count()).max().unwrap_or(0);
    let width = canvas.width.saturating_sub(widest + 14);
    for (name, read, written) in SPARKLINES {
        let all = trial.contestants.each_ref().map(|one| one.run.points.iter().map(read).collect::<Vec<_>>());
        let top = all.iter().flatten().flatten().copied().fold(0.0, f64::max);
        if top == 0.0 {
            continue;
        }
        text += &format!("{name}\n");
        for (contestant, values) in trial.contestants.iter().zip(&all) {
            let last = values.iter().rev().flatten().next().map_or("-".to_owned(), |value| written(*value));
            let line = canvas.sparkline(values, top, width);
            text += &format!("  {:widest$}  {line}  {last}\n", contestant.name);
        }
    }
    text
}

/// Where in the run decisions were applied and rolled back.
fn signs(account: &Account, duration_s: f64, canvas: Canvas) -> Vec<(f64, char)> {
    let [applied, rolled_back] = signs_of(canvas);
    let taken = account.decisions.iter().filter(|decision| decision.applied.is_some());
    taken
        .map(|decision| {
            let sign = if decision.verdict == Verdict::RolledBack { rolled_back } else { applied };
            (seconds(decision.at_ms) / duration_s, sign)
        })
        .collect()
}

fn signs_of(canvas: Canvas) -> [char; 2] {
    if canvas.is_unicode { ['▲', '▽'] } else { ['^', 'v'] }
}

fn knobs(trial: &Trial, canvas: Canvas) -> String {
    let mut text = String::new();
    for contestant in &trial.contestants {
        for track in &contestant.run.knobs {
            if text.is_empty() {
                text += "\nKnobs over time\n";
            }
            text += &format!("{} of {} by {}\n", track.name, track.scope, contestant.name);
            text += &format!("  {}\n", curve_of(track, trial.scenario.duration_s, canvas));
        }
    }
    let turned = trial.contestants[0].run.knobs.iter();
    let without = turned.filter(|track| WITHOUT_EFFECT.iter().any(|id| id.name() == track.name));
    for track in without {
        text += &format!("note: {} has no effect in the model but, if it is a reload knob, the reload\n", track.name);
    }
    text
}

fn curve_of(track: &KnobTrack, duration_s: f64, canvas: Canvas) -> String {
    let unit = KnobId::by_name(track.name).map_or("", |id| id.knob().unit);
    let last = track.values.len() - 1;
    let values: Vec<String> = track.values.iter().map(|(_, value)| written(value, unit)).collect();
    let steps = match last {
        0..=7 => values.join(" > "),
        _ => format!("{} > ({} more) > {}", values[..4].join(" > "), last - 5, values[last - 1..].join(" > ")),
    };
    let width = canvas.width.saturating_sub(4).min(60);
    let at = |column: usize| track.at(duration_s * column as f64 / width as f64).and_then(Value::as_number);
    let sampled: Vec<Option<f64>> = (0..width).map(at).collect();
    let top = sampled.iter().flatten().copied().fold(0.0, f64::max);
    if top == 0.0 { steps } else { format!("{}\n  {steps}", canvas.sparkline(&sampled, top, width)) }
}

fn failures(contestant: &Contestant, width: usize) -> String {
    let failures = &contestant.account.failures;
    let Some(first) = failures.first() else { return String::new() };
    let out = if contestant.account.is_retired { "; the host took it out of service" } else { "" };
    let demoted = if contestant.account.is_demoted { "; the host stopped asking it for plans" } else { "" };
    let plans = match contestant.account.plan_failures {
        0 => String::new(),
        count => format!(" ({count} plans failed)"),
    };
    let text = format!(
        "{} FAILED in {} calls{plans}{out}{demoted}. First, at {}: {}",
        contestant.name,
        failures.len(),
        clock(seconds(first.at_ms)),
        first.error
    );
    format!("\n{}\n", wrapped(&text, "  ", width))
}

fn seconds(at_ms: u64) -> f64 {
    at_ms.saturating_sub(STARTS_AT_MS) as f64 / 1_000.0
}

fn clock(seconds: f64) -> String {
    format!("{}:{:02}", (seconds / 60.0) as u64, (seconds % 60.0) as u64)
}

fn written(value: &Value, unit: &str) -> String {
    match (value.as_number(), unit) {
        (Some(count), "bytes") => bytes(count),
        _ => value.to_string(),
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn signed_percent(share: f64) -> String {
    format!("{:+.1} %", share * 100.0)
}
