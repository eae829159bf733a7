//! Tells people how a strategy did: numbers side by side, curves, and what it decided. One scenario in full, several in
//! a table each.

use std::time::Duration;

use perfhost_simulation::operator::STARTS_AT_MS;
use perfhost_simulation::{Account, KnobTrack, Point, Totals, WITHOUT_EFFECT};
use perfhost_strategy::{Decision, KnobId, Value, Verdict};

use super::{Contestant, Trial};
use crate::command::plot::{Canvas, Chart};
use crate::command::print::{bytes, number, table};

/// Decisions shown one by one, and reasons for refusal shown with their count; more are in the JSON.
const MOST_DECISIONS: usize = 40;
const MOST_REASONS: usize = 5;

/// How a number of a run is read and written.
type Row = (&'static str, fn(&Totals) -> f64, fn(f64) -> String);

const ROWS: [Row; 12] = [
    ("requests", |totals| totals.requests as f64, |count| format!("{count:.0}")),
    ("goodput", |totals| totals.goodput, percent),
    ("good answers/s", |totals| totals.goodput_per_second, number),
    ("tokens/s", |totals| totals.tokens_per_second, number),
    ("response p50, ms", |totals| totals.response_p50_ms, number),
    ("response p95, ms", |totals| totals.response_p95_ms, number),
    ("response p99, ms", |totals| totals.response_p99_ms, number),
    ("first token p95, ms", |totals| totals.first_token_p95_ms, number),
    ("failed", |totals| totals.error_rate, percent),
    ("rejected", |totals| totals.rejected_rate, percent),
    ("given up", |totals| totals.given_up_rate, percent),
    ("cache hits", |totals| totals.cache_hit_rate, percent),
];

/// Rows from here on are left out where all are 0.
const SOMETIMES: usize = 10;

/// Rows of the second half: the ones that show where a strategy has led to.
const SECOND_HALF: [usize; 4] = [1, 3, 5, 7];

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
        text += &heading(trial);
        text += &numbers(trial);
        if let [_] = trials {
            text += &second_half(trial);
            text += &curves(trial, canvas);
            text += &knobs(trial, canvas);
            text += &decisions(&trial.contestants[0].account);
        }
        text += &failures(&trial.contestants[0]);
        for answer in &trial.requirements {
            let verdict = if answer.is_met { "holds" } else { "DOES NOT HOLD" };
            text += &format!("required {}: {verdict}, {} against {}\n", answer.condition, answer.found, answer.bound);
        }
        text.push('\n');
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

fn heading(trial: &Trial) -> String {
    let scenario = &trial.scenario;
    let minutes = number(scenario.duration_s / 60.0);
    format!("{}: {} ({minutes} simulated minutes, seed {})\n\n", scenario.name, scenario.about, trial.seed)
}

fn numbers(trial: &Trial) -> String {
    let is_any = |row: &Row| trial.contestants.iter().any(|contestant| row.1(&contestant.run.whole) > 0.0);
    let rows = ROWS.iter().enumerate().filter(|(at, row)| *at < SOMETIMES || is_any(row)).map(|(_, row)| row);
    side_by_side(trial, "WHOLE RUN", &rows.collect::<Vec<_>>(), |contestant| &contestant.run.whole)
}

fn second_half(trial: &Trial) -> String {
    let rows: Vec<&Row> = SECOND_HALF.iter().map(|at| &ROWS[*at]).collect();
    "\n".to_owned() + &side_by_side(trial, "SECOND HALF", &rows, |contestant| &contestant.run.second_half)
}

fn side_by_side(trial: &Trial, title: &str, rows: &[&Row], of: fn(&Contestant) -> &Totals) -> String {
    let names: Vec<String> = trial.contestants.iter().map(|contestant| contestant.name.clone()).collect();
    let header = [title, &names[0], &names[1], &names[2], "AGAINST BASELINE"];
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|(name, read, written)| {
            let values = trial.contestants.each_ref().map(|contestant| read(of(contestant)));
            let cells = values.iter().map(|value| written(*value));
            let change = if values[1] > 0.0 { signed_percent(values[0] / values[1] - 1.0) } else { "-".to_owned() };
            std::iter::once((*name).to_owned()).chain(cells).chain([change]).collect()
        })
        .collect();
    table(&header, &rows)
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
    text += "\nSide by side, each on the scale of the largest\n";
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

fn decisions(account: &Account) -> String {
    let taken: Vec<&Decision> = account.decisions.iter().filter(|decision| decision.applied.is_some()).collect();
    let mut text = format!("\nDecisions: {} applied", taken.len());
    let rolled_back = taken.iter().filter(|decision| decision.verdict == Verdict::RolledBack).count();
    text += &format!(", {rolled_back} of them rolled back; {} refused\n", account.decisions.len() - taken.len());
    for decision in taken.iter().take(MOST_DECISIONS) {
        text += &told(decision);
    }
    if taken.len() > MOST_DECISIONS {
        text += &format!("  and {} more (--output json has all)\n", taken.len() - MOST_DECISIONS);
    }
    let mut reasons: Vec<(&str, usize)> = Vec::new();
    for decision in account.decisions.iter().filter(|decision| decision.applied.is_none()) {
        // Digits in refusals count seconds and decisions; what is said before them is the reason.
        let reason = decision.detail.split(|c: char| c.is_ascii_digit()).next().unwrap_or("").trim();
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => reasons.push((reason, 1)),
        }
    }
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    for (reason, count) in reasons.iter().take(MOST_REASONS) {
        text += &format!("  {count} x refused: {reason} …\n");
    }
    text
}

fn told(decision: &Decision) -> String {
    let unit = KnobId::by_name(&decision.proposal.name).map_or("", |id| id.knob().unit);
    let verdict = match decision.verdict {
        Verdict::Applied => "applied",
        Verdict::Clamped => "clamped",
        Verdict::Refused => "refused",
        Verdict::RolledBack => "ROLLED BACK",
    };
    let effect = decision.measured.as_ref().map(|measured| {
        let (before, after) = (number(measured.before), number(measured.after));
        let expected = decision.proposal.expected.as_ref().filter(|expected| expected.metric == measured.metric);
        let expected = expected
            .map_or(String::new(), |expected| format!(", expected {}", number(measured.before * expected.ratio)));
        format!("; {} {before} > {after}{expected}", measured.metric)
    });
    let applied = decision.applied.as_ref().map_or("-".to_owned(), |value| written(value, unit));
    let mut text = format!(
        "  {:>6}  {} of {}: {} > {applied}, {verdict}{}\n          {}\n",
        clock(seconds(decision.at_ms)),
        decision.proposal.name,
        decision.proposal.scope,
        written(&decision.before, unit),
        effect.unwrap_or_default(),
        decision.proposal.reason,
    );
    if decision.verdict == Verdict::RolledBack {
        text += &format!("          {}\n", decision.detail);
    }
    text
}

fn failures(contestant: &Contestant) -> String {
    let failures = &contestant.account.failures;
    let Some(first) = failures.first() else { return String::new() };
    let out = if contestant.account.is_retired { "; the host took it out of service" } else { "" };
    let demoted = if contestant.account.is_demoted { "; the host stopped asking it for plans" } else { "" };
    let plans = match contestant.account.plan_failures {
        0 => String::new(),
        count => format!(" ({count} plans failed)"),
    };
    format!(
        "\n{} FAILED in {} calls{plans}{out}{demoted}. First, at {}: {}\n",
        contestant.name,
        failures.len(),
        clock(seconds(first.at_ms)),
        first.error
    )
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
