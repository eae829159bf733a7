//! Answers the `history` import of strategies from the store.

use perfhost_strategy::Scope;
use perfhost_telemetry::{HistoryQuery, Store};
use perfhost_wasm::{History, HistoryPoint};

/// The store, as strategies may ask it.
pub struct StoredHistory {
    store: Store,
}

impl StoredHistory {
    /// Answers from this store.
    pub fn new(store: Store) -> Self {
        Self { store }
    }
}

impl History for StoredHistory {
    fn query(&self, metric: &str, scope: &str, from_ms: u64, to_ms: u64, step_ms: u32) -> Vec<HistoryPoint> {
        let query = HistoryQuery {
            metric: metric.to_owned(),
            scope: Scope::parse(scope),
            from_ms,
            to_ms,
            step_ms: u64::from(step_ms),
        };
        // A query that cannot be answered is an empty history: a strategy must work without one.
        let points = self.store.history(&query).unwrap_or_default();
        points
            .into_iter()
            .map(|point| HistoryPoint { at_ms: point.at_ms, count: point.count, mean: point.mean, p95: point.p95 })
            .collect()
    }
}
