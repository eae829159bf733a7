//! Reads configuration: finds the file, parses it by its ending, lays variables and flags over it, and checks it.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::checked::Config;
use super::raw::Raw;
use super::{position, rules};

/// Where configuration comes from, beside the file.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file that `--config` names.
    pub file: Option<PathBuf>,
    /// `PERFHOST_*` variables and the usual ones, as they were at start.
    pub environment: Vec<(String, String)>,
    /// What flags said.
    pub flags: Raw,
    /// `--set` flags: knob, scope after `@`, value.
    pub set: Vec<String>,
    /// `--param` flags: parameter and value for the strategy in service.
    pub parameters: Vec<String>,
}

/// Why a configuration cannot be used. Messages name the file, the line where known, what was found and what is allowed.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file is not valid, or has an unknown key.
    #[error("{path}: {message}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, key, what was found and what is allowed.
        message: String,
    },
    /// A value is not allowed.
    #[error("{place}: {message}")]
    Value {
        /// The key, variable or flag.
        place: String,
        /// What was found and what is allowed.
        message: String,
    },
}

impl ConfigError {
    /// A value that is not allowed.
    pub fn value(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Value { place: place.into(), message: message.into() }
    }
}

impl Sources {
    /// A variable as it was at start.
    pub fn variable(&self, name: &str) -> Option<String> {
        self.environment
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.clone())
            .filter(|value| !value.is_empty())
    }
}

/// Reads and checks everything. Called at start and at every reload; reads the file anew each time.
pub fn load(sources: &Sources) -> Result<Config, ConfigError> {
    let Some(path) = file(sources) else { return checked(Raw::default(), sources) };
    let text = std::fs::read_to_string(&path).map_err(|error| ConfigError::Read { path: path.clone(), error })?;
    checked(parse(&path, &text)?, sources).map_err(|error| located(error, path, &text))
}

fn checked(mut raw: Raw, sources: &Sources) -> Result<Config, ConfigError> {
    rules::text(&raw.rule)?;
    overlay_variables(&mut raw, sources)?;
    overlay(&mut raw, sources.flags.clone());
    Config::check(raw, sources)
}

/// Tables that come from the file alone: a mistake in them is the file's.
const OF_THE_FILE: [&str; 13] = [
    "alert",
    "alerts",
    "history",
    "knobs",
    "limits",
    "parameters",
    "registry",
    "reports",
    "rule",
    "sandbox",
    "strategies",
    "targets",
    "trust",
];

/// A mistake in the file, with the file and the line.
fn located(error: ConfigError, path: PathBuf, text: &str) -> ConfigError {
    let ConfigError::Value { place, message } = error else { return error };
    let table = place.split(['.', '[']).next().unwrap_or_default();
    match OF_THE_FILE.contains(&table).then(|| position::line(&path, text, &place)).flatten() {
        Some(line) => ConfigError::Parse { path, message: format!("line {line}: {place}: {message}") },
        None => ConfigError::Value { place, message },
    }
}

/// The file that is read and watched: the one that is named, else the usual one if it exists.
pub(super) fn file(sources: &Sources) -> Option<PathBuf> {
    let named = sources.file.clone().or_else(|| sources.variable("PERFHOST_CONFIG").map(PathBuf::from));
    named.or_else(|| default_file(sources).filter(|path| path.is_file()))
}

/// The file that is watched and read when none is named: perfhost.toml in the configuration folder.
pub fn default_file(sources: &Sources) -> Option<PathBuf> {
    let folder = sources
        .variable("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| sources.variable("HOME").map(|home| Path::new(&home).join(".config")))?;
    Some(folder.join("perfhost").join("perfhost.toml"))
}

fn parse(path: &Path, text: &str) -> Result<Raw, ConfigError> {
    let wrong = |message: String| ConfigError::Parse { path: path.to_owned(), message: message.trim_end().to_owned() };
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("yaml" | "yml") => serde_yaml_ng::from_str(text).map_err(|error| wrong(error.to_string())),
        Some("json") => serde_json::from_str(text).map_err(|error| wrong(error.to_string())),
        Some("toml") => toml::from_str(text).map_err(|error| wrong(error.to_string())),
        other => Err(wrong(format!("ends in {other:?}; a configuration file ends in .toml, .yaml, .yml or .json"))),
    }
}

