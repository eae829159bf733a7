//! `/metrics` for Prometheus, `/api/metrics/current`, `/api/metrics/historical` and `/api/metrics/histogram`.

use std::sync::Arc;
use std::time::Duration;

use perfhost_strategy::observation::metric;
use perfhost_strategy::{KnobId, Scope, Settings};
use perfhost_telemetry::{Counter, ExtraMetric, GpuResources, HistoryQuery, prometheus};
use serde_json::json;

use super::blocking;
use super::query::Query;
use super::recorded::{names, unit};
use super::reply::{Reply, Trouble};
use crate::caching::now_ms;
use crate::experiment::LiveExperiment;
use crate::services::Services;

/// Windows that are kept for the present.
const WINDOWS: [(&str, Duration); 2] = [("10s", Duration::from_secs(10)), ("60s", Duration::from_secs(60))];

/// Bounds of the histogram's buckets, in milliseconds.
const BUCKETS_MS: [f64; 5] = [500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0];

/// Most points in one answer.
const MOST_POINTS: u64 = 10_000;

/// The shortest step of history.
const SHORTEST_STEP_MS: u64 = 10_000;

pub(crate) async fn prometheus(services: &Arc<Services>) -> Result<Reply, Trouble> {
    let services = services.clone();
    let text = blocking(move || prometheus::render(&services.telemetry, &extra(&services))).await?;
    Ok(Reply::text("text/plain; version=0.0.4; charset=utf-8", text))
}

/// `?window=10s|60s`, 60s by default.
pub(crate) async fn current(services: &Arc<Services>, query: &Query) -> Result<Reply, Trouble> {
    let (name, window) = match query.text("window") {
        None => WINDOWS[1],
        Some(asked) => WINDOWS
            .into_iter()
            .find(|(name, _)| *name == asked)
            .ok_or_else(|| Trouble::invalid(format!("window={asked:?} is not kept; allowed: 10s, 60s")))?,
    };
    let telemetry = services.telemetry.clone();
    let (metrics, strategies) = blocking(move || (telemetry.window(window), telemetry.by_strategy(window))).await?;
    let strategies: Vec<_> =
        strategies.into_iter().map(|(strategy, metrics)| json!({ "strategy": strategy, "metrics": metrics })).collect();
    Ok(Reply::json(&json!({ "at_ms": now_ms(), "window": name, "metrics": metrics, "strategies": strategies })))
}

/// `?metric=&scope=&from=&to=&step=`; the last hour of the whole host in at most 360 steps by default.
pub(crate) async fn historical(services: &Arc<Services>, query: &Query) -> Result<Reply, Trouble> {
    let name = known_metric(query, None)?;
    let (from_ms, to_ms) = range(query)?;
    let length_ms = to_ms - from_ms;
    let step_ms = match query.duration("step")? {
        None => (length_ms / 360).next_multiple_of(SHORTEST_STEP_MS).max(SHORTEST_STEP_MS),
        Some(step) => step.as_millis() as u64,
    };
    if step_ms < SHORTEST_STEP_MS || length_ms.div_ceil(step_ms) > MOST_POINTS {
        let message = format!("step must be at least 10s and make at most {MOST_POINTS} points");
        return Err(Trouble::invalid(message));
    }
    let scope = Scope::parse(query.text("scope").unwrap_or_default());
    let wanted = HistoryQuery { metric: name.to_owned(), scope: scope.clone(), from_ms, to_ms, step_ms };
    let store = services.store.clone();
    let found = blocking(move || store.history(&wanted)).await??;
    let points = match Counter::by_metric(name) {
        // Of what is counted there is nothing but the number.
        Some(_) => found.points.iter().map(|point| json!({ "at_ms": point.at_ms, "count": point.count })).collect(),
        None => json!(found.points),
    };
    Ok(Reply::json(&json!({
        "metric": name,
        "unit": unit(name),
        "scope": scope,
        "from_ms": from_ms,
        "to_ms": to_ms,
        "step_ms": found.step_ms,
        "points": points,
    })))
}

/// `?metric=&scope=&from=&to=`; response times of the whole host in the last hour by default. How many lie between each two
/// of [`BUCKETS_MS`].
pub(crate) async fn histogram(services: &Arc<Services>, query: &Query) -> Result<Reply, Trouble> {
    let name = known_metric(query, Some(metric::RESPONSE_TIME))?;
    if unit(name) != "ms" {
        return Err(Trouble::invalid(format!("metric={:?} is measured in {}; buckets are in ms", name, unit(name))));
    }
    let (from_ms, to_ms) = range(query)?;
    let scope = Scope::parse(query.text("scope").unwrap_or_default());
    let step_ms = (to_ms - from_ms).div_ceil(MOST_POINTS).next_multiple_of(SHORTEST_STEP_MS);
    let wanted = HistoryQuery { metric: name.to_owned(), scope: scope.clone(), from_ms, to_ms, step_ms };
    let store = services.store.clone();
    let counts = blocking(move || store.histogram(&wanted, &BUCKETS_MS)).await??;
    let lower = [0.0].into_iter().chain(BUCKETS_MS);
    let upper = BUCKETS_MS.into_iter().map(Some).chain([None]);
    let buckets = lower.zip(upper).zip(counts);
    Ok(Reply::json(&json!({
        "metric": name,
        "unit": unit(name),
        "scope": scope,
        "from_ms": from_ms,
        "to_ms": to_ms,
        "buckets": buckets.map(|((from, to), count)| json!({ "from": from, "to": to, "count": count })).collect::<Vec<_>>(),
    })))
}

