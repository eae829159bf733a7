//! Everything the gateway works with, handed to it by the process that embeds it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use perfhost_analysis::kpi::Targets;
use perfhost_cache::{Cache, Flights};
use perfhost_strategy::{Generation, Settings, Shared};
use perfhost_telemetry::{Store, Telemetry};
use perfhost_upstream::{Fleet, TlsConfig};

use crate::experiment::LiveExperiment;
use crate::{AccessPolicy, Admission, Control, ExperimentControl};

/// What all workers share.
pub struct Services {
    /// The providers.
    pub fleet: Arc<Fleet>,
    /// Kept answers.
    pub cache: Arc<Cache>,
    /// Equal requests under way.
    pub flights: Arc<Flights>,
    /// Where requests are recorded.
    pub telemetry: Arc<Telemetry>,
    /// History and decisions.
    pub store: Store,
    /// Every knob's value.
    pub settings: Arc<Shared<Settings>>,
    /// The strategy in service.
    pub generation: Arc<Shared<Generation>>,
    /// The experiment that is running, if one is.
    pub experiment: Arc<Shared<Option<LiveExperiment>>>,
    /// The concurrency limit and the queue.
    pub admission: Arc<Admission>,
    /// The process around the gateway.
    pub control: Arc<dyn Control>,
    /// Starts experiments and says how they stand.
    pub experiments: Arc<dyn ExperimentControl>,
    /// Who may call what.
    pub access: AccessPolicy,
    /// For connections to providers.
    pub tls: Arc<TlsConfig>,
    /// When the process started.
    pub started_at: SystemTime,
    /// Bounds that are not knobs.
    pub limits: Limits,
    /// What is aimed at, for health and grades.
    pub targets: Targets,
}

/// Bounds of the gateway that no strategy turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Client connections at once, all workers together. More wait in the listener's backlog.
    pub connections: usize,
    /// Largest body of a request to `/v1`.
    pub body_bytes: usize,
    /// Largest plugin file that `/api/strategies` takes.
    pub plugin_bytes: usize,
    /// Time for a request's body to arrive.
    pub body_timeout: Duration,
    /// A connection without a request for this long is closed. Also the time for a request's head.
    pub idle: Duration,
    /// Time for answers under way to end once draining has begun.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 8_192,
            body_bytes: 32 << 20,
            plugin_bytes: 32 << 20,
            body_timeout: Duration::from_secs(60),
            idle: Duration::from_secs(75),
            drain: Duration::from_secs(30),
        }
    }
}
