//! `GET /api/cache`: what the cache holds, and what it saved over a range. `DELETE /api/cache`: empties it.

use std::sync::Arc;

use perfhost_telemetry::StoreError;
use serde_json::{Value, json};

use super::blocking;
use super::query::Query;
use super::recorded::{DAY, Range, Recorded};
use super::reply::{Reply, Trouble};
use crate::caching::now_ms;
use crate::services::Services;

/// The last day by default.
pub(crate) async fn stats(services: &Arc<Services>, query: &Query) -> Result<Reply, Trouble> {
    let range = Range::of(query, now_ms(), DAY)?;
    let services = services.clone();
    let found = blocking(move || -> Result<Value, StoreError> {
        let stats = services.cache.stats();
        let lookups = stats.hits + stats.misses;
        let hit_rate = (lookups > 0).then(|| stats.hits as f64 / lookups as f64);
        let recorded = Recorded::new(&services.store, range);
        Ok(json!({
            "cache": stats, "hit_rate": hit_rate, "flights": services.flights.count(),
            "scope": recorded.range.scope, "from_ms": recorded.range.from_ms, "to_ms": recorded.range.to_ms,
            "range": recorded.cache_figures()?, "models": recorded.cache_by_model()?,
        }))
    });
    Ok(Reply::json(&found.await??))
}

pub(crate) fn clear(services: &Services) -> Reply {
    let dropped = services.cache.stats();
    services.cache.clear();
    Reply::json(&json!({ "cleared": { "entries": dropped.entries, "bytes": dropped.bytes } }))
}
