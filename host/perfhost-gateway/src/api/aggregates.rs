//! `/api/metrics/aggregated`, `/api/metrics/performance` and `/api/metrics/models/{id}`: whole ranges of history.

use std::sync::Arc;

use http::StatusCode;
use perfhost_strategy::observation::metric;
use perfhost_telemetry::{Counter, StoreError};
use serde_json::{Value, json};

use super::blocking;
use super::query::Query;
use super::recorded::{self, HOUR, Range, Recorded, histogram, summary, unit};
use super::reply::{Reply, Trouble};
use crate::caching::now_ms;
use crate::services::Services;

/// Figures of a model or a strategy side by side with others.
const COMPARED: [&str; 9] = [
    metric::RESPONSE_TIME,
    metric::TIME_TO_FIRST_TOKEN,
    metric::TIME_PER_OUTPUT_TOKEN,
    metric::QUEUE_WAIT,
    metric::REQUESTS_PER_SECOND,
    metric::TOKENS_PER_SECOND,
    metric::ERROR_RATE,
    metric::REJECTED_RATE,
    metric::CACHE_HIT_RATE,
];

pub(crate) async fn aggregated(services: &Arc<Services>, query: &Query) -> Result<Reply, Trouble> {
    let range = Range::of(query, now_ms(), HOUR)?;
    let store = services.store.clone();
    let found = blocking(move || -> Result<Value, StoreError> {
        let asked = Recorded::new(&store, range);
        let mut metrics = Vec::new();
        for name in recorded::names().filter(|name| Counter::by_metric(name).is_none()) {
            let mut one = asked.summary(name)?;
            if !one.is_null() {
                (one["name"], one["unit"]) = (json!(name), json!(unit(name)));
                metrics.push(one);
            }
        }
        let (outcomes, cache) = (asked.outcomes()?, asked.cache_figures()?);
        let range = asked.range;
        Ok(json!({
            "scope": range.scope, "from_ms": range.from_ms, "to_ms": range.to_ms, "metrics": metrics,
            "outcomes": outcomes, "cache": cache,
        }))
    });
    Ok(Reply::json(&found.await??))
}

pub(crate) async fn performance(services: &Arc<Services>, query: &Query) -> Result<Reply, Trouble> {
    let range = Range::of(query, now_ms(), HOUR)?;
    let store = services.store.clone();
    let found = blocking(move || -> Result<Value, StoreError> {
        let recorded = Recorded::new(&store, range);
        let response_time = recorded.distribution(metric::RESPONSE_TIME)?;
        let (phases, _) = recorded.phases()?;
        let mut answer = compared(&recorded)?;
        answer["response_time"] = summary(&response_time);
        answer["histogram"] = histogram(&response_time);
        answer["phases"] =
            phases.iter().map(|phase| json!({ "phase": phase.phase, "mean_ms": phase.mean_ms })).collect();
        let range = recorded.range;
        answer["scope"] = json!(range.scope);
        (answer["from_ms"], answer["to_ms"]) = (json!(range.from_ms), json!(range.to_ms));
        Ok(answer)
    });
    Ok(Reply::json(&found.await??))
}

pub(crate) async fn model(services: &Arc<Services>, query: &Query, id: String) -> Result<Reply, Trouble> {
    let range = Range::of(query, now_ms(), HOUR)?;
    let store = services.store.clone();
    let wanted = id.clone();
    let found = blocking(move || -> Result<Vec<Value>, StoreError> {
        let mut providers = Vec::new();
        for (scope, provider, model) in recorded::models(&store)? {
            if scope.as_str() == wanted || model == wanted {
                let mut one = compared(&Recorded::new(&store, range.at(&scope)))?;
                one["provider"] = json!(provider);
                providers.push(one);
            }
        }
        Ok(providers)
    });
    let providers = found.await??;
    if providers.is_empty() {
        let message =
            format!("nothing was ever recorded of a model {id:?}; GET /v1/models lists those that are served");
        return Err(Trouble::new(StatusCode::NOT_FOUND, "not_found", message));
    }
    let range = Range::of(query, now_ms(), HOUR)?;
    Ok(Reply::json(&json!({ "model": id, "from_ms": range.from_ms, "to_ms": range.to_ms, "providers": providers })))
}

/// The figures that are compared, by their names.
pub(crate) fn compared(recorded: &Recorded<'_>) -> Result<Value, StoreError> {
    let mut figures = json!({});
    for name in COMPARED {
        figures[name] = recorded.summary(name)?;
    }
    Ok(figures)
}
