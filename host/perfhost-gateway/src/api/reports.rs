//! `/api/analysis/reports/{daily,weekly}`: a day or a week, with what to do about it.

use std::sync::Arc;
use std::time::Duration;

use perfhost_analysis::anomaly::{SpikeRule, spikes};
use perfhost_analysis::drift::{DriftRule, drift};
use perfhost_analysis::forecast::forecast;
use perfhost_analysis::kpi::{self, Figures, Level};
use perfhost_analysis::report::{Advice, Curve, Plot, Report, Section};
use perfhost_analysis::trend::{Direction, trend};
use perfhost_strategy::Scope;
use perfhost_strategy::observation::metric;
use perfhost_telemetry::store::MOST_DECISIONS;
use perfhost_telemetry::{History, HistoryPoint, StoreError};
use serde_json::json;

use super::comparing::{TurnedKnob, by_knob};
use super::query::Query;
use super::recorded::{self, DAY, Range, Recorded, longest_step_ms};
use super::reply::{Reply, Trouble};
use super::{aggregates, blocking, dashboard, findings, tuning};
use crate::caching::now_ms;
use crate::moment;
use crate::services::Services;

/// What a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// 24 hours.
    Day,
    /// Seven days.
    Week,
}

impl Period {
    fn length(self) -> Duration {
        match self {
            Period::Day => DAY,
            Period::Week => 7 * DAY,
        }
    }
}

pub(crate) async fn report(services: &Arc<Services>, query: &Query, period: Period) -> Result<Reply, Trouble> {
    let format = query.one_of("format", &["json", "markdown", "html"])?.unwrap_or("json").to_owned();
    let end_ms = query.moment("end", now_ms())?.unwrap_or_else(now_ms);
    let services = services.clone();
    let report = blocking(move || made(&services, period, end_ms)).await??;
    Ok(match format.as_str() {
        "markdown" => Reply::text("text/markdown; charset=utf-8", report.markdown()),
        "html" => Reply::text("text/html; charset=utf-8", report.html()),
        _ => Reply::json(&json!(report)),
    })
}

/// The report on the period that ends at `end_ms`; `None` where nothing was recorded. Reads history: not for the hot path.
///
/// # Errors
/// When history cannot be read.
pub fn report_on(services: &Services, period: Period, end_ms: u64) -> Result<Option<Report>, StoreError> {
    let from_ms = end_ms.saturating_sub(period.length().as_millis() as u64);
    let range = Range { from_ms, to_ms: end_ms.max(from_ms + 1), scope: Scope::global() };
    let is_recorded = !Recorded::new(&services.store, range).distribution(metric::IN_FLIGHT)?.is_empty();
    is_recorded.then(|| made(services, period, end_ms)).transpose()
}

fn made(services: &Services, period: Period, end_ms: u64) -> Result<Report, StoreError> {
    let length_ms = period.length().as_millis() as u64;
    let from_ms = end_ms.saturating_sub(length_ms);
    let range = Range { from_ms, to_ms: end_ms.max(from_ms + 1), scope: Scope::global() };
    let host = Recorded::new(&services.store, range.clone());
    let before = Recorded::new(&services.store, range.before());
    let (figures, figures_before) = (host.figures()?, before.figures()?);
    let health = dashboard::health_of(services, &host, &figures)?;
    let (grade, _) = kpi::grades(&figures, &services.targets);

    let mut summary = vec![format!(
        "{} successful requests; health {:.0} of 100 ({}){}",
        figures.requests,
        health.score,
        word(&health.status),
        grade.map(|grade| format!(", grade {}", word(&grade))).unwrap_or_default()
    )];
    summary.extend(health.reasons.iter().map(|reason| format!("{} ({:.0} points lost)", reason.reason, reason.points)));
    let sections = vec![
        targets(services, &figures, &figures_before),
        performance(&host)?,
        outcomes(&host, &before)?,
        cache(&host, &before)?,
        bottlenecks(services, &host)?,
        models(&host)?,
        resources(&host)?,
        decisions(&host)?,
    ];
    let recommendations = tuning::recommendations(services, &host)?
        .into_iter()
        .map(|one| {
            let turned = one.knob.map(|knob| format!(" ({knob}: {} → {})", one.now, one.suggested)).unwrap_or_default();
            Advice { action: one.action + &turned, evidence: one.evidence }
        })
        .collect();
    let name = match period {
        Period::Day => "Daily",
        Period::Week => "Weekly",
    };
    Ok(Report {
        title: format!("{name} report of perfhost"),
        period: format!("{} to {}", moment::written(range.from_ms), moment::written(range.to_ms)),
        summary,
        sections,
        recommendations,
    })
}

