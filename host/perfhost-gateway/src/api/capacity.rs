//! `GET /api/analysis/capacity`: what is used of what there is, and how long it will do.

use std::sync::Arc;

use perfhost_analysis::forecast::{forecast, projected};
use perfhost_analysis::trend::trend;
use perfhost_strategy::Scope;
use perfhost_strategy::observation::metric;
use perfhost_telemetry::StoreError;
use serde_json::{Value, json};

use super::blocking;
use super::query::Query;
use super::recorded::{DAY, Range, Recorded};
use super::reply::{Reply, Trouble};
use crate::caching::now_ms;
use crate::services::Services;

/// A share of a processor or of memory that leaves too little for anything unexpected.
const FULL: f64 = 0.9;

/// A projection needs a series that spans this share of the range, so that one busy hour is not taken for a trend.
const LEAST_SPAN: f64 = 0.5;

pub(crate) async fn show(services: &Arc<Services>, query: &Query) -> Result<Reply, Trouble> {
    let range = Range::of(query, now_ms(), 7 * DAY)?;
    let services = services.clone();
    Ok(Reply::json(&blocking(move || capacity(&services, range)).await??))
}

fn capacity(services: &Services, range: Range) -> Result<Value, StoreError> {
    let host = Recorded::new(&services.store, range.at(&Scope::global()));
    let requests = host.distribution(metric::REQUESTS_PER_SECOND)?;
    let in_flight = host.distribution(metric::IN_FLIGHT)?;
    let allowed = services.settings.load().concurrency_limit as f64;
    let mut limits = Vec::new();
    for (name, metric, limit) in [
        ("processor", metric::CPU_USAGE, FULL),
        ("memory", metric::MEMORY_USAGE, FULL),
        ("gpu", metric::GPU_USAGE, FULL),
        ("concurrency", metric::IN_FLIGHT, allowed),
    ] {
        let whole = host.distribution(metric)?;
        if whole.is_empty() {
            continue;
        }
        let series = host.series(metric, |point| point.p95, 1)?;
        limits.push(json!({
            "name": name, "limit": limit, "mean": whole.mean(), "p95": whole.quantile(0.95), "max": whole.max(),
            "headroom": (1.0 - whole.quantile(0.95) / limit).clamp(0.0, 1.0), "forecast": forecast(&series, limit),
        }));
    }
    let series = host.series(metric::REQUESTS_PER_SECOND, |point| point.mean, 1)?;
    let is_long = series.span_ms() as f64 >= LEAST_SPAN * range.length_ms() as f64;
    let projection = trend(&series).filter(|_| is_long).map(|trend| {
        json!({
            "trend": trend,
            "requests_per_second_in_30_days": projected(&trend, 30.0 * 24.0),
            "requests_per_second_in_90_days": projected(&trend, 90.0 * 24.0),
        })
    });
    Ok(json!({
        "from_ms": range.from_ms, "to_ms": range.to_ms,
        "load": {
            "requests_per_second": { "mean": requests.mean(), "p95": requests.quantile(0.95), "max": requests.max() },
            "in_flight": { "mean": in_flight.mean(), "p95": in_flight.quantile(0.95), "max": in_flight.max() },
            "measured_s": requests.count(),
        },
        "limits": limits,
        "projection": projection,
    }))
}
