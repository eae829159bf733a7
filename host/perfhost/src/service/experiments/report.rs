//! An experiment told to people and programs: in short, as it stands, and as a report for a change request.
//!
//! What is told is gathered once ([`Told`]); [`layout`] sets it for terminals and in Markdown, [`page`] as a page of its
//! own with the plots of [`plot`].

mod layout;
mod page;
mod plot;

use perfhost_gateway::ReportFormat;
use perfhost_strategy::experiment::metric::Scale;
use perfhost_strategy::experiment::statistics::{Level, OnlineBound};
use perfhost_strategy::experiment::status::Effect;
use perfhost_strategy::experiment::{CONTROL, Confirmed, Experiment, Metric, Phase, Regime, Slo, Unit, Verdict};
use serde_json::{Value, json};

use super::automatic::FALSE_PROMOTIONS;
use super::classes::ClassEffect;
use super::record::Record;
use crate::command::print;

/// Newest notes that the status carries.
const RECENT_NOTES: usize = 10;

/// Everything a report says, in words.
struct Told {
    title: String,
    /// What came out, in a sentence.
    outcome: String,
    /// What comes next, and how long it may take; none once it has ended.
    next: Option<String>,
    facts: Vec<(&'static str, String)>,
    tables: Vec<Table>,
}

struct Table {
    title: &'static str,
    /// What a reader has to know to read it.
    note: &'static str,
    header: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

/// How an experiment ended, or that it has not, in a word for programs.
pub(super) fn ending(experiment: &Experiment) -> &'static str {
    match (experiment.phase(), experiment.verdict(), experiment.confirmed()) {
        (Phase::Running, ..) => "running",
        (Phase::Confirming, ..) => "confirming",
        (_, Some(Verdict::Promote { arm: 0, .. }), _) => "incumbent-better",
        (_, Some(Verdict::Promote { .. }), Some(Confirmed::Reverted { .. })) => "reverted",
        (_, Some(Verdict::Promote { .. }), Some(Confirmed::Confirmed)) => "promoted-confirmed",
        (_, Some(Verdict::Promote { .. }), _) => "promoted",
        (_, Some(Verdict::NoDifference), _) => "no-difference",
        (_, Some(Verdict::GuardrailBreach { .. }), _) => "guardrail-breach",
        (_, Some(Verdict::SampleRatioMismatch), _) => "sample-ratio-mismatch",
        (_, Some(Verdict::Stopped { .. }), _) => "stopped",
        (_, Some(Verdict::Inconclusive { .. }) | None, _) => "inconclusive",
    }
}

/// For lists.
pub(super) fn brief(record: &Record) -> Value {
    let status = record.experiment.status();
    let effect = status.effects.first();
    json!({
        "id": record.id,
        "name": status.name,
        "ending": ending(&record.experiment),
        "objective": record.experiment.spec().objective.metric.name(),
        "arms": record.arms.iter().map(|arm| &arm.name).collect::<Vec<_>>(),
        "in_service": record.experiment.spec().arms[record.experiment.in_service()].name,
        "started_ms": status.started_ms,
        "ended_ms": record.ended_ms,
        "samples": effect.map(|effect| effect.samples),
        "change": effect.and_then(|effect| effect.change),
        "outcome": status.forecast.next,
        "is_automatic": record.is_automatic,
    })
}

/// What continuous mode has done, and what its promotions are worth.
pub(super) fn automatic(spent: &OnlineBound) -> Value {
    json!({
        "experiments": spent.experiments,
        "promotions": spent.promotions,
        "false_promotions_at_most": FALSE_PROMOTIONS.probability(),
        "next_error_bound": spent.next_level(FALSE_PROMOTIONS).probability(),
    })
}

/// What an experiment of continuous mode has of the bound over all of them, for people. `before` is what was spent when
/// it began.
pub(super) fn part_of_bound(before: &OnlineBound, level: Level) -> String {
    format!(
        "continuous mode, experiment {}, {} promotions before it: its error bound is {}, so that over all of them at most {} \
         of promotions are expected to be false",
        before.experiments + 1,
        before.promotions,
        print::percent(level.probability()),
        print::percent(FALSE_PROMOTIONS.probability()),
    )
}

/// As it stands.
pub(super) fn status(record: &Record) -> Value {
    let spec = record.experiment.spec();
    let mut value = serde_json::to_value(record.experiment.status()).unwrap_or_default();
    value["id"] = json!(record.id);
    value["ending"] = json!(ending(&record.experiment));
    value["in_service"] = json!(spec.arms[record.experiment.in_service()].name);
    value["objective"] = json!(spec.objective);
    value["unit"] = json!(spec.unit);
    value["slo"] = json!(spec.slo);
    value["strategies"] = json!(record.arms);
    value["unreported"] = json!(record.unreported);
    value["ended_ms"] = json!(record.ended_ms);
    value["is_automatic"] = json!(record.is_automatic);
    value["machine"] = json!(record.machine);
    value["serves"] = json!(record.serves);
    value["by_class"] = json!(record.classes.effects(&spec.objective.metric));
    let notes = &record.trail.notes;
    value["notes"] = json!(notes[notes.len().saturating_sub(RECENT_NOTES)..]);
    value
}

/// The whole report.
pub(super) fn write(record: &Record, format: ReportFormat) -> String {
    match format {
        ReportFormat::Json => {
            let mut value = status(record);
            value["request"] = json!(record.request);
            value["notes"] = json!(record.trail.notes);
            value["points"] = json!(record.trail.points);
            format!("{value:#}")
        }
        ReportFormat::Text => layout::text(&told(record)),
        ReportFormat::Markdown => layout::markdown(&told(record)),
        ReportFormat::Html => page::page(&told(record), record),
    }
}

fn told(record: &Record) -> Told {
    let experiment = &record.experiment;
    let (status, spec) = (experiment.status(), experiment.spec());
    let metric = &spec.objective.metric;
    let is_over = experiment.phase() == Phase::Ended;
    let effects = |title, note, effects: &[Effect], metric_of: &dyn Fn(&Effect) -> Metric| Table {
        title,
        note,
        header: vec!["challenger", "metric", "incumbent", "challenger's", "change", "not excluded", "samples"],
        rows: effects.iter().map(|effect| effect_row(&metric_of(effect), effect)).collect(),
    };
    let of_objective = |_: &Effect| *metric;
    let of_guardrail = |effect: &Effect| {
        let of = spec.guardrails.iter().find(|guardrail| guardrail.metric.name() == effect.metric);
        of.map_or(*metric, |guardrail| guardrail.metric)
    };
    let arms = status.arms.iter().zip(&record.arms).map(|(arm, kept)| {
        let state = arm.out.clone().unwrap_or_else(|| {
            if spec.arms[experiment.in_service()].name == arm.name { "in service".to_owned() } else { String::new() }
        });
        let (share, samples) = (format!("{:.0} %", arm.share * 100.0), arm.samples.to_string());
        vec![arm.name.clone(), kept.strategy.clone(), print::digest(&kept.digest).to_owned(), share, samples, state]
    });
    let classes = record.classes.effects(metric);
    let notes = record.trail.notes.iter().map(|note| vec![print::moment(note.at_ms), note.what.clone()]);
    Told {
        title: format!("Experiment {}: {}", record.id, spec.name),
        outcome: outcome(record, &status.forecast.next),
        next: (!is_over).then(|| {
            let expected = status.forecast.expected_ms.map_or("not to be said yet".to_owned(), print::duration);
            format!(
                "{}; at this pace: {expected}, at the longest {}",
                status.forecast.next,
                print::duration(status.forecast.at_most_ms)
            )
        }),
        facts: facts(record),
        tables: vec![
            Table {
                title: "Arms",
                note: "The first is the incumbent.",
                header: vec!["arm", "strategy", "digest", "share", "samples", ""],
                rows: arms.collect(),
            },
            effects(
                "Objective",
                "\"Not excluded\" holds at every look together: it may be read at any time.",
                &status.effects,
                &of_objective,
            ),
            effects("Guardrails", "None may get worse by more than its tolerance.", &status.guardrails, &of_guardrail),
            Table {
                title: "By workload class",
                note: "Plain means; the intervals are 95 % at one look, and no verdict rests on them.",
                header: vec!["class", "challenger", "incumbent", "challenger's", "change", "95 %", "requests"],
                rows: classes.iter().map(|effect| class_row(record, metric, effect)).collect(),
            },
            Table { title: "Decisions", note: "", header: vec!["when", "what"], rows: notes.collect() },
        ],
    }
}

fn outcome(record: &Record, next: &str) -> String {
    let experiment = &record.experiment;
    let spec = experiment.spec();
    match (experiment.phase(), experiment.verdict()) {
        (Phase::Running, _) => "The arms are being compared.".to_owned(),
        (_, Some(Verdict::Promote { arm, gain, .. })) if *arm != CONTROL => {
            let change = change(&spec.objective.metric, spec.objective.metric.change(*gain));
            let metric = spec.objective.metric.name();
            format!(
                "{} was promoted: {metric} changed by {change}, with a probability of error of at most {}. {next}.",
                spec.arms[*arm].name,
                print::percent(spec.level.probability())
            )
        }
        (_, Some(Verdict::Promote { .. })) => {
            let metric = &spec.objective.metric;
            let effects = experiment.status().effects;
            let changes = effects.iter().filter_map(|effect| Some((&effect.challenger, effect.change?)));
            let changes = changes.map(|(challenger, by)| format!("{challenger} changed it by {}", change(metric, by)));
            format!(
                "{} is better in {} and stays in service: {}. The probability of error is at most {}.",
                spec.arms[CONTROL].name,
                metric.name(),
                changes.collect::<Vec<_>>().join(", "),
                print::percent(spec.level.probability())
            )
        }
        _ => format!("{}{}.", next.get(..1).unwrap_or_default().to_uppercase(), next.get(1..).unwrap_or_default()),
    }
}

fn facts(record: &Record) -> Vec<(&'static str, String)> {
    let (status, spec) = (record.experiment.status(), record.experiment.spec());
    let mut facts =
        vec![("phase", ending(&record.experiment).to_owned()), ("started", print::moment(status.started_ms))];
    if let Some(ended_ms) = record.ended_ms {
        facts.push((
            "ended",
            format!(
                "{} after {}",
                print::moment(ended_ms),
                print::duration(ended_ms.saturating_sub(status.started_ms))
            ),
        ));
    }
    let effect = spec.objective.minimum_effect;
    facts.push((
        "objective",
        format!("{}; worth a change from {}", spec.objective.metric.name(), amount(&spec.objective.metric, effect)),
    ));
    if let Metric::Mix(mix) = &spec.objective.metric {
        let weight = print::number;
        facts.push((
            "mix",
            format!(
                "response time {}, resources {}, quality {} (nothing judges an answer as it ends: 1 for one that came, 0 for a failure)",
                weight(mix.response_time),
                weight(mix.resources),
                weight(mix.quality)
            ),
        ));
    }
    facts.push(("regime", spec.choice.reason.clone()));
    facts.push((
        "drawn by",
        match (&spec.choice.regime, spec.unit) {
            (Regime::Switchback(_), _) => "block of time".to_owned(),
            (_, Unit::Request) => "request".to_owned(),
            (_, Unit::Session) => "session".to_owned(),
            (_, Unit::User) => "user".to_owned(),
        },
    ));
    facts.push(("good answers", slo(&spec.slo)));
    facts.push(("error bound", format!("{} over all looks and arms", print::percent(spec.level.probability()))));
    if record.is_automatic {
        let most = print::percent(FALSE_PROMOTIONS.probability());
        facts.push((
            "continuous mode",
            format!("over all its experiments at most {most} of promotions are expected to be false"),
        ));
    }
    let (step, steps) = status.ramp_step;
    facts.push(("ramp", format!("step {step} of {steps}")));
    if let Some(p) = status.sample_ratio_p {
        facts.push(("sample ratio", format!("p = {p:.3} (alarm below 0.001)")));
    }
    facts.push((
        "not counted",
        format!(
            "{} for want of room, {} results after their deadline, {} rounds, {} batches that came twice",
            status.turned_away + record.unreported,
            status.late_results,
            status.void_rounds,
            status.duplicates
        ),
    ));
    facts.push(("machine", record.machine.clone()));
    facts.push(("serves", record.serves.clone()));
    facts
}

fn slo(slo: &Slo) -> String {
    let limit = |what: &str, limit: Option<f64>| limit.map(|limit| format!("{what} {} ms", print::number(limit)));
    let limits = [
        limit("first token within", slo.ttft_ms),
        limit("tokens within", slo.time_per_output_token_ms),
        limit("response within", slo.response_ms),
        Some(format!("deadline {} ms", slo.deadline_ms)),
    ];
    limits.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn effect_row(metric: &Metric, effect: &Effect) -> Vec<String> {
    let figure = |figure: Option<f64>| figure.map_or("-".to_owned(), |figure| figure_of(metric, figure));
    vec![
        effect.challenger.clone(),
        effect.metric.to_owned(),
        figure(effect.incumbent),
        figure(effect.figure),
        effect.change.map_or("-".to_owned(), |value| change(metric, value)),
        range(metric, effect.lower, effect.upper),
        effect.samples.to_string(),
    ]
}

fn class_row(record: &Record, metric: &Metric, effect: &ClassEffect) -> Vec<String> {
    let name = record.experiment.spec().arms.get(effect.arm).map_or("-", |arm| arm.name.as_str());
    vec![
        effect.class.to_owned(),
        name.to_owned(),
        figure_of(metric, effect.means[0]),
        figure_of(metric, effect.means[1]),
        change(metric, effect.change),
        range(metric, Some(effect.lower), Some(effect.upper)),
        effect.counts.iter().sum::<u64>().to_string(),
    ]
}

fn range(metric: &Metric, lower: Option<f64>, upper: Option<f64>) -> String {
    let bound = |bound: Option<f64>| bound.map_or("open".to_owned(), |bound| change(metric, bound));
    if lower.is_none() && upper.is_none() { "-".to_owned() } else { format!("{} to {}", bound(lower), bound(upper)) }
}

/// A change in the metric's own terms, with its sign.
fn change(metric: &Metric, value: f64) -> String {
    match metric.scale() {
        Scale::Share => format!("{:+.1} points", value * 100.0),
        Scale::Ratio => format!("{:+.1} %", value * 100.0),
        Scale::Unit => format!("{value:+.2}{}", unit(metric)),
    }
}

fn amount(metric: &Metric, value: f64) -> String {
    change(metric, value).trim_start_matches('+').to_owned()
}

/// A figure of one arm.
fn figure_of(metric: &Metric, value: f64) -> String {
    match metric.scale() {
        Scale::Share => format!("{:.1} %", value * 100.0),
        Scale::Ratio => format!("{} ms", print::number(value)),
        Scale::Unit => format!("{}{}", print::number(value), unit(metric)),
    }
}

fn unit(metric: &Metric) -> &'static str {
    match metric {
        Metric::TokensPerSecond => " tokens/s",
        Metric::Cost => " s at the provider",
        _ => "",
    }
}
