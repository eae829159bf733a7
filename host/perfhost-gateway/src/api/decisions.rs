//! `GET /api/decisions`: what strategies asked for, the guard's verdicts, and what came of them, newest first.
//! `GET /api/decisions/summary`: the cycles that they came from, in short. `GET /api/decisions/span` and `/cycles`: the whole calls that they came from, for a replay elsewhere.

use std::sync::Arc;

use perfhost_telemetry::{CycleListQuery, CycleQuery, DecisionQuery};
use serde_json::json;

use super::blocking;
use super::query::Query;
use super::reply::{Reply, Trouble};
use crate::caching::now_ms;
use crate::services::Services;

const DEFAULT_LIMIT: u64 = 50;
const MOST: u64 = 1_000;

/// Cycles in one answer; each is some tens of kilobytes.
const MOST_CYCLES: u64 = 20;

pub(crate) async fn list(services: &Arc<Services>, query: &Query) -> Result<Reply, Trouble> {
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

/// Cycles in short, newest first.
pub(crate) async fn summary(services: &Arc<Services>, query: &Query) -> Result<Reply, Trouble> {
    let wanted = CycleListQuery {
        limit: query.number("limit", 1..=MOST)?.unwrap_or(DEFAULT_LIMIT) as usize,
        before_id: query.number("before", 0..=u64::MAX)?,
        strategy: query.text("strategy").map(str::to_owned),
    };
    let limit = wanted.limit;
    let store = services.store.clone();
    let cycles = blocking(move || store.cycle_summaries(&wanted)).await??;
    let next = cycles.last().filter(|_| cycles.len() == limit).map(|last| last.id);
    Ok(Reply::json(&json!({ "cycles": cycles, "next_before": next })))
}

/// Which cycles a question means, and where a replay of them starts.
pub(crate) async fn span(services: &Arc<Services>, query: &Query) -> Result<Reply, Trouble> {
    let now_ms = now_ms();
    let wanted = CycleQuery {
        from_ms: query.moment("from", now_ms)?,
        to_ms: query.moment("to", now_ms)?,
        last: query.number("last", 1..=u64::MAX)?,
    };
    let store = services.store.clone();
    let span = blocking(move || store.cycle_span(&wanted)).await??;
    Ok(Reply::json(&json!({ "span": span })))
}

/// Cycles by number, with their decisions, oldest first.
pub(crate) async fn cycles(services: &Arc<Services>, query: &Query) -> Result<Reply, Trouble> {
    let from_id = query.number("from_id", 0..=u64::MAX)?.unwrap_or(0);
    let limit = query.number("limit", 1..=MOST_CYCLES)?.unwrap_or(MOST_CYCLES);
    let store = services.store.clone();
    let cycles = blocking(move || store.cycles(from_id, u64::MAX, limit)).await??;
    Ok(Reply::json(&json!({ "cycles": cycles })))
}
