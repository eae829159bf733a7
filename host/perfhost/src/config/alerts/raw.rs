//! Alerts as written: `[alerts]`, `[alerts.channels.NAME]` and `[[alert]]`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::config::raw::OneOrMany;

/// Alerting as a whole.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawAlerts {
    /// Whether the default rules are there.
    pub defaults: Option<bool>,
    /// Default rules that are not.
    pub off: Vec<String>,
    /// Time between two looks, in milliseconds.
    pub interval_ms: Option<u64>,
    /// Who is told, by name.
    pub channels: BTreeMap<String, RawChannel>,
}

/// One alert rule.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawAlert {
    /// Unique; that of a default rule takes its place.
    pub name: String,
    /// The condition: `response_time_p95 > 5000 for 3m`.
    pub when: String,
    /// What it means, for people.
    pub summary: Option<String>,
    /// `info`, `warning` or `critical`.
    pub severity: Option<String>,
    /// `provider`: one alert for each.
    pub each: Option<String>,
    /// How long the condition must be clear before it is resolved.
    pub keep_firing: Option<String>,
    /// Time after it is resolved before it may fire again.
    pub cooldown: Option<String>,
    /// Said again each time this has passed.
    pub repeat: Option<String>,
    /// What happens when nobody acknowledges it.
    pub escalate: Option<RawEscalation>,
    /// Rules that are not announced while this fires.
    pub inhibits: Vec<String>,
    /// Who is told; everybody, if it does not say.
    pub channels: Option<Vec<String>>,
    /// What is proposed to the guard: one action or a list of them.
    #[serde(rename = "do")]
    pub actions: OneOrMany,
}

/// What happens when nobody acknowledges an alert.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawEscalation {
    /// Time since it fired: `15m`.
    pub after: String,
    /// What it becomes; `critical`, if it does not say.
    pub severity: Option<String>,
    /// Who is told then.
    pub channels: Option<Vec<String>>,
}

/// One channel. Which keys belong to which kind is checked later.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawChannel {
    /// `log`, `webhook`, `slack`, `email` or `mqtt`.
    pub kind: String,
    /// The least severity that it hears of.
    pub severity: Option<String>,
    /// Where to send.
    pub url: Option<String>,
    /// The variable that holds it.
    pub url_env: Option<String>,
    /// The file that holds it.
    pub url_file: Option<PathBuf>,
    /// Sent with each call of a webhook.
    pub headers: BTreeMap<String, String>,
    /// Mail server or broker.
    pub server: Option<String>,
    /// Its port.
    pub port: Option<u16>,
    /// `starttls`, `tls` or `none`.
    pub security: Option<String>,
    /// Name to log in with.
    pub user: Option<String>,
    /// Password to log in with.
    pub password: Option<String>,
    /// The variable that holds it.
    pub password_env: Option<String>,
    /// The file that holds it.
    pub password_file: Option<PathBuf>,
    /// Sender of mail.
    pub from: Option<String>,
    /// Receivers of mail.
    pub to: OneOrMany,
    /// Beginning of every topic.
    pub topic: Option<String>,
    /// Home Assistant's prefix of discovery topics; empty for no discovery.
    pub discovery: Option<String>,
}