fn targets(services: &Services, figures: &Figures, before: &Figures) -> Section {
    let (now, before) = (kpi::table(figures, &services.targets), kpi::table(before, &services.targets));
    let shown = |value: Option<f64>, unit: &str| match value {
        None => "not measured".to_owned(),
        Some(value) if unit == "ratio" => format!("{:.1} %", value * 100.0),
        Some(value) => format!("{value:.1} {unit}"),
    };
    let rows = now.iter().zip(&before).map(|(kpi, before)| {
        let level = match kpi.level {
            None => "-",
            Some(Level::OnTarget) => "on target",
            Some(Level::OffTarget) => "off target",
            Some(Level::Warning) => "warning",
            Some(Level::Critical) => "critical",
        };
        let target = shown(Some(kpi.target), kpi.unit);
        vec![kpi.name.to_owned(), shown(kpi.value, kpi.unit), shown(before.value, kpi.unit), target, level.to_owned()]
    });
    Section {
        title: "Targets".to_owned(),
        columns: columns(&["figure", "value", "period before", "target", "level"]),
        rows: rows.collect(),
        ..Section::default()
    }
}

fn performance(host: &Recorded<'_>) -> Result<Section, StoreError> {
    let p95 = host.series(metric::RESPONSE_TIME, |point| point.p95, 3)?;
    let mut lines = Vec::new();
    if let Some(trend) = trend(&p95).filter(|trend| trend.direction != Direction::Steady) {
        lines.push(format!(
            "p95 of the response time is {} by {:.0} ms an hour ({:+.0} % over the period).",
            word(&trend.direction),
            trend.slope_per_hour.abs(),
            trend.relative_change * 100.0
        ));
    }
    if let Some(drift) = drift(&p95, &DriftRule::for_unit("ms")) {
        lines.push(format!(
            "Its level changed from {:.0} to {:.0} ms at {}.",
            drift.before,
            drift.after,
            moment::written(drift.from_ms)
        ));
    }
    for spike in spikes(&p95, &SpikeRule::for_unit("ms")).iter().take(5) {
        lines.push(format!(
            "Spike at {}: {:.0} ms where {:.0} were usual.",
            moment::written(spike.from_ms),
            spike.value,
            spike.usual
        ));
    }
    if lines.is_empty() {
        lines.push("No trend, change of level or spike in the response time.".to_owned());
    }
    let plots = vec![
        plot(
            host,
            "Response time (ms)",
            &[
                ("p50", metric::RESPONSE_TIME, |point| point.p50),
                ("p95", metric::RESPONSE_TIME, |point| point.p95),
                ("p99", metric::RESPONSE_TIME, |point| point.p99),
            ],
        )?,
        plot(
            host,
            "Throughput (requests per second)",
            &[("requests", metric::REQUESTS_PER_SECOND, |point: &HistoryPoint| point.mean)],
        )?,
        plot(
            host,
            "Generation (tokens per second)",
            &[("tokens", metric::TOKENS_PER_SECOND, |point: &HistoryPoint| point.mean)],
        )?,
        plot(
            host,
            "Errors and cache hits (share of requests)",
            &[
                ("errors", metric::ERROR_RATE, |point| point.mean),
                ("rejected", metric::REJECTED_RATE, |point| point.mean),
                ("cache hits", metric::CACHE_HIT_RATE, |point| point.mean),
            ],
        )?,
    ];
    Ok(Section { title: "Performance".to_owned(), lines, plots, ..Section::default() })
}

