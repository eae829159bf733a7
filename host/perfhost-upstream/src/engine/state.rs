//! What others see of an engine.

use perfhost_strategy::settings::EngineSettings;
use serde::Serialize;

use super::metrics::EngineMetrics;

/// Where an engine is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EnginePhase {
    /// Its first process loads the model.
    Starting,
    /// It serves.
    Ready,
    /// It serves, while a process with other settings starts beside it.
    Replacing,
    /// It ended, or did not start, and is being started again.
    Restarting,
    /// It failed so often in a row that somebody should look; it is still tried, every half minute.
    Failed,
    /// It was stopped on purpose.
    Stopped,
}

impl EnginePhase {
    /// All of them.
    pub const ALL: [EnginePhase; 6] =
        [Self::Starting, Self::Ready, Self::Replacing, Self::Restarting, Self::Failed, Self::Stopped];

    /// Its name in metrics and in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Replacing => "replacing",
            Self::Restarting => "restarting",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

/// An engine at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EngineState {
    /// The provider's name.
    pub provider: String,
    /// The model's name.
    pub model: String,
    /// Where it is in its life.
    pub phase: EnginePhase,
    /// The process that serves.
    pub pid: Option<u32>,
    /// Where it listens on 127.0.0.1.
    pub port: Option<u16>,
    /// A process that is not ready yet.
    pub starting_pid: Option<u32>,
    /// Replaced processes whose last requests are still under way.
    pub draining_pids: Vec<u32>,
    /// What the serving process was started with, or the next one will be.
    #[serde(with = "SettingsForm")]
    pub settings: EngineSettings,
    /// Times that it was started again after a failure.
    pub restarts: u64,
    /// Times that it was replaced.
    pub replacements: u64,
    /// The last thing that went wrong.
    pub last_error: Option<String>,
    /// From starting the serving process to its being ready, in milliseconds.
    pub startup_ms: Option<u64>,
    /// The last reading; `None` while it does not serve.
    pub metrics: Option<EngineMetrics>,
}

impl EngineState {
    pub(super) fn new(provider: &str, model: &str, settings: EngineSettings) -> Self {
        Self {
            provider: provider.to_owned(),
            model: model.to_owned(),
            phase: EnginePhase::Starting,
            pid: None,
            port: None,
            starting_pid: None,
            draining_pids: Vec::new(),
            settings,
            restarts: 0,
            replacements: 0,
            last_error: None,
            startup_ms: None,
            metrics: None,
        }
    }

    /// Every process of the engine.
    pub fn pids(&self) -> Vec<u32> {
        self.pid.into_iter().chain(self.starting_pid).chain(self.draining_pids.iter().copied()).collect()
    }
}

/// What came of settings given to [`super::Engine::apply`]. Each call is answered by exactly one of these, unless the
/// engine is stopped first.
#[derive(Debug, Clone, PartialEq)]
pub enum EngineChange {
    /// New requests go to a process with these settings.
    Applied {
        /// The settings.
        settings: EngineSettings,
    },
    /// They did not take effect, or the engine could not live with them; the settings before serve on.
    Failed {
        /// The settings.
        settings: EngineSettings,
        /// Why.
        why: String,
    },
    /// Other settings were given before these were tried.
    Superseded {
        /// The settings.
        settings: EngineSettings,
    },
}

/// [`EngineSettings`] as JSON: the strategy crate keeps it free of a wire form.
#[derive(Serialize)]
#[serde(remote = "EngineSettings")]
struct SettingsForm {
    slots: u32,
    context_tokens: u32,
    batch: u32,
    micro_batch: u32,
    threads: Option<u32>,
    flash_attention: String,
    kv_type: String,
    cache_reuse_tokens: u32,
}
