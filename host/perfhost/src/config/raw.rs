//! Configuration as written: the shape of perfhost.toml (or .yaml, .json). Nothing is checked here but types and keys.

use std::collections::BTreeMap;
use std::path::PathBuf;

use perfhost_strategy::Value;
use perfhost_strategy::guard::GuardPolicy;
use serde::Deserialize;

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
    /// Start values of knobs: `name = value` for the host, `[knobs.PROVIDER]` tables for a provider.
    pub knobs: BTreeMap<String, RawKnob>,
    /// Bounds within which strategies may turn knobs: `name = [lowest, highest]`, or `name = "fixed"`.
    pub limits: BTreeMap<String, RawLimit>,
    /// The decision loop.
    pub tuning: RawTuning,
    /// Who may use the host.
    pub access: RawAccess,
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
