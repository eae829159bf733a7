//! Asks a serving process how it is: its load once a second, and whether it is alive where it does not say.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

use super::error::EngineError;
use super::exchange;
use super::handle::EngineShared;
use super::metrics::EngineMetrics;
use crate::provider::Provider;

const INTERVAL: Duration = Duration::from_secs(1);
/// llama.cpp answers `/metrics` between two batches, so an engine busy with a long prompt takes its time.
const METRICS_LIMIT: Duration = Duration::from_secs(10);
const HEALTH_LIMIT: Duration = Duration::from_secs(10);
/// A process that answers neither for this long is taken for stuck. Generous: to kill one that is merely busy would
/// fail every request it has.
const SILENCE_LIMIT: Duration = Duration::from_secs(120);

/// Reads metrics until the process is stuck. Dropped when the process is not watched any more.
pub(super) async fn watch(port: u16, slots: u32, shared: Arc<EngineShared>, provider: Arc<Provider>) -> EngineError {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard_at = Instant::now();
    loop {
        ticks.tick().await;
        match exchange::get(port, "/metrics", METRICS_LIMIT).await {
            Ok((status, body)) => {
                heard_at = Instant::now();
                if status.is_success() {
                    let reading = EngineMetrics::parse(&String::from_utf8_lossy(&body), slots);
                    let idle_slots = reading.slots.saturating_sub(reading.slots_busy);
                    provider.set_queued(reading.requests_deferred, idle_slots);
                    shared.note_metrics(reading);
                }
            }
            Err(why) => {
                tracing::debug!(port, why, "engine did not say its metrics");
                if exchange::get(port, "/health", HEALTH_LIMIT).await.is_ok() {
                    heard_at = Instant::now();
                }
            }
        }
        let silent = heard_at.elapsed();
        if silent >= SILENCE_LIMIT {
            return EngineError::Silent { after: silent };
        }
    }
}
