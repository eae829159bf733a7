//! Other settings without a failed request: the new process starts beside the old, takes over once it answers, and the
//! old one ends after its last request.

use std::sync::Arc;
use std::time::Duration;

use perfhost_strategy::settings::EngineSettings;
use tokio::time::Instant;

use super::error::EngineError;
use super::handle::EngineShared;
use super::launch::{Running, launch};
use super::process::Process;
use super::supervisor::Supervisor;
use crate::endpoint::Endpoint;
use crate::model::memory_estimate_bytes;
use crate::provider::Health;

/// Between two looks at whether the last request of a replaced process has ended.
const DRAIN_INTERVAL: Duration = Duration::from_millis(50);

/// How a replacement ended.
pub(super) enum Replacement {
    /// The new process is ready.
    Ready(Box<Running>),
    /// It is not, and the old one serves on.
    Refused(EngineError),
    /// It is not, and the old one ended meanwhile.
    BothEnded { new: EngineError, old: EngineError },
    /// The engine is to stop.
    Stopping,
}

impl Supervisor {
    /// Starts a process with other settings beside the serving one. The serving one may end meanwhile; the new one then
    /// takes over from nobody.
    pub(super) async fn start_beside(&self, old: &mut Running, settings: &EngineSettings) -> Replacement {
        if let Err(error) = self.check_memory(settings) {
            return Replacement::Refused(error);
        }
        let shared = &self.shared;
        let spawned = |pid| shared.update(|state| state.starting_pid = Some(pid));
        let mut new = Box::pin(launch(&self.config, settings, &self.log, &spawned));
        let mut old_error = None;
        let outcome = loop {
            tokio::select! {
                () = self.shared.stopping() => return Replacement::Stopping,
                outcome = &mut new => break outcome,
                error = old.process.ended(), if old_error.is_none() => {
                    self.provider.set_health(Health::Down);
                    self.shared.update(|state| {
                        state.pid = None;
                        state.last_error = Some(error.to_string());
                    });
                    old_error = Some(error);
                }
            }
        };
        match (outcome, old_error) {
            (Ok(running), _) => Replacement::Ready(Box::new(running)),
            (Err(new), None) => Replacement::Refused(new),
            (Err(new), Some(old)) => Replacement::BothEnded { new, old },
        }
    }

    /// For the time of a replacement there are two processes. Where memory does not hold both, the change is refused:
    /// to stop first and start then would fail requests, and the guard can choose something else.
    fn check_memory(&self, settings: &EngineSettings) -> Result<(), EngineError> {
        let estimate = memory_estimate_bytes(self.config.model_bytes(), self.header.as_ref(), settings);
        let needed_bytes = estimate.saturating_add(estimate / 5);
        match (self.config.available_memory)() {
            Some(available_bytes) if available_bytes < needed_bytes => {
                Err(EngineError::NotEnoughMemory { needed_bytes, available_bytes })
            }
            _ => Ok(()),
        }
    }
}

/// Ends a replaced process once nobody holds its endpoint, when `limit` is up, or when the engine stops.
pub(super) async fn drain(
    mut process: Process,
    endpoint: Arc<Endpoint>,
    limit: Duration,
    grace: Duration,
    shared: Arc<EngineShared>,
) {
    let pid = process.pid();
    let until = Instant::now() + limit;
    // Nobody can get hold of the endpoint any more, so a count of 1 is final.
    while Arc::strong_count(&endpoint) > 1 && Instant::now() < until {
        tokio::select! {
            error = process.ended() => {
                tracing::warn!(pid, %error, "a replaced engine ended before its last request");
                break;
            }
            () = shared.stopping() => break,
            () = tokio::time::sleep(DRAIN_INTERVAL) => {}
        }
    }
    process.stop(grace).await;
    shared.update(|state| state.draining_pids.retain(|draining| *draining != pid));
}
