//! `/api/monitoring/dashboard/…`: what a dashboard shows at a glance, and its charts.

use std::collections::BTreeMap;
use std::sync::Arc;

use perfhost_analysis::growth::growth;
use perfhost_analysis::health::{Condition, Health, health};
use perfhost_analysis::kpi::{self, Figures};
use perfhost_strategy::Scope;
use perfhost_strategy::observation::metric;
use perfhost_telemetry::{History, StoreError};
use perfhost_upstream::provider::Health as ProviderHealth;
use serde_json::{Value, json};

use super::blocking;
use super::query::Query;
use super::recorded::{HOUR, LEAST_REQUESTS, Range, Recorded, histogram, longest_step_ms};
use super::reply::{Reply, Trouble};
use crate::caching::now_ms;
use crate::services::Services;

const PERFORMANCE: [&str; 12] = [
    metric::RESPONSE_TIME,
    metric::TIME_TO_FIRST_TOKEN,
    metric::TIME_PER_OUTPUT_TOKEN,
    metric::QUEUE_WAIT,
    metric::UPSTREAM_TIME,
    metric::IN_FLIGHT,
    metric::QUEUE_LENGTH,
    metric::REQUESTS_PER_SECOND,
    metric::TOKENS_PER_SECOND,
    metric::ERROR_RATE,
    metric::REJECTED_RATE,
    metric::CACHE_HIT_RATE,
];

const RESOURCES: [&str; 8] = [
    metric::CPU_USAGE,
    metric::MEMORY_USAGE,
    metric::MEMORY_USED,
    metric::PROCESS_CPU,
    metric::PROCESS_MEMORY,
    metric::GPU_USAGE,
    metric::GPU_MEMORY_USAGE,
    metric::GPU_MEMORY_USED,
];

const ENGINE_RESOURCES: [&str; 3] = [metric::PROCESS_CPU, metric::PROCESS_MEMORY, metric::PROCESS_GPU_MEMORY];

/// A provider that is down costs so many points of health; all of them, so many.
const POINTS_A_PROVIDER: f64 = 10.0;
const POINTS_NO_PROVIDER: f64 = 60.0;
const POINTS_LEAK: f64 = 15.0;
/// Rejections lose points from one in a hundred to one in five.
const POINTS_REJECTED: f64 = 20.0;

pub(crate) async fn overview(services: &Arc<Services>) -> Result<Reply, Trouble> {
    let services = services.clone();
    Ok(Reply::json(&blocking(move || overview_of(&services)).await??))
}

fn overview_of(services: &Services) -> Result<Value, StoreError> {
    let now_ms = now_ms();
    let range =
        Range { from_ms: now_ms.saturating_sub(HOUR.as_millis() as u64), to_ms: now_ms, scope: Scope::global() };
    let now = Recorded::new(&services.store, range.clone());
    let before = Recorded::new(&services.store, range.before());
    let (figures, figures_before) = (now.figures()?, before.figures()?);
    let kpis = kpi::table(&figures, &services.targets);
    let (grade, grades) = kpi::grades(&figures, &services.targets);
    let health = health(&kpis, conditions(services, &now)?);
    let providers: Vec<Value> = services
        .fleet
        .providers()
        .iter()
        .map(|provider| json!({ "name": provider.name(), "health": provider.health().name(), "in_flight": provider.in_flight() }))
        .collect();
    let generation = services.generation.load();
    let identity = generation.strategy.identity();
    Ok(json!({
        "at_ms": now_ms, "health": health, "kpis": kpis, "grade": grade, "grades": grades,
        "cards": cards(&figures, &figures_before, &now, &before)?,
        "providers": providers,
        "strategy": { "name": identity.name, "version": identity.version, "generation": generation.number },
    }))
}

/// How the host stood over a range that ends now.
pub(crate) fn health_of(services: &Services, recorded: &Recorded<'_>, figures: &Figures) -> Result<Health, StoreError> {
    Ok(health(&kpi::table(figures, &services.targets), conditions(services, recorded)?))
}