/// The metric that is asked for, or the `usual` one; phases and counters have one each.
fn known_metric<'a>(query: &'a Query, usual: Option<&'a str>) -> Result<&'a str, Trouble> {
    let known = || names().collect::<Vec<_>>().join(", ");
    let name = query.text("metric").or(usual);
    let name = name.ok_or_else(|| Trouble::invalid(format!("metric is missing; one of {}", known())))?;
    match names().any(|metric| metric == name) {
        true => Ok(name),
        false => Err(Trouble::invalid(format!("metric={name:?} is not known; one of {}", known()))),
    }
}

/// `from` and `to` in Unix milliseconds; the last hour by default.
fn range(query: &Query) -> Result<(u64, u64), Trouble> {
    let now = now_ms();
    let to_ms = query.moment("to", now)?.unwrap_or(now);
    let from_ms = query.moment("from", now)?.unwrap_or(to_ms.saturating_sub(3_600_000));
    if from_ms < to_ms { Ok((from_ms, to_ms)) } else { Err(Trouble::invalid("from must be before to")) }
}

/// What telemetry does not count by itself: admission, knobs, planning, cache, the experiment, graphics processors, the host
/// around the gateway.
fn extra(services: &Services) -> Vec<ExtraMetric> {
    let (gauge, counter) = (ExtraMetric::gauge, ExtraMetric::counter);
    let is_so = |is_so: bool| f64::from(u8::from(is_so));
    let generation = services.generation.load();
    let planning = generation.planning.read();
    let cache = services.cache.stats();
    let mut list = vec![
        gauge(
            "perfhost_recording",
            "1 while requests are recorded, 0 where telemetry is off.",
            is_so(services.telemetry.is_recording()),
        ),
        gauge("perfhost_in_flight", "Requests admitted and not yet finished.", services.admission.in_flight() as f64),
        gauge("perfhost_queued", "Requests waiting for admission.", services.admission.queued() as f64),
        gauge("perfhost_cache_bytes", "Bytes of kept answers.", cache.bytes as f64),
        gauge("perfhost_cache_entries", "Kept answers.", cache.entries as f64),
        gauge(
            "perfhost_plan_demoted",
            "1 while requests follow the host's own plan instead of the strategy's.",
            is_so(planning.is_demoted),
        ),
        gauge("perfhost_strategy_generation", "Number of the strategy in service.", generation.number as f64),
        counter("perfhost_plan_calls_total", "Plan calls of this generation.", planning.calls),
        counter("perfhost_plan_failures_total", "Plan calls that failed.", planning.failures),
        counter("perfhost_plan_overruns_total", "Plan calls over their budget.", planning.overruns),
    ];
    list.extend(experiment(services.experiment.load().as_ref().as_ref()));
    let settings = services.settings.load();
    let providers: Vec<_> = services.fleet.providers().iter().map(|provider| provider.name().to_owned()).collect();
    list.extend(knobs(&settings, &providers));
    list.extend(services.control.alerts_firing().into_iter().map(|firing| {
        gauge("perfhost_alerts_firing", "Alerts that fire, by rule.", firing.count as f64)
            .with("rule", &firing.rule)
            .with("severity", firing.severity)
    }));
    list.extend(services.control.metrics());
    list.extend(services.control.gpus().iter().flat_map(of_gpu));
    list
}

/// Whether an experiment runs, and each arm's share of the requests that are counted in it.
fn experiment(running: Option<&LiveExperiment>) -> Vec<ExtraMetric> {
    let is_running = f64::from(u8::from(running.is_some()));
    let mut list = vec![ExtraMetric::gauge("perfhost_experiment_running", "1 while an experiment runs.", is_running)];
    let arms = running.map(|experiment| experiment.arms.iter().zip(experiment.allocation.shares()));
    list.extend(arms.into_iter().flatten().enumerate().map(|(at, (arm, share))| {
        let help = "Share of the counted requests that an arm of the running experiment gets at present.";
        ExtraMetric::gauge("perfhost_experiment_share", help, *share)
            .with("arm", &at.to_string())
            .with("strategy", &arm.generation.strategy.identity().name)
    }));
    list
}

/// What is known of one graphics processor.
fn of_gpu(gpu: &GpuResources) -> impl Iterator<Item = ExtraMetric> + use<> {
    let (vendor, index, model) = (gpu.vendor.name(), gpu.index.to_string(), gpu.name.clone());
    let known = [
        ("usage", "Share of the time in which a graphics processor computed.", gpu.usage),
        (
            "memory_used_bytes",
            "Memory in use on a graphics processor.",
            gpu.memory_used_bytes.map(|bytes| bytes as f64),
        ),
        ("memory_total_bytes", "Memory of a graphics processor.", gpu.memory_total_bytes.map(|bytes| bytes as f64)),
        ("temperature_celsius", "Temperature of a graphics processor.", gpu.temperature_celsius),
        ("power_watts", "Power that a graphics processor draws.", gpu.power_watts),
    ];
    known.into_iter().filter_map(move |(name, help, value)| {
        let metric = ExtraMetric::gauge(&format!("perfhost_gpu_device_{name}"), help, value?);
        Some(metric.with("vendor", vendor).with("gpu", &index).with("name", &model))
    })
}

/// Every knob that is a number, in every scope.
fn knobs(settings: &Settings, providers: &[String]) -> impl Iterator<Item = ExtraMetric> {
    settings.list(providers).into_iter().filter_map(|setting| {
        let is_known = KnobId::ALL.iter().any(|id| id.name() == setting.name);
        let value = setting.value.as_number().filter(|_| is_known)?;
        let metric = ExtraMetric::gauge("perfhost_knob", "Present value of a knob, in its own unit.", value);
        Some(metric.with("knob", &setting.name).with("scope", setting.scope.as_str()))
    })
}