fn outcomes(host: &Recorded<'_>, before: &Recorded<'_>) -> Result<Section, StoreError> {
    let (now, before) = (host.outcomes()?, before.outcomes()?);
    let total: u64 = now.iter().map(|one| one.count).sum();
    let rows = now.iter().filter(|one| one.count > 0).map(|one| {
        let earlier = before.iter().find(|other| other.outcome == one.outcome).map_or(0, |other| other.count);
        let share = format!("{:.2} %", one.count as f64 * 100.0 / total as f64);
        vec![one.outcome.replace('_', " "), one.count.to_string(), share, earlier.to_string()]
    });
    Ok(Section {
        title: "What requests came to".to_owned(),
        lines: if total == 0 { vec!["There were no requests.".to_owned()] } else { Vec::new() },
        columns: columns(&["outcome", "requests", "share", "period before"]),
        rows: rows.collect(),
        ..Section::default()
    })
}

fn cache(host: &Recorded<'_>, before: &Recorded<'_>) -> Result<Section, StoreError> {
    let (now, before) = (host.cache_figures()?, before.cache_figures()?);
    if now.lookups == 0 {
        let lines = vec!["No request could have been answered from the cache.".to_owned()];
        return Ok(Section { title: "Cache".to_owned(), lines, ..Section::default() });
    }
    let seconds = |milliseconds: u64| format!("{:.1} s", milliseconds as f64 / 1_000.0);
    let rows = [
        ("cacheable requests", now.lookups.to_string(), before.lookups.to_string()),
        ("answered from the cache", now.hits.to_string(), before.hits.to_string()),
        ("answered by an equal request", now.shared.to_string(), before.shared.to_string()),
        ("prompt tokens saved", now.prompt_tokens_saved.to_string(), before.prompt_tokens_saved.to_string()),
        ("output tokens saved", now.output_tokens_saved.to_string(), before.output_tokens_saved.to_string()),
        ("time saved", seconds(now.time_saved_ms), seconds(before.time_saved_ms)),
    ];
    Ok(Section {
        title: "Cache".to_owned(),
        columns: columns(&["figure", "value", "period before"]),
        rows: rows.into_iter().map(|(name, now, before)| vec![name.to_owned(), now, before]).collect(),
        ..Section::default()
    })
}

fn bottlenecks(services: &Services, host: &Recorded<'_>) -> Result<Section, StoreError> {
    let found = findings::found_bottlenecks(services, host)?;
    let lines = match found.is_empty() {
        true => vec!["Too few requests to tell where their time goes.".to_owned()],
        false => Vec::new(),
    };
    let rows = found.iter().map(|one| {
        vec![one.phase.to_owned(), format!("{:.0} %", one.share * 100.0), one.cause.to_owned(), one.evidence.join("; ")]
    });
    Ok(Section {
        title: "Where the time goes".to_owned(),
        lines,
        columns: columns(&["phase", "share", "cause", "evidence"]),
        rows: rows.collect(),
        ..Section::default()
    })
}

fn models(host: &Recorded<'_>) -> Result<Section, StoreError> {
    let mut rows = Vec::new();
    for (scope, ..) in recorded::models(host.store)? {
        let figures = aggregates::compared(&host.at(&scope))?;
        let Some(count) = figures[metric::RESPONSE_TIME]["count"].as_u64() else { continue };
        let shown = |name: &str, field: &str| {
            figures[name][field].as_f64().map_or("-".to_owned(), |value| format!("{value:.1}"))
        };
        rows.push(vec![
            scope.as_str().to_owned(),
            count.to_string(),
            shown(metric::RESPONSE_TIME, "p50"),
            shown(metric::RESPONSE_TIME, "p95"),
            shown(metric::TIME_TO_FIRST_TOKEN, "p95"),
            figures[metric::ERROR_RATE]["mean"]
                .as_f64()
                .map_or("-".to_owned(), |rate| format!("{:.1} %", rate * 100.0)),
        ]);
    }
    Ok(Section {
        title: "Models".to_owned(),
        columns: columns(&["model", "requests", "p50 ms", "p95 ms", "first token p95 ms", "errors"]),
        rows,
        ..Section::default()
    })
}