fn overlay_variables(raw: &mut Raw, sources: &Sources) -> Result<(), ConfigError> {
    if let Some(listen) = sources.variable("PERFHOST_LISTEN") {
        raw.listen = Some(listen);
    }
    if let Some(folder) = sources.variable("PERFHOST_DATA_DIR") {
        raw.data_dir = Some(folder.into());
    }
    if let Some(folder) = sources.variable("PERFHOST_LIBRARY_DIR") {
        raw.library_dir = Some(folder.into());
    }
    if let Some(plugins) = sources.variable("PERFHOST_PLUGINS") {
        raw.plugins = Some(plugins.split(',').map(|name| name.trim().to_owned()).collect());
    }
    if let Some(model) = sources.variable("PERFHOST_MODEL") {
        raw.engine.model = Some(model);
    }
    if let Some(token) = sources.variable("PERFHOST_ADMIN_TOKEN") {
        raw.access.admin_token = Some(token);
    }
    if let Some(key) = sources.variable("PERFHOST_API_KEY") {
        raw.access.api_key = Some(key);
    }
    // The usual variable of OpenTelemetry; the file says more.
    if raw.otlp.endpoint.is_none() {
        raw.otlp.endpoint = sources.variable("OTEL_EXPORTER_OTLP_ENDPOINT");
    }
    if let Some(workers) = sources.variable("PERFHOST_WORKERS") {
        let found = workers.parse().map_err(|_| {
            ConfigError::value(
                "PERFHOST_WORKERS",
                format!("{workers:?} where a whole number is expected; 0 for one a core"),
            )
        })?;
        raw.workers = Some(found);
    }
    Ok(())
}

