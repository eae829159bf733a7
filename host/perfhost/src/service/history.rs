//! Answers the `history` import of strategies from the store.

use std::sync::Arc;

use perfhost_strategy::Scope;
use perfhost_telemetry::{History as Stored, HistoryQuery, ReadOnlyStore, Store, StoreError};
use perfhost_wasm::{History, HistoryPoint};

type Ask = dyn Fn(&HistoryQuery) -> Result<Stored, StoreError> + Send + Sync;

/// The store, as strategies may ask it.
pub struct StoredHistory {
    ask: Box<Ask>,
}

impl StoredHistory {
    /// Answers from the store of this host.
    pub fn new(store: Store) -> Self {
        Self { ask: Box::new(move |query| store.history(query)) }
    }

    /// Answers from a store that is only read.
    pub fn of_log(store: Arc<ReadOnlyStore>) -> Self {
        Self { ask: Box::new(move |query| store.history(query)) }
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
        let points = (self.ask)(&query).map(|found| found.points).unwrap_or_default();
        points
            .into_iter()
            .map(|point| HistoryPoint { at_ms: point.at_ms, count: point.count, mean: point.mean, p95: point.p95 })
            .collect()
    }
}