fn resources(host: &Recorded<'_>) -> Result<Section, StoreError> {
    let mut lines = Vec::new();
    let memory = host.series(metric::PROCESS_MEMORY, |point| point.mean, 1)?;
    if let Some(growth) = perfhost_analysis::growth::growth(&memory) {
        let leak = if growth.is_leak { ", which looks like a leak" } else { "" };
        lines.push(format!("perfhost's own memory changes by {:.1} MB an hour{leak}.", growth.mb_per_hour));
    }
    let used = host.series(metric::MEMORY_USAGE, |point| point.mean, 1)?;
    if let Some(forecast) = forecast(&used, 0.95) {
        lines.push(format!(
            "At this rate the machine's memory is 95 % full in {:.0} hours, at {}.",
            forecast.hours_left,
            moment::written(forecast.reached_at_ms)
        ));
    }
    let mut plots = vec![plot(
        host,
        "Processor and memory of the machine (share)",
        &[("processor", metric::CPU_USAGE, |point| point.mean), ("memory", metric::MEMORY_USAGE, |point| point.mean)],
    )?];
    if !host.distribution(metric::GPU_USAGE)?.is_empty() {
        plots.push(plot(
            host,
            "Graphics processors: the busiest and the fullest (share)",
            &[
                ("busy", metric::GPU_USAGE, |point| point.mean),
                ("memory", metric::GPU_MEMORY_USAGE, |point| point.mean),
            ],
        )?);
    }
    Ok(Section { title: "Resources".to_owned(), lines, plots, ..Section::default() })
}

fn decisions(host: &Recorded<'_>) -> Result<Section, StoreError> {
    let (knobs, is_whole) = by_knob(host)?;
    let row = |knob: &TurnedKnob| {
        let effects: Vec<String> = knob.effects().map(|(metric, ratio, _)| format!("{metric} × {ratio:.2}")).collect();
        let mut cells = vec![knob.name.clone()];
        cells.extend(knob.counts().map(|count| count.to_string()));
        cells.push(effects.join(", "));
        cells
    };
    let rows: Vec<Vec<String>> = knobs.iter().map(row).collect();
    let lines = match (is_whole, rows.is_empty()) {
        (false, _) => {
            vec![format!("Those of the beginning of the period are missing: the newest {MOST_DECISIONS} are kept.")]
        }
        (true, true) => vec!["No knob was turned.".to_owned()],
        (true, false) => Vec::new(),
    };
    Ok(Section {
        title: "Decisions".to_owned(),
        lines,
        columns: columns(&["knob", "applied", "clamped", "refused", "rolled back", "measured effect"]),
        rows,
        ..Section::default()
    })
}

type Line = (&'static str, &'static str, fn(&HistoryPoint) -> f64);

fn plot(host: &Recorded<'_>, title: &str, lines: &[Line]) -> Result<Plot, StoreError> {
    let range = &host.range;
    let found: Vec<History> = lines.iter().map(|(_, metric, _)| host.history(metric)).collect::<Result<_, _>>()?;
    let step_ms = longest_step_ms(&found);
    let first = range.from_ms / step_ms;
    let count = (range.to_ms.div_ceil(step_ms) - first) as usize;
    let mut curves = Vec::new();
    for ((name, _, value), history) in lines.iter().zip(&found) {
        let mut values = vec![None; count];
        for point in &history.points {
            let at = (point.at_ms / step_ms).checked_sub(first).and_then(|at| values.get_mut(at as usize));
            if let Some(place) = at {
                *place = Some(value(point));
            }
        }
        curves.push(Curve { name: (*name).to_owned(), values });
    }
    let (from, to) = (moment::written(range.from_ms), moment::written(range.to_ms));
    Ok(Plot { title: title.to_owned(), from, to, curves })
}

fn columns(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A unit-like value as it is serialised, with spaces.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| value.as_str().map(|word| word.replace('_', " ")))
        .unwrap_or_default()
}
