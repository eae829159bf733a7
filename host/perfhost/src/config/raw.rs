//! Configuration as written: the shape of perfhost.toml (or .yaml, .json). Nothing is checked here but types and keys.

use std::collections::BTreeMap;
use std::path::PathBuf;

use perfhost_analysis::kpi::Targets;
use perfhost_strategy::Value;
use perfhost_strategy::guard::GuardPolicy;
use serde::Deserialize;

use super::alerts::raw::{RawAlert, RawAlerts};
use super::sandbox::RawTerms;
use super::trust::{RawRegistry, RawTrust};

/// A whole configuration file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Raw {
    /// Address and port to listen on.
    pub listen: Option<String>,
    /// Where history, decisions and state are kept.
    pub data_dir: Option<PathBuf>,
    /// Where engines and models are kept; may be shared between hosts.
    pub library_dir: Option<PathBuf>,
    /// Strategies: paths, addresses or built-in names. The first that tunes is in service.
    pub plugins: Option<Vec<String>>,
    /// Strategies to compare from the start, the incumbent first.
    pub ab: Option<Vec<String>>,
    /// Champion and challengers, for as long as the host runs.
    pub auto: RawAuto,
    /// Reload a plugin that came from a file when the file changes.
    pub watch: Option<bool>,
    /// Threads that serve requests; 0 for one a core.
    pub workers: Option<usize>,
    /// Look for providers on their default ports and by their key variables.
    pub discovery: Option<bool>,
    /// Providers.
    pub upstream: Vec<RawUpstream>,
    /// The managed engine.
    pub engine: RawEngine,
    /// Parameters of the strategies, by their names.
    pub parameters: BTreeMap<String, BTreeMap<String, Value>>,
    /// Rules of the `rules` strategy, in parts.
    pub rule: Vec<RawRule>,
    /// Start values of knobs: `name = value` for the host, `[knobs.PROVIDER]` tables for a provider.
    pub knobs: BTreeMap<String, RawKnob>,
    /// Bounds within which strategies may turn knobs: `name = [lowest, highest]`, or `name = "fixed"`.
    pub limits: BTreeMap<String, RawLimit>,
    /// The decision loop.
    pub tuning: RawTuning,
    /// Who may use the host.
    pub access: RawAccess,
    /// Whether requests are recorded.
    pub telemetry: RawTelemetry,
    /// Where metrics are pushed.
    pub otlp: RawOtlp,
    /// How much history is kept.
    pub history: RawHistory,
    /// What is aimed at, for health and grades.
    pub targets: Targets,
    /// Which reports are written on a schedule.
    pub reports: RawReports,
    /// Alerting as a whole, with its channels.
    pub alerts: RawAlerts,
    /// Alert rules.
    pub alert: Vec<RawAlert>,
    /// Which plugins are trusted.
    pub trust: RawTrust,
    /// Credentials for registries.
    pub registry: Vec<RawRegistry>,
    /// What every strategy may do and use.
    pub sandbox: RawTerms,
    /// What one strategy may do and use, by its name.
    pub strategies: BTreeMap<String, RawTerms>,
}

/// One provider.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawUpstream {
    /// Unique name; made from the URL when absent.
    pub name: Option<String>,
    /// Base URL, with or without a trailing `/v1`.
    pub url: String,
    /// Kind; found from the URL when absent.
    pub kind: Option<String>,
    /// Name of the environment variable that holds its key.
    pub key_env: Option<String>,
    /// File that holds its key.
    pub key_file: Option<PathBuf>,
}

/// The managed engine.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawEngine {
    /// Start one: by default when a model is named, or when nothing else can be reached and one is installed.
    pub enabled: Option<bool>,
    /// Provider name of the engine.
    pub name: Option<String>,
    /// A model of the catalogue, or the path of a GGUF file.
    pub model: Option<String>,
    /// Path of a `llama-server`.
    pub program: Option<PathBuf>,
    /// Serve embeddings too; costs prompt speed.
    pub embeddings: Option<bool>,
}

