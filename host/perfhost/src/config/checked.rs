//! Configuration as the host runs with it: every value checked, every default filled in.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use perfhost_analysis::kpi::Targets;
use perfhost_strategy::guard::GuardPolicy;
use perfhost_strategy::knob::Bounds;
use perfhost_strategy::{KnobId, Scope, Settings};
use perfhost_telemetry::Retention;
use perfhost_upstream::ProviderConfig;

use super::alerts::{self, AlertsConfig};
use super::load::{ConfigError, Sources};
use super::raw::{Raw, RawAuto, RawEngine, RawOtlp};
use super::sandbox::Sandbox;
use super::trust::Trust;
use super::{history, knobs, rules, telemetry, upstreams};
use crate::built_in;
use crate::service::reports::Schedule;

/// Where perfhost listens when nothing else is said.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:8900";
/// The name of the managed engine's provider when nothing else is said.
pub const DEFAULT_ENGINE_NAME: &str = "local";
/// The model that `perfhost setup` fetches.
pub const DEFAULT_MODEL: &str = "gemma-3-270m";
/// Time between two pushes of metrics when nothing else is said.
pub const DEFAULT_OTLP_INTERVAL: Duration = Duration::from_secs(15);
/// Time between two observations when nothing else is said.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);

/// What the host runs with.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from, if any; watched for changes.
    pub file: Option<PathBuf>,
    /// Address and port.
    pub listen: SocketAddr,
    /// History, decisions, state.
    pub data_dir: PathBuf,
    /// Engines and models.
    pub library_dir: PathBuf,
    /// Strategies; the first that tunes is in service.
    pub plugins: Vec<String>,
    /// Strategies to compare from the start, the incumbent first; empty for none.
    pub ab: Vec<String>,
    /// Champion and challengers, if they are to meet.
    pub auto: Option<AutoPolicy>,
    /// Reload plugins whose files change.
    pub watch: bool,
    /// Threads that serve requests.
    pub workers: usize,
    /// Look for providers.
    pub discovery: bool,
    /// Providers named by the user.
    pub upstreams: Vec<ProviderConfig>,
    /// The managed engine.
    pub engine: EngineChoice,
    /// Parameters by strategy; the empty name holds those of `--param`, for the strategy in service.
    pub parameters: BTreeMap<String, Vec<(String, String)>>,
    /// Rules are configured, which only the strategy `rules` reads.
    pub has_rules: bool,
    /// Start values.
    pub settings: Settings,
    /// Of these, the ones that `--set` gave.
    pub from_flags: BTreeSet<(KnobId, Scope)>,
    /// Begin without the tuned settings and the learned state of earlier runs.
    pub is_fresh: bool,
    /// Narrower bounds; `None` for a knob that strategies may not turn.
    pub limits: BTreeMap<KnobId, Option<Bounds>>,
    /// Time between two observations.
    pub interval: Duration,
    /// When changes are applied, measured and taken back.
    pub guard: GuardPolicy,
    /// For /api.
    pub admin_token: Option<String>,
    /// For /v1.
    pub api_key: Option<String>,
    /// Further names of this host.
    pub hosts: Vec<String>,
    /// Which plugins are trusted.
    pub trust: Trust,
    /// What strategies may do and use.
    pub sandbox: Sandbox,
    /// Requests are recorded. Without, nothing that lives on recorded requests is configured.
    pub is_recording: bool,
    /// Where metrics are pushed, if anywhere.
    pub otlp: Option<OtlpConfig>,
    /// What people are told.
    pub alerts: AlertsConfig,
    /// How much history is kept.
    pub retention: Retention,
    /// What is aimed at, for health and grades.
    pub targets: Targets,
    /// Which reports are written.
    pub reports: Schedule,
}

/// Continuous mode: challengers meet the strategy in service, one after another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AutoPolicy {
    /// Share of traffic that a challenger may have.
    pub budget: f64,
    /// Longest time of one experiment, in milliseconds.
    pub at_most_ms: u64,
    /// Time between two experiments, in milliseconds.
    pub pause_ms: u64,
}

/// Pushing metrics to an OpenTelemetry collector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtlpConfig {
    /// Base URL of its HTTP receiver.
    pub endpoint: String,
    /// Time between two pushes.
    pub interval: Duration,
    /// Sent with each push.
    pub headers: Vec<(String, String)>,
}

/// Whether to run an engine, and which.
#[derive(Debug, Clone)]
pub struct EngineChoice {
    /// `None`: when a model is named, or when nothing else can be reached and one is installed.
    pub enabled: Option<bool>,
    /// Provider name.
    pub name: String,
    /// A model of the catalogue or a path; `None` for [`DEFAULT_MODEL`].
    pub model: Option<String>,
    /// A `llama-server` to use before any other.
    pub program: Option<PathBuf>,
    /// Serve embeddings too.
    pub embeddings: bool,
}

