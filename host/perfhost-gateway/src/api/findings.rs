//! `/api/analysis/bottlenecks` and `/api/analysis/performance/{aspect}`: what history means.

use std::sync::Arc;

use http::StatusCode;
use perfhost_analysis::anomaly::{SpikeRule, spikes};
use perfhost_analysis::baseline::baseline;
use perfhost_analysis::bottleneck::{Bottleneck, Evidence, bottlenecks};
use perfhost_analysis::drift::{DriftRule, drift};
use perfhost_analysis::forecast::forecast;
use perfhost_analysis::growth::growth;
use perfhost_analysis::trend::trend;
use perfhost_strategy::Scope;
use perfhost_strategy::observation::metric;
use perfhost_telemetry::{HistoryPoint, StoreError};
use serde_json::{Value, json};

use super::blocking;
use super::query::Query;
use super::recorded::{self, DAY, HOUR, LEAST_REQUESTS, Range, Recorded, unit};
use super::reply::{Reply, Trouble};
use crate::caching::now_ms;
use crate::services::Services;

/// What can be asked for after `/api/analysis/performance/`.
pub(crate) const ASPECTS: [&str; 7] = ["response-time", "models", "optimizations", "cpu", "memory", "gpu", "cache"];

/// Measurements of requests that a point needs.
const LEAST_A_POINT: u64 = 3;

/// One series that is looked at.
struct Looked {
    name: &'static str,
    metric: &'static str,
    value: fn(&HistoryPoint) -> f64,
    least: u64,
    limit: Option<f64>,
}

pub(crate) async fn bottlenecks_of(services: &Arc<Services>, query: &Query) -> Result<Reply, Trouble> {
    let range = Range::of(query, now_ms(), HOUR)?;
    let services = services.clone();
    let found = blocking(move || -> Result<Value, StoreError> {
        let recorded = Recorded::new(&services.store, range);
        let (phases, requests) = recorded.phases()?;
        let found = found_bottlenecks(&services, &recorded)?;
        Ok(json!({
            "scope": recorded.range.scope, "from_ms": recorded.range.from_ms, "to_ms": recorded.range.to_ms,
            "requests": requests, "least_requests": perfhost_analysis::bottleneck::LEAST_REQUESTS,
            "phases": phases, "bottlenecks": found,
        }))
    });
    Ok(Reply::json(&found.await??))
}

/// The bottlenecks of a range and scope.
pub(crate) fn found_bottlenecks(services: &Services, recorded: &Recorded<'_>) -> Result<Vec<Bottleneck>, StoreError> {
    let (phases, requests) = recorded.phases()?;
    let host = recorded.at(&Scope::global());
    let engines: Vec<_> = services.fleet.providers().iter().filter(|one| one.is_managed()).cloned().collect();
    let settings = services.settings.load();
    let mut evidence = Evidence {
        requests,
        queue_length: host.mean(metric::QUEUE_LENGTH, 1)?,
        in_flight: host.mean(metric::IN_FLIGHT, 1)?,
        concurrency_limit: Some(settings.concurrency_limit as f64),
        cpu_usage: host.mean(metric::CPU_USAGE, 1)?,
        memory_usage: host.mean(metric::MEMORY_USAGE, 1)?,
        gpu_usage: host.mean(metric::GPU_USAGE, 1)?,
        cache_hit_rate: recorded.mean(metric::CACHE_HIT_RATE, LEAST_REQUESTS)?,
        time_per_token_ms: recorded.mean(metric::TIME_PER_OUTPUT_TOKEN, LEAST_A_POINT)?,
        ..Evidence::default()
    };
    // What an engine says explains its own requests only, and those of the whole host.
    let asked = recorded.range.scope.provider_name();
    if let [engine] = engines.as_slice()
        && asked.is_none_or(|asked| asked == engine.name())
    {
        let of_engine = recorded.at(&Scope::provider(engine.name()));
        evidence.slots_busy = of_engine.mean(metric::ENGINE_SLOTS_BUSY, 1)?;
        evidence.slots = Some(f64::from(settings.engine(engine.name()).slots));
        evidence.deferred = of_engine.mean(metric::ENGINE_REQUESTS_DEFERRED, 1)?;
    }
    Ok(bottlenecks(&phases, &evidence))
}