/// What is wrong in itself.
fn conditions(services: &Services, recorded: &Recorded<'_>) -> Result<Vec<Condition>, StoreError> {
    let providers = services.fleet.providers();
    let down: Vec<&str> = providers
        .iter()
        .filter(|provider| provider.health() == ProviderHealth::Down)
        .map(|provider| provider.name())
        .collect();
    let mut found = Vec::new();
    if down.len() == providers.len() {
        let reason = if down.is_empty() { "there is no provider".to_owned() } else { "no provider is up".to_owned() };
        found.push(Condition { name: "no_provider", points: POINTS_NO_PROVIDER, reason });
    } else if !down.is_empty() {
        let points = (POINTS_A_PROVIDER * down.len() as f64).min(3.0 * POINTS_A_PROVIDER);
        found.push(Condition { name: "provider_down", points, reason: format!("{} down", down.join(", ")) });
    }
    if let Some(rate) = recorded.mean(metric::REJECTED_RATE, LEAST_REQUESTS)? {
        let points = POINTS_REJECTED * ((rate - 0.01) / 0.19).clamp(0.0, 1.0);
        let reason = format!("{:.1} % of requests were turned away by admission", rate * 100.0);
        found.push(Condition { name: "rejections", points, reason });
    }
    let memory = recorded.at(&Scope::global()).series(metric::PROCESS_MEMORY, |point| point.mean, 1)?;
    if let Some(growth) = growth(&memory).filter(|growth| growth.is_leak) {
        let reason = format!(
            "perfhost's memory has grown steadily by {:.1} MB/hour for {:.1} hours",
            growth.mb_per_hour, growth.hours
        );
        found.push(Condition { name: "memory_leak", points: POINTS_LEAK, reason });
    }
    Ok(found)
}

/// One figure each, with what it was in the hour before.
fn cards(
    now: &Figures,
    before: &Figures,
    recorded: &Recorded<'_>,
    recorded_before: &Recorded<'_>,
) -> Result<Value, StoreError> {
    let tokens = |recorded: &Recorded<'_>| recorded.mean(metric::TOKENS_PER_SECOND, 10);
    let rate = |recorded: &Recorded<'_>| recorded.mean(metric::REQUESTS_PER_SECOND, 10);
    let rows = [
        ("requests", "count", Some(now.requests as f64), Some(before.requests as f64)),
        ("response_time_p95_ms", "ms", now.response_time_p95_ms, before.response_time_p95_ms),
        ("error_rate", "ratio", now.error_rate, before.error_rate),
        ("cache_hit_rate", "ratio", now.cache_hit_rate, before.cache_hit_rate),
        ("requests_per_second", "requests/s", rate(recorded)?, rate(recorded_before)?),
        ("tokens_per_second", "tokens/s", tokens(recorded)?, tokens(recorded_before)?),
        ("memory_mb_per_hour", "MB/h", now.memory_mb_per_hour, before.memory_mb_per_hour),
    ];
    let card = |(name, unit, now, before): (&str, &str, Option<f64>, Option<f64>)| {
        let change = now.zip(before).filter(|(_, before)| *before > 0.0).map(|(now, before)| now / before - 1.0);
        json!({ "name": name, "unit": unit, "value": now, "before": before, "relative_change": change })
    };
    Ok(rows.into_iter().map(card).collect())
}

pub(crate) async fn performance(services: &Arc<Services>, query: &Query) -> Result<Reply, Trouble> {
    let range = Range::of(query, now_ms(), HOUR)?;
    let store = services.store.clone();
    let found = blocking(move || -> Result<Value, StoreError> {
        let recorded = Recorded::new(&store, range);
        let response_time = recorded.distribution(metric::RESPONSE_TIME)?;
        let series = charts(&recorded, &PERFORMANCE)?;
        Ok(json!({
            "scope": recorded.range.scope, "from_ms": recorded.range.from_ms, "to_ms": recorded.range.to_ms,
            "step_ms": longest_step_ms(series.values()), "series": drawn(series), "histogram": histogram(&response_time),
        }))
    });
    Ok(Reply::json(&found.await??))
}

pub(crate) async fn resources(services: &Arc<Services>, query: &Query) -> Result<Reply, Trouble> {
    let range = Range::of(query, now_ms(), HOUR)?;
    let services = services.clone();
    let found = blocking(move || -> Result<Value, StoreError> {
        let recorded = Recorded::new(&services.store, range);
        let mut series = charts(&recorded, &RESOURCES)?;
        for provider in services.fleet.providers().iter().filter(|provider| provider.is_managed()) {
            let scope = Scope::provider(provider.name());
            let of_engine = charts(&recorded.at(&scope), &ENGINE_RESOURCES)?;
            for (name, history) in of_engine {
                series.insert(format!("{}/{name}", provider.name()), history);
            }
        }
        Ok(json!({
            "from_ms": recorded.range.from_ms, "to_ms": recorded.range.to_ms, "step_ms": longest_step_ms(series.values()),
            "series": drawn(series), "now": services.control.resources(),
        }))
    });
    Ok(Reply::json(&found.await??))
}

fn charts(recorded: &Recorded<'_>, metrics: &[&str]) -> Result<BTreeMap<String, History>, StoreError> {
    metrics.iter().map(|name| Ok(((*name).to_owned(), recorded.history(name)?))).collect()
}

/// The points of each series by its name.
fn drawn(series: BTreeMap<String, History>) -> Value {
    let points = series.into_iter().map(|(name, history)| (name, json!(history.points)));
    Value::Object(points.collect())
}