impl Config {
    /// Checks what a person wrote.
    pub fn check(raw: Raw, sources: &Sources) -> Result<Self, ConfigError> {
        let is_recording = telemetry::is_recording(&raw)?;
        let listen = raw.listen.unwrap_or_else(|| DEFAULT_LISTEN.to_owned());
        let listen: SocketAddr = listen.parse().map_err(|_| {
            ConfigError::value(
                "listen",
                format!("{listen:?} where an IP address and a port are expected, such as {DEFAULT_LISTEN}"),
            )
        })?;
        let access = raw.access;
        if !listen.ip().is_loopback() {
            for (setting, variable, found) in [
                ("access.admin_token", "PERFHOST_ADMIN_TOKEN", &access.admin_token),
                ("access.api_key", "PERFHOST_API_KEY", &access.api_key),
            ] {
                if found.is_none() {
                    let message = format!(
                        "listening on {listen}, beyond loopback, needs a secret for everyone who can reach it; \
                         set {setting} in the configuration file or {variable} in the environment"
                    );
                    return Err(ConfigError::value(setting, message));
                }
            }
        }
        let interval = raw.tuning.interval_ms.map_or(DEFAULT_INTERVAL, Duration::from_millis);
        if !(Duration::from_millis(500)..=Duration::from_secs(3_600)).contains(&interval) {
            let message =
                format!("{} where a number of milliseconds from 500 to 3600000 is expected", interval.as_millis());
            return Err(ConfigError::value("tuning.interval_ms", message));
        }
        let mut parameters: BTreeMap<String, Vec<(String, String)>> = raw
            .parameters
            .into_iter()
            .map(|(strategy, pairs)| {
                (strategy, pairs.into_iter().map(|(name, value)| (name, value.to_string())).collect())
            })
            .collect();
        let has_rules = !raw.rule.is_empty();
        if has_rules {
            let given = parameters.entry(rules::STRATEGY.to_owned()).or_default();
            if given.iter().any(|(name, _)| name == rules::PARAMETER) {
                let message =
                    "rules are there as [[rule]] tables and as the text parameters.rules.rules: keep one of them";
                return Err(ConfigError::value("rule", message));
            }
            given.push((rules::PARAMETER.to_owned(), rules::text(&raw.rule)?));
        }
        if !sources.parameters.is_empty() {
            parameters.entry(String::new()).or_default().extend(pairs("--param", &sources.parameters)?);
        }
        raw.targets.check().map_err(|error| ConfigError::value("targets", error.to_string()))?;
        let (settings, from_flags) = knobs::settings(&raw.knobs, &sources.set)?;
        let ab = raw.ab.unwrap_or_default();
        if ab.len() == 1 {
            return Err(ConfigError::value(
                "ab",
                "one strategy where two and more are compared, such as a.wasm,b.wasm",
            ));
        }
        // The first is what serves.
        let plugins = if ab.is_empty() { raw.plugins } else { Some(ab.clone()) };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let file = super::load::file(sources);
        Ok(Self {
            trust: Trust::check(raw.trust, raw.registry, file.as_deref(), sources)?,
            sandbox: Sandbox::check(&raw.sandbox, &raw.strategies)?,
            file,
            listen,
            data_dir: folder("data_dir", raw.data_dir, sources, "XDG_DATA_HOME", ".local/share")?,
            library_dir: folder("library_dir", raw.library_dir, sources, "XDG_CACHE_HOME", ".cache")?,
            plugins: plugins.filter(|list| !list.is_empty()).unwrap_or_else(|| vec![built_in::DEFAULT.to_owned()]),
            ab,
            auto: auto(&raw.auto)?,
            watch: raw.watch.unwrap_or(false),
            workers: raw.workers.filter(|workers| *workers > 0).unwrap_or(cores),
            discovery: raw.discovery.unwrap_or(true),
            upstreams: upstreams::check(raw.upstream, sources)?,
            engine: engine(raw.engine)?,
            parameters,
            has_rules,
            settings,
            from_flags,
            is_fresh: raw.tuning.fresh.unwrap_or(false),
            limits: knobs::limits(&raw.limits)?,
            interval,
            guard: raw.tuning.guard.unwrap_or_default(),
            admin_token: access.admin_token,
            api_key: access.api_key,
            hosts: access.hosts,
            is_recording,
            otlp: otlp(raw.otlp)?,
            retention: history::retention(&raw.history)?,
            targets: raw.targets,
            reports: Schedule { daily: raw.reports.daily.unwrap_or(true), weekly: raw.reports.weekly.unwrap_or(true) },
            alerts: alerts::check(&raw.alerts, &raw.alert, sources)?,
        })
    }

