//! `GET /api/decisions`: what strategies asked for, the guard's verdicts, and what came of them, newest first.

use std::sync::Arc;

use perfhost_telemetry::DecisionQuery;
use serde_json::json;

use super::blocking;
use super::query::Query;
use super::reply::{Reply, Trouble};
use crate::services::Services;

const DEFAULT_LIMIT: u64 = 50;
const MOST: u64 = 1_000;

pub(crate) async fn list(services: &Arc<Services>, query: &Query) -> Result<Reply, Trouble> {
    query.only(&["limit", "before", "strategy", "knob"])?;
    let wanted = DecisionQuery {
        limit: query.number("limit", 1..=MOST)?.unwrap_or(DEFAULT_LIMIT) as usize,
        before_id: query.number("before", 0..=u64::MAX)?,
        strategy: query.text("strategy").map(str::to_owned),
        knob: query.text("knob").map(str::to_owned),
    };
    let limit = wanted.limit;
    let store = services.store.clone();
    let decisions = blocking(move || store.decisions(&wanted)).await??;
    // Where the next page begins, if there may be one.
    let next = decisions.last().filter(|_| decisions.len() == limit).map(|last| last.id);
    Ok(Reply::json(&json!({ "decisions": decisions, "next_before": next })))
}
