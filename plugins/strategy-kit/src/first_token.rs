//! How long clients wait for the first token, whether or not they stream.

use crate::engine::Engine;
use crate::seen::{HOST, Seen};

/// What [`first_token`] reads beside the engines.
pub const READS: &[&str] = &["time_to_first_token_ms", "requests_per_second", "queue_wait_ms"];

/// The wait for a first token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FirstToken {
    /// Median, in milliseconds.
    pub p50_ms: f64,
    /// 95th percentile, in milliseconds.
    pub p95_ms: f64,
    /// Measured on streams; otherwise estimated from what waits.
    pub is_measured: bool,
}

/// The wait since the last change: measured with at least `least` streamed answers, else the wait for admission plus,
/// by Little's law, requests waiting in the engines over requests finished per second. `None` when neither is known.
pub fn first_token(seen: &Seen<'_>, engines: &[Engine<'_>], least: u64) -> Option<FirstToken> {
    if let Some(streamed) = seen.settled("time_to_first_token_ms", HOST, least) {
        return Some(FirstToken { p50_ms: streamed.p50, p95_ms: streamed.p95, is_measured: true });
    }
    let is_streaming = seen.level("time_to_first_token_ms", HOST).is_some();
    let per_second = seen.level("requests_per_second", HOST).filter(|rate| *rate > 0.0)?;
    let queued = seen.settled("queue_wait_ms", HOST, least)?;
    // Streams are about, only too few of them as yet: better to wait than to guess.
    if is_streaming {
        return None;
    }
    let waiting: f64 = engines.iter().map(|engine| engine.waiting_inside).sum();
    let inside_ms = 1000.0 * waiting / per_second;
    Some(FirstToken { p50_ms: queued.p50 + inside_ms, p95_ms: queued.p95 + inside_ms, is_measured: false })
}