/// Lays what flags said over the rest. Lists are replaced, not joined.
fn overlay(raw: &mut Raw, flags: Raw) {
    fn take<T>(into: &mut Option<T>, from: Option<T>) {
        if from.is_some() {
            *into = from;
        }
    }
    take(&mut raw.listen, flags.listen);
    take(&mut raw.data_dir, flags.data_dir);
    take(&mut raw.library_dir, flags.library_dir);
    take(&mut raw.plugins, flags.plugins);
    take(&mut raw.ab, flags.ab);
    take(&mut raw.auto.enabled, flags.auto.enabled);
    take(&mut raw.auto.budget, flags.auto.budget);
    take(&mut raw.watch, flags.watch);
    take(&mut raw.workers, flags.workers);
    take(&mut raw.discovery, flags.discovery);
    take(&mut raw.engine.enabled, flags.engine.enabled);
    take(&mut raw.engine.name, flags.engine.name);
    take(&mut raw.engine.model, flags.engine.model);
    take(&mut raw.engine.program, flags.engine.program);
    take(&mut raw.tuning.interval_ms, flags.tuning.interval_ms);
    take(&mut raw.tuning.fresh, flags.tuning.fresh);
    take(&mut raw.telemetry.enabled, flags.telemetry.enabled);
    if !flags.upstream.is_empty() {
        raw.upstream = flags.upstream;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_file(name: &str, text: &str) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        load(&Sources {
            file: Some(path),
            environment: vec![("HOME".to_owned(), "/nowhere".to_owned())],
            ..Sources::default()
        })
    }

    #[test]
    fn the_same_configuration_reads_alike_in_three_notations() {
        let listens = [
            ("a.toml", "listen = '127.0.0.1:1'\n[knobs]\nretries = 3\n"),
            ("a.yaml", "listen: 127.0.0.1:1\nknobs:\n  retries: 3\n"),
            ("a.json", r#"{"listen": "127.0.0.1:1", "knobs": {"retries": 3}}"#),
        ]
        .map(|(name, text)| from_file(name, text).expect(name))
        .map(|config| (config.listen, config.settings.retries));
        assert!(listens.iter().all(|found| *found == ("127.0.0.1:1".parse().expect("an address"), 3)));
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let error =
            from_file("a.toml", "listen = '127.0.0.1:1'\nlisten_on = 3\n").expect_err("unknown key").to_string();
        assert!(
            error.contains("line 2") && error.contains("listen_on") && error.contains("expected one of"),
            "{error}"
        );
    }

    #[test]
    fn a_value_out_of_bounds_names_key_and_bounds() {
        let error = from_file("a.toml", "[knobs]\nretries = 99\n").expect_err("out of bounds").to_string();
        assert!(error.contains("line 2: knobs.retries") && error.contains("0 to 10"), "{error}");
    }

    #[test]
    fn a_mistake_in_an_alert_or_a_rule_names_file_line_and_key() {
        for (name, text, parts) in [
            (
                "a.toml",
                "[[alert]]\nname = 'a'\nwhen = 'cpu_usge > 7'\n",
                ["a.toml: line 3: alert[0].when: ", "cpu_usage"],
            ),
            (
                "a.toml",
                "[[alert]]\nname = 'a'\nwhen = 'cpu_usage > 7'\nchannels = ['x']\n",
                ["line 4: alert[0].channels: ", "log"],
            ),
            (
                "a.yaml",
                "alert:\n  - name: a\n    when: cpu_usage > 7\n    severity: bad\n",
                ["a.yaml: line 4: alert[0].severity: ", "critical"],
            ),
            (
                "a.json",
                "{\"alert\": [\n{\"name\": \"a\",\n\"when\": \"cpu_usge > 7\"}]}",
                ["a.json: line 3: alert[0].when: ", "cpu_usage"],
            ),
            ("a.toml", "\n[alerts.channels.a]\nkind = 'pigeon'\n", ["line 3: alerts.channels.a.kind: ", "slack"]),
            (
                "a.toml",
                "[[rule]]\nwhen = 'cpu_usage > 7'\ndo = 'shed_lod'\n",
                ["a.toml: line 3: rule[0].do: ", "shed_load"],
            ),
        ] {
            let error = from_file(name, text).expect_err(text).to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
    }

    #[test]
    fn a_mistake_in_a_flag_is_not_the_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.toml");
        std::fs::write(&path, "[knobs]\nretries = 3\n").expect("a file");
        let environment = vec![("HOME".to_owned(), "/nowhere".to_owned())];
        let sources =
            Sources { file: Some(path), environment, set: vec!["retries=99".to_owned()], ..Sources::default() };
        let error = load(&sources).expect_err("out of bounds").to_string();
        assert!(error.contains("retries") && !error.contains("a.toml"), "{error}");
    }

    #[test]
    fn rules_read_alike_in_three_notations_and_become_a_parameter_of_their_strategy() {
        let notations = [
            ("a.toml", "[[rule]]\nwhen = 'cpu_usage > 7.0'\nfor = '5m'\ndo = ['shed_load', 'reduce_slots']\n"),
            ("a.yaml", "rule:\n  - when: cpu_usage > 7.0\n    for: 5m\n    do: [shed_load, reduce_slots]\n"),
            ("a.json", r#"{"rule": [{"when": "cpu_usage > 7.0", "for": "5m", "do": ["shed_load", "reduce_slots"]}]}"#),
        ];
        for (name, text) in notations {
            let config = from_file(name, text).expect(name);
            let given = config.parameters_for("rules", true);
            let text = "cpu_usage > 7.0 for 5m -> shed_load, reduce_slots".to_owned();
            assert_eq!((config.has_rules, given), (true, vec![("rules".to_owned(), text)]), "{name}");
        }
        let both = "[[rule]]\nwhen = 'cpu_usage > 7.0'\ndo = 'shed_load'\n[parameters.rules]\nrules = 'x'\n";
        let error = from_file("a.toml", both).expect_err("twice").to_string();
        assert!(error.contains("line 1: rule: ") && error.contains("parameters.rules.rules"), "{error}");
    }
}
