//! What runs beside the request path: strategies in service and their journal, the decision loop, experiments, alerts,
//! sampling, settling times, the engine, reloads.

pub mod alerts;
pub mod control;
pub mod engine;
pub mod experiments;
pub mod exposed;
pub mod history;
pub mod journal;
pub mod observer;
pub mod offer;
pub mod otlp;
pub mod promotion;
pub mod reload;
pub mod reports;
pub mod sampler;
pub mod settling;
pub mod strategies;
pub mod tuned;
pub mod tuner;

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix time in milliseconds.
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
