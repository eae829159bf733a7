//! What the HTTP API asks of the process that embeds the gateway: the strategies, the knobs, the state of the machine.
//!
//! The gateway knows neither how strategies are loaded nor who turns knobs; the binary implements [`Control`].

use std::time::Duration;

use perfhost_strategy::Proposal;
use perfhost_strategy::decision::Decision;
use perfhost_telemetry::{ExtraMetric, GpuResources};
use serde_json::Value;
use thiserror::Error;

/// Where a strategy to load comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StrategySource {
    /// A built-in's name, a path on the host's machine, an address that the host fetches, or `name@version` or a digest's
    /// beginning of one that the host has.
    Named {
        /// The name.
        name: String,
        /// The SHA-256 that the plugin must have, as the client wrote it.
        digest: Option<String>,
    },
    /// A plugin file sent by the client.
    Uploaded {
        /// What to call it in messages.
        name: String,
        /// The file.
        bytes: Vec<u8>,
        /// The SHA-256 that it must have, as the client wrote it.
        digest: Option<String>,
        /// Its signature in base64, as `cosign sign-blob` writes it.
        signature: Option<String>,
    },
}

/// What is asked of alerts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlertsAsk {
    /// What is pending or fires, silences, and how the channels do.
    Active,
    /// The rules.
    Rules,
    /// What fired, newest first.
    History {
        /// How many at most.
        limit: usize,
        /// Only those with a smaller number.
        before: Option<u64>,
        /// Only of this rule.
        rule: Option<String>,
    },
    /// How often and how long what fired.
    Statistics {
        /// Since then, Unix time in milliseconds.
        since_ms: Option<u64>,
    },
    /// Somebody takes an alert on.
    Acknowledge {
        /// Which.
        id: u64,
        /// Who.
        by: String,
        /// What they say.
        comment: String,
    },
    /// Nobody is to be told for a time.
    Silence {
        /// Of what.
        target: AlertTarget,
        /// How long.
        length: Duration,
        /// Who asks.
        by: String,
        /// Why.
        comment: String,
    },
    /// A silence ends before its time.
    EndSilence {
        /// Which.
        id: u64,
    },
    /// A channel is to say something.
    Test {
        /// Which.
        channel: String,
    },
}

/// What a silence is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlertTarget {
    /// An alert that fires.
    Alert(u64),
    /// A rule, wherever it fires.
    Rule(String),
}

/// How many alerts of one rule fire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firing {
    /// The rule.
    pub rule: String,
    /// The highest severity among them; the rule's own where none fires.
    pub severity: &'static str,
    /// How many.
    pub count: usize,
}

/// Why a control call was not done. Each becomes one HTTP status.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum ControlError {
    /// What was asked for is wrong: 422.
    #[error("{message}")]
    Invalid {
        /// For programs, in kebab-case or snake_case.
        code: String,
        /// For people.
        message: String,
    },
    /// What was asked for is understood and not allowed: 403.
    #[error("{message}")]
    Refused {
        /// For programs.
        code: String,
        /// For people: with the setting that would allow it.
        message: String,
    },
    /// What was asked for is not there: 404.
    #[error("{message}")]
    NotFound {
        /// For people.
        message: String,
    },
    /// The present state does not allow it (nothing to roll back to, a load under way): 409.
    #[error("{message}")]
    Conflict {
        /// For programs.
        code: String,
        /// For people.
        message: String,
    },
    /// The host failed: 500.
    #[error("{message}")]
    Failed {
        /// For people.
        message: String,
    },
}

/// The host behind the API. Calls may block (they compile, read files, wait for the control loop); the gateway makes
/// them on the blocking pool. Answers are JSON objects, passed to the client as they are.
pub trait Control: Send + Sync + 'static {
    /// The strategies in service and at hand, for `GET /api/strategies`.
    fn strategies(&self) -> Value;

    /// Loads a strategy and puts it in service, for `POST /api/strategies`.
    fn load(&self, source: StrategySource) -> Result<Value, ControlError>;

    /// Loads a strategy and keeps it at hand, for `POST /api/strategies?in_service=false`.
    fn keep(&self, source: StrategySource) -> Result<Value, ControlError>;

    /// Puts the strategy before in service again, or that of the generation `to`, for `POST /api/strategies/rollback`.
    fn rollback(&self, to: Option<u64>) -> Result<Value, ControlError>;

    /// The newest `limit` generations with a number below `before`, for `GET /api/strategies/history`.
    fn generations(&self, limit: usize, before: Option<u64>) -> Result<Value, ControlError>;

    /// Every knob with its value, for `GET /api/knobs`.
    fn knobs(&self) -> Value;

    /// Puts changes before the guard as if a strategy had asked for them, with `author` in the decision log; a decision for
    /// each, in order. For `POST /api/optimization/{what}/tune`.
    fn propose(&self, author: &str, proposals: Vec<Proposal>) -> Result<Vec<Decision>, ControlError>;

    /// Answers `/api/alerts`.
    fn alerts(&self, ask: AlertsAsk) -> Result<Value, ControlError>;

    /// Every alert rule with how many of its alerts fire, for `/metrics`.
    fn alerts_firing(&self) -> Vec<Firing>;

    /// Metrics of what the gateway does not know, for `/metrics`.
    fn metrics(&self) -> Vec<ExtraMetric>;

    /// The host in short, for `GET /api/system/status`.
    fn status(&self) -> Value;

    /// The machine, this process and its engines, for `GET /api/system/resources`.
    fn resources(&self) -> Value;

    /// Every graphics processor of the machine as last sampled, for `/metrics`.
    fn gpus(&self) -> Vec<GpuResources>;
}

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportFormat {
    /// For a terminal.
    Text,
    /// For a change request.
    Markdown,
    /// For programs.
    Json,
    /// A page of its own, with plots.
    Html,
}

impl ReportFormat {
    /// Names in the API, in the order of [`ReportFormat::of`].
    pub const NAMES: &str = "text, markdown, json or html";

    /// By its name.
    pub fn of(name: &str) -> Option<Self> {
        Some(match name {
            "text" => Self::Text,
            "markdown" => Self::Markdown,
            "json" => Self::Json,
            "html" => Self::Html,
            _ => return None,
        })
    }

    /// As in `content-type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; charset=utf-8",
            Self::Markdown => "text/markdown; charset=utf-8",
            Self::Json => "application/json",
            Self::Html => "text/html; charset=utf-8",
        }
    }
}

/// Experiments behind the API. Calls may block, as those of [`Control`].
pub trait ExperimentControl: Send + Sync + 'static {
    /// Starts one, for `POST /api/experiments`; `request` is its body.
    fn start(&self, request: Value) -> Result<Value, ControlError>;

    /// The newest `limit` ones and what was learned, for `GET /api/experiments`.
    fn list(&self, limit: usize) -> Result<Value, ControlError>;

    /// How one stands, for `GET /api/experiments/{id}`.
    fn status(&self, id: u64) -> Result<Value, ControlError>;

    /// Ends one, for `POST /api/experiments/{id}/stop`.
    fn stop(&self, id: u64, why: &str) -> Result<Value, ControlError>;

    /// Its report, for `GET /api/experiments/{id}/report`.
    fn report(&self, id: u64, format: ReportFormat) -> Result<String, ControlError>;

    /// Takes a score from 0 to 1 for a request, for `POST /api/feedback`. Whether it counts in an experiment.
    fn feedback(&self, request_id: &str, score: f64) -> Result<Value, ControlError>;
}
