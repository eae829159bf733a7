//! `GET /api/analysis/profile`: single requests by phase.

use std::sync::Arc;

use perfhost_telemetry::{Phase, Profile};
use serde_json::{Map, Value, json};

use super::blocking;
use super::query::Query;
use super::reply::{Reply, Trouble};
use crate::services::Services;

const DEFAULT_LIMIT: u64 = 50;

pub(crate) async fn list(services: &Arc<Services>, query: &Query) -> Result<Reply, Trouble> {
    let limit = query.number("limit", 1..=1_000)?.unwrap_or(DEFAULT_LIMIT) as usize;
    let outcome = query.one_of("outcome", &OUTCOMES)?.map(str::to_owned);
    let model = query.text("model").map(str::to_owned);
    let provider = query.text("provider").map(str::to_owned);
    let telemetry = services.telemetry.clone();
    let found = blocking(move || {
        let is_wanted = |profile: &Profile| {
            model.as_ref().is_none_or(|model| *model == profile.names.model)
                && provider.as_ref().is_none_or(|provider| *provider == profile.names.provider)
                && outcome.as_ref().is_none_or(|outcome| outcome == profile.record.outcome.cause())
        };
        telemetry.profiles(is_wanted, limit)
    });
    let requests: Vec<Value> = found.await?.iter().map(described).collect();
    Ok(Reply::json(&json!({ "requests": requests })))
}

const OUTCOMES: [&str; 7] =
    ["success", "rejected", "client_error", "upstream_error", "timeout", "cancelled", "unavailable"];

fn described(profile: &Profile) -> Value {
    let (names, record) = (&profile.names, &profile.record);
    let milliseconds = |nanoseconds: u64| nanoseconds as f64 / 1e6;
    let phases: Map<String, Value> = Phase::ALL
        .iter()
        .map(|phase| (phase.name().to_owned(), json!(milliseconds(record.phases_ns[*phase as usize]))))
        .collect();
    let longest = Phase::ALL.iter().max_by_key(|phase| record.phases_ns[**phase as usize]).map(|phase| phase.name());
    json!({
        "at_ms": profile.at_ms, "provider": names.provider, "model": names.model, "strategy": names.strategy,
        "operation": format!("{:?}", names.operation).to_lowercase(), "outcome": record.outcome, "cache": record.cache,
        "is_streaming": record.is_streaming, "total_ms": milliseconds(record.total_ns),
        "time_to_first_token_ms": record.ttft_ns.map(milliseconds), "phases_ms": phases, "longest_phase": longest,
        "prompt_tokens": record.prompt_tokens, "output_tokens": record.output_tokens,
    })
}
