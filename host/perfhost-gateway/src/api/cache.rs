//! `GET /api/cache`: what the cache holds and saved. `DELETE /api/cache`: empties it.

use serde_json::json;

use super::reply::Reply;
use crate::services::Services;

pub(crate) fn stats(services: &Services) -> Reply {
    let stats = services.cache.stats();
    let lookups = stats.hits + stats.misses;
    let hit_rate = (lookups > 0).then(|| stats.hits as f64 / lookups as f64);
    Reply::json(&json!({ "cache": stats, "hit_rate": hit_rate, "flights": services.flights.count() }))
}

pub(crate) fn clear(services: &Services) -> Reply {
    let dropped = services.cache.stats();
    services.cache.clear();
    Reply::json(&json!({ "cleared": { "entries": dropped.entries, "bytes": dropped.bytes } }))
}