/// One rule; what each part may say is in [`perfhost_strategy::rule`].
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRule {
    /// What people call it.
    pub name: Option<String>,
    /// Conditions: `cpu_usage > 7.0`, joined by `and`.
    pub when: String,
    /// For how long: `5m`.
    #[serde(rename = "for")]
    pub hold: Option<String>,
    /// What to do: one action or a list of them.
    #[serde(rename = "do")]
    pub actions: OneOrMany,
    /// What ends it: `cpu_usage < 5.0 for 2m`.
    pub until: Option<String>,
    /// Act again each time this has passed while it holds.
    pub every: Option<String>,
    /// Time after its end before it may fire again.
    pub cooldown: Option<String>,
    /// What it changed stays.
    pub keep: Option<bool>,
}

/// One text, or a list of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "expected a text or a list of texts, such as \"shed_load\"")]
pub enum OneOrMany {
    /// One.
    One(String),
    /// A list.
    Many(Vec<String>),
}

impl Default for OneOrMany {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl OneOrMany {
    /// All of them.
    pub fn as_slice(&self) -> &[String] {
        match self {
            OneOrMany::One(one) => std::slice::from_ref(one),
            OneOrMany::Many(many) => many,
        }
    }
}

/// A knob's value, or a provider's table of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum RawKnob {
    /// For the whole host.
    Value(Value),
    /// For one provider.
    Provider(BTreeMap<String, Value>),
}

/// A narrower bound.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum RawLimit {
    /// Lowest and highest.
    Range(f64, f64),
    /// Allowed words.
    Words(Vec<String>),
    /// `"fixed"`: strategies may not turn it.
    Word(String),
}

/// The decision loop.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawTuning {
    /// Time between two observations, in milliseconds.
    pub interval_ms: Option<u64>,
    /// When changes are applied, measured and taken back.
    pub guard: Option<GuardPolicy>,
    /// Begin without the tuned settings and the learned state of earlier runs.
    pub fresh: Option<bool>,
}

/// Continuous mode.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawAuto {
    /// Let challengers meet the strategy in service, one after another.
    pub enabled: Option<bool>,
    /// Share of traffic that a challenger may have.
    pub budget: Option<f64>,
    /// Longest time of one experiment, in milliseconds.
    pub at_most_ms: Option<u64>,
    /// Time between two experiments, in milliseconds.
    pub pause_ms: Option<u64>,
}

/// Recording.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawTelemetry {
    /// Record requests; they are unless this says no.
    pub enabled: Option<bool>,
}

/// Where metrics are pushed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawOtlp {
    /// Base URL of an OpenTelemetry collector's HTTP receiver, such as `http://localhost:4318`.
    pub endpoint: Option<String>,
    /// Time between two pushes, in milliseconds.
    pub interval_ms: Option<u64>,
    /// Sent with each push (what authorizes, say).
    pub headers: BTreeMap<String, String>,
}

/// Who may use the host.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawAccess {
    /// For /api. Needed when listening beyond loopback.
    pub admin_token: Option<String>,
    /// For /v1. Needed when listening beyond loopback.
    pub api_key: Option<String>,
    /// Further names under which clients reach this host (the Host header).
    pub hosts: Vec<String>,
}

/// How much history is kept; times are written as `2d`, `12h` or `90m`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawHistory {
    /// Windows of ten seconds.
    pub raw: Option<String>,
    /// Windows of a minute.
    #[serde(rename = "1m")]
    pub minute: Option<String>,
    /// Windows of five minutes.
    #[serde(rename = "5m")]
    pub five_minutes: Option<String>,
    /// Windows of an hour.
    #[serde(rename = "1h")]
    pub hour: Option<String>,
    /// Windows of a day.
    #[serde(rename = "1d")]
    pub day: Option<String>,
    /// Bytes that the store's file may take.
    pub most_bytes: Option<u64>,
}

/// Which reports are written on a schedule, into `reports/` of the data folder; both unless switched off.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawReports {
    /// One on each day that is over.
    pub daily: Option<bool>,
    /// One on each week that is over.
    pub weekly: Option<bool>,
}
