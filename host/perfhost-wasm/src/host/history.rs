//! The contract's `history` interface: read-only queries of recorded windows.

use wasmtime::component::Linker;

use crate::bindings::perfhost::strategy::history as contract;
use crate::guest::Guest;

/// Points in one answer, as the contract promises.
const MAX_POINTS: usize = 1_000;

/// One recorded window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HistoryPoint {
    /// Its start in Unix milliseconds.
    pub at_ms: u64,
    /// Number of measurements.
    pub count: u64,
    /// Their mean, in the metric's unit.
    pub mean: f64,
    /// Their 95th percentile.
    pub p95: f64,
}

/// Where queries are answered from. Called from inside a strategy's call, within its time limit, so answers must come
/// quickly.
pub trait History: Send + Sync {
    /// One point for each `step_ms` between `from_ms` and `to_ms` in which something was recorded, oldest first.
    /// More than 1,000 points are cut off.
    fn query(&self, metric: &str, scope: &str, from_ms: u64, to_ms: u64, step_ms: u32) -> Vec<HistoryPoint>;
}

/// A history with nothing in it.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHistory;

impl History for NoHistory {
    fn query(&self, _: &str, _: &str, _: u64, _: u64, _: u32) -> Vec<HistoryPoint> {
        Vec::new()
    }
}

impl contract::Host for Guest {
    fn query(&mut self, metric: String, scope: String, from_ms: u64, to_ms: u64, step_ms: u32) -> Vec<contract::Point> {
        let Some(history) = &self.history else { return Vec::new() };
        history
            .query(&metric, &scope, from_ms, to_ms, step_ms)
            .into_iter()
            .take(MAX_POINTS)
            .map(|point| contract::Point { at_ms: point.at_ms, count: point.count, mean: point.mean, p95: point.p95 })
            .collect()
    }
}

/// Answers the interface.
pub(crate) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    contract::add_to_linker::<_, wasmtime::component::HasSelf<_>>(linker, |guest| guest)
}