pub(crate) async fn analyse(services: &Arc<Services>, query: &Query, aspect: String) -> Result<Reply, Trouble> {
    if !ASPECTS.contains(&aspect.as_str()) {
        let message = format!("{aspect:?} is not analysed; there are {}", ASPECTS.join(", "));
        return Err(Trouble::new(StatusCode::NOT_FOUND, "not_found", message));
    }
    let range = Range::of(query, now_ms(), DAY)?;
    let services = services.clone();
    let found = blocking(move || -> Result<Value, StoreError> {
        let recorded = Recorded::new(&services.store, range);
        let findings = match aspect.as_str() {
            "models" => {
                let scopes = recorded::models(&services.store)?.into_iter().map(|(scope, ..)| scope);
                each(&recorded, scopes)?
            }
            "optimizations" => {
                let scopes = recorded::strategies(&services.store)?.into_iter().map(|(scope, _)| scope);
                each(&recorded, scopes)?
            }
            "gpu" if recorded.at(&Scope::global()).distribution(metric::GPU_USAGE)?.is_empty() => {
                json!({ "is_available": false, "reason": "no graphics processor was measured on this machine" })
            }
            aspect => {
                let mut findings = looked_at(&recorded, looked(aspect))?;
                if aspect == "memory" {
                    findings["growth"] =
                        json!(growth(&recorded.series(metric::PROCESS_MEMORY, |point| point.mean, 1)?));
                }
                findings
            }
        };
        Ok(json!({
            "aspect": aspect, "scope": recorded.range.scope, "from_ms": recorded.range.from_ms,
            "to_ms": recorded.range.to_ms, "findings": findings,
        }))
    });
    Ok(Reply::json(&found.await??))
}

fn each(recorded: &Recorded<'_>, scopes: impl Iterator<Item = Scope>) -> Result<Value, StoreError> {
    let mut findings = json!({});
    for scope in scopes {
        let found = looked_at(&recorded.at(&scope), looked("response-time"))?;
        findings[scope.as_str()] = found;
    }
    Ok(findings)
}

fn looked(aspect: &str) -> &'static [Looked] {
    const fn gauge(name: &'static str, metric: &'static str, limit: Option<f64>) -> Looked {
        Looked { name, metric, value: |point| point.mean, least: 1, limit }
    }
    const REQUESTS: &[Looked] = &[
        Looked {
            name: "response_time_p95_ms",
            metric: metric::RESPONSE_TIME,
            value: |point| point.p95,
            least: LEAST_A_POINT,
            limit: None,
        },
        Looked {
            name: "time_to_first_token_p95_ms",
            metric: metric::TIME_TO_FIRST_TOKEN,
            value: |point| point.p95,
            least: LEAST_A_POINT,
            limit: None,
        },
    ];
    const CPU: &[Looked] =
        &[gauge("cpu_usage", metric::CPU_USAGE, Some(0.95)), gauge("process_cpu", metric::PROCESS_CPU, None)];
    const MEMORY: &[Looked] = &[
        gauge("memory_usage", metric::MEMORY_USAGE, Some(0.95)),
        gauge("process_memory_bytes", metric::PROCESS_MEMORY, None),
    ];
    // Engines take most of a processor's memory at once and keep it, so that there is no limit to run into.
    const GPU: &[Looked] = &[
        gauge("gpu_usage", metric::GPU_USAGE, Some(0.95)),
        gauge("gpu_memory_usage", metric::GPU_MEMORY_USAGE, None),
        gauge("gpu_memory_used_bytes", metric::GPU_MEMORY_USED, None),
    ];
    const CACHE: &[Looked] = &[Looked {
        name: "cache_hit_rate",
        metric: metric::CACHE_HIT_RATE,
        value: |point| point.mean,
        least: LEAST_A_POINT,
        limit: None,
    }];
    match aspect {
        "cpu" => CPU,
        "memory" => MEMORY,
        "gpu" => GPU,
        "cache" => CACHE,
        _ => REQUESTS,
    }
}

fn looked_at(recorded: &Recorded<'_>, all: &[Looked]) -> Result<Value, StoreError> {
    let mut findings = json!({});
    for one in all {
        let series = recorded.series(one.metric, one.value, one.least)?;
        findings[one.name] = json!({
            "points": series.len(),
            "baseline": baseline(&series),
            "trend": trend(&series),
            "spikes": spikes(&series, &SpikeRule::for_unit(unit(one.metric))),
            "drift": drift(&series, &DriftRule::for_unit(unit(one.metric))),
            "forecast": one.limit.and_then(|limit| forecast(&series, limit)),
        });
    }
    Ok(findings)
}