    /// The parameters for a strategy: those under its name, then those of `--param` if it is the one in service.
    pub fn parameters_for(&self, strategy: &str, is_in_service: bool) -> Vec<(String, String)> {
        let mut pairs = self.parameters.get(strategy).cloned().unwrap_or_default();
        if is_in_service {
            pairs.extend(self.parameters.get("").cloned().unwrap_or_default());
        }
        pairs
    }
}

/// Reads `name=value` pairs, as flags give them; `place` is the flag.
pub fn pairs(place: &str, given: &[String]) -> Result<Vec<(String, String)>, ConfigError> {
    given.iter().map(|pair| split_pair(place, pair)).collect()
}

pub(super) fn split_pair(place: &str, pair: &str) -> Result<(String, String), ConfigError> {
    pair.split_once('=')
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .ok_or_else(|| ConfigError::value(place, format!("{pair:?} where name=value is expected")))
}

fn folder(
    key: &str,
    given: Option<PathBuf>,
    sources: &Sources,
    variable: &str,
    below_home: &str,
) -> Result<PathBuf, ConfigError> {
    let usual = || match (sources.variable(variable), sources.variable("HOME")) {
        (Some(base), _) => Some(PathBuf::from(base).join("perfhost")),
        (None, Some(home)) => Some(PathBuf::from(home).join(below_home).join("perfhost")),
        (None, None) => None,
    };
    given
        .or_else(usual)
        .ok_or_else(|| ConfigError::value(key, format!("neither {key} nor {variable} nor HOME is set; name a folder")))
}

fn engine(raw: RawEngine) -> Result<EngineChoice, ConfigError> {
    let name = raw.name.unwrap_or_else(|| DEFAULT_ENGINE_NAME.to_owned());
    if name.is_empty() || name.contains('/') {
        return Err(ConfigError::value("engine.name", format!("{name:?} where a name without / is expected")));
    }
    Ok(EngineChoice {
        enabled: raw.enabled,
        name,
        model: raw.model,
        program: raw.program,
        embeddings: raw.embeddings.unwrap_or(false),
    })
}

fn otlp(raw: RawOtlp) -> Result<Option<OtlpConfig>, ConfigError> {
    let interval = raw.interval_ms.map_or(DEFAULT_OTLP_INTERVAL, Duration::from_millis);
    if !(Duration::from_secs(1)..=Duration::from_secs(3_600)).contains(&interval) {
        let message =
            format!("{} where a number of milliseconds from 1000 to 3600000 is expected", interval.as_millis());
        return Err(ConfigError::value("otlp.interval_ms", message));
    }
    let Some(endpoint) = raw.endpoint else { return Ok(None) };
    if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
        let message = format!("{endpoint:?} where the URL of a collector is expected, such as http://localhost:4318");
        return Err(ConfigError::value("otlp.endpoint", message));
    }
    Ok(Some(OtlpConfig { endpoint, interval, headers: raw.headers.into_iter().collect() }))
}

fn auto(raw: &RawAuto) -> Result<Option<AutoPolicy>, ConfigError> {
    let budget = raw.budget.unwrap_or(0.1);
    if !(0.001..=0.5).contains(&budget) {
        return Err(ConfigError::value(
            "auto.budget",
            format!("{budget} where a share of traffic from 0.001 to 0.5 is expected"),
        ));
    }
    let at_most_ms = raw.at_most_ms.unwrap_or(6 * 3_600_000);
    let policy = AutoPolicy { budget, at_most_ms, pause_ms: raw.pause_ms.unwrap_or(60_000) };
    Ok(raw.enabled.unwrap_or(false).then_some(policy))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> Sources {
        Sources { environment: vec![("HOME".to_owned(), "/home/someone".to_owned())], ..Sources::default() }
    }

    #[test]
    fn nothing_written_gives_loopback_and_the_default_strategy() {
        let config = Config::check(Raw::default(), &sources()).expect("defaults are allowed");
        assert!(config.listen.ip().is_loopback() && config.plugins == [built_in::DEFAULT]);
        assert_eq!(config.data_dir, PathBuf::from("/home/someone/.local/share/perfhost"));
    }

    #[test]
    fn listening_beyond_loopback_needs_both_secrets() {
        let raw = || Raw { listen: Some("0.0.0.0:8900".to_owned()), ..Raw::default() };
        let error = Config::check(raw(), &sources()).expect_err("no secrets").to_string();
        assert!(error.contains("access.admin_token") && error.contains("PERFHOST_ADMIN_TOKEN"), "{error}");
        let mut secured = raw();
        secured.access.admin_token = Some("a".to_owned());
        secured.access.api_key = Some("b".to_owned());
        assert!(Config::check(secured, &sources()).is_ok());
    }
}
