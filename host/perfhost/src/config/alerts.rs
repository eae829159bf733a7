//! Alerts, checked: the default rules, what the file says instead or beside, and the channels. Conditions are read by
//! `perfhost_strategy::rule`, like those of the strategy `rules`.

mod channel;
pub mod raw;
mod secret;

use std::time::Duration;

use perfhost_strategy::alert::{AlertRule, Escalation, MOST_RULES, Severity, default_rules};
use perfhost_strategy::rule::{Action, Trigger, parse_duration, parse_name};

use self::raw::{RawAlert, RawAlerts};
use super::{ConfigError, Sources};

pub use channel::{ChannelConfig, ChannelKind, EmailConfig, EmailSecurity, MqttConfig};
pub use secret::Secret;

/// Time between two looks when nothing else is said.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);
/// The channel that is always there.
pub const LOG_CHANNEL: &str = "log";
/// Most channels.
pub const MOST_CHANNELS: usize = 16;

/// Alerting as the host runs with it.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertsConfig {
    /// The rules, default ones first.
    pub rules: Vec<AlertRule>,
    /// The channels.
    pub channels: Vec<ChannelConfig>,
    /// Time between two looks.
    pub interval: Duration,
}

/// Checks what was written.
pub(super) fn check(raw: &RawAlerts, written: &[RawAlert], sources: &Sources) -> Result<AlertsConfig, ConfigError> {
    let interval = raw.interval_ms.map_or(DEFAULT_INTERVAL, Duration::from_millis);
    if !(Duration::from_millis(500)..=Duration::from_secs(300)).contains(&interval) {
        let message = format!("{} where a number of milliseconds from 500 to 300000 is expected", interval.as_millis());
        return Err(ConfigError::value("alerts.interval_ms", message));
    }
    let channels = channels(raw, sources)?;
    let mut rules = if raw.defaults == Some(false) { Vec::new() } else { default_rules() };
    if let Some(unknown) = raw.off.iter().find(|name| !default_rules().iter().any(|rule| rule.name == **name)) {
        let known = default_rules().iter().map(|rule| rule.name.clone()).collect::<Vec<_>>().join(", ");
        let message = format!("no default rule is called {unknown:?}; there are {known}");
        return Err(ConfigError::value("alerts.off", message));
    }
    rules.retain(|rule| !raw.off.contains(&rule.name));
    for (at, one) in written.iter().enumerate() {
        let rule = Place { at, name: &one.name }.rule(one, &channels)?;
        if written[..at].iter().any(|before| before.name == one.name) {
            let message = format!("there are two alerts called {:?}", one.name);
            return Err(ConfigError::value(format!("alert[{at}].name"), message));
        }
        rules.retain(|known| known.name != rule.name);
        rules.push(rule);
    }
    if rules.len() > MOST_RULES {
        return Err(ConfigError::value(
            "alert",
            format!("{} rules where at most {MOST_RULES} are allowed", rules.len()),
        ));
    }
    for (at, one) in written.iter().enumerate() {
        if let Some(unknown) = one.inhibits.iter().find(|name| !rules.iter().any(|rule| rule.name == **name)) {
            let known = rules.iter().map(|rule| rule.name.as_str()).collect::<Vec<_>>().join(", ");
            let message = format!("alert {} ({}): no alert is called {unknown:?}; there are {known}", at + 1, one.name);
            return Err(ConfigError::value(format!("alert[{at}].inhibits"), message));
        }
    }
    Ok(AlertsConfig { rules, channels, interval })
}

fn channels(raw: &RawAlerts, sources: &Sources) -> Result<Vec<ChannelConfig>, ConfigError> {
    let mut channels = Vec::new();
    if !raw.channels.contains_key(LOG_CHANNEL) {
        let name = LOG_CHANNEL.to_owned();
        channels.push(ChannelConfig { name, least: Severity::Info, kind: ChannelKind::Log });
    }
    for (name, one) in &raw.channels {
        parse_name(name).map_err(|error| ConfigError::value(format!("alerts.channels.{name}"), error.to_string()))?;
        channels.push(channel::check(name, one, sources)?);
    }
    if channels.len() > MOST_CHANNELS {
        let message = format!("{} where at most {MOST_CHANNELS} are allowed", channels.len());
        return Err(ConfigError::value("alerts.channels", message));
    }
    Ok(channels)
}

/// The severity that is written, or the usual one.
fn severity(place: &str, written: &Option<String>) -> Result<Severity, ConfigError> {
    let read = |text: &String| text.parse().map_err(|error: String| ConfigError::value(place, error));
    written.as_ref().map_or(Ok(Severity::default()), read)
}

/// Where a mistake in one `[[alert]]` table is.
struct Place<'a> {
    at: usize,
    name: &'a str,
}

impl Place<'_> {
    /// People count from 1.
    fn wrong(&self, key: &str, message: impl std::fmt::Display) -> ConfigError {
        ConfigError::value(
            format!("alert[{}].{key}", self.at),
            format!("alert {} ({}): {message}", self.at + 1, self.name),
        )
    }

    fn duration(&self, key: &str, written: &Option<String>) -> Result<Option<Duration>, ConfigError> {
        written.as_deref().map(|text| parse_duration(text).map_err(|error| self.wrong(key, error))).transpose()
    }

    fn known(
        &self,
        key: &str,
        names: &Option<Vec<String>>,
        channels: &[ChannelConfig],
    ) -> Result<Option<Vec<String>>, ConfigError> {
        let is_unknown = |name: &&String| !channels.iter().any(|channel| channel.name == **name);
        if let Some(unknown) = names.iter().flatten().find(is_unknown) {
            let known = channels.iter().map(|channel| channel.name.as_str()).collect::<Vec<_>>().join(", ");
            return Err(self.wrong(key, format!("no channel is called {unknown:?}; there are {known}")));
        }
        Ok(names.clone())
    }

    fn rule(&self, raw: &RawAlert, channels: &[ChannelConfig]) -> Result<AlertRule, ConfigError> {
        parse_name(&raw.name).map_err(|error| self.wrong("name", error))?;
        let when = Trigger::parse(&raw.when).map_err(|error| self.wrong("when", error))?;
        let is_for_each_provider = match raw.each.as_deref() {
            None => false,
            Some("provider") => true,
            Some(other) => return Err(self.wrong("each", format!("found {other:?}, expected \"provider\""))),
        };
        if is_for_each_provider && when.provider().is_some() {
            return Err(self.wrong("each", "`when` names a provider already"));
        }
        let written = raw.when.split_whitespace().collect::<Vec<_>>().join(" ");
        let usual = AlertRule::new(&raw.name, &written, when);
        let escalation = match &raw.escalate {
            None => None,
            Some(escalate) => Some(Escalation {
                after: parse_duration(&escalate.after).map_err(|error| self.wrong("escalate.after", error))?,
                severity: match &escalate.severity {
                    None => Severity::Critical,
                    Some(text) => text.parse().map_err(|error: String| self.wrong("escalate.severity", error))?,
                },
                channels: self.known("escalate.channels", &escalate.channels, channels)?,
            }),
        };
        let action = |(number, text): (usize, &String)| {
            Action::parse(text).map_err(|error| self.wrong(&format!("do[{number}]"), error))
        };
        Ok(AlertRule {
            summary: raw.summary.clone().unwrap_or_default(),
            is_for_each_provider,
            severity: severity(&format!("alert[{}].severity", self.at), &raw.severity)?,
            keep_firing: self.duration("keep_firing", &raw.keep_firing)?.unwrap_or(usual.keep_firing),
            cooldown: self.duration("cooldown", &raw.cooldown)?.unwrap_or(usual.cooldown),
            repeat: self.duration("repeat", &raw.repeat)?.filter(|repeat| !repeat.is_zero()),
            escalation,
            inhibits: raw.inhibits.clone(),
            channels: self.known("channels", &raw.channels, channels)?,
            actions: raw.actions.as_slice().iter().enumerate().map(action).collect::<Result<_, _>>()?,
            ..usual
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::raw::Raw;

    fn of(toml: &str) -> Result<AlertsConfig, String> {
        let raw: Raw = toml::from_str(toml).map_err(|error| error.to_string())?;
        let environment = vec![("HOOK".to_owned(), "https://hooks.example/secret".to_owned())];
        let sources = Sources { environment, ..Sources::default() };
        check(&raw.alerts, &raw.alert, &sources).map_err(|error| error.to_string())
    }

    #[test]
    fn without_a_word_there_are_the_defaults_and_the_log() {
        let config = of("").expect("defaults");
        assert!(config.rules.iter().any(|rule| rule.name == "provider-down"));
        assert_eq!(config.channels.iter().map(|channel| channel.name.as_str()).collect::<Vec<_>>(), ["log"]);
        let off = of("[alerts]\noff = ['high-cpu']").expect("one off");
        assert_eq!(off.rules.len() + 1, config.rules.len());
        assert_eq!(of("[alerts]\ndefaults = false").map(|config| config.rules.len()), Ok(0));
    }

    #[test]
    fn a_rule_of_a_default_ones_name_takes_its_place_and_secrets_stay_hidden() {
        let config = of("
            [alerts.channels.ops]
            kind = 'slack'
            url_env = 'HOOK'
            [[alert]]
            name = 'slow-responses'
            when = 'response_time_p95 > 2000 for 1m'
            severity = 'critical'
            channels = ['ops']
            escalate = { after = '15m' }
            repeat = '1h'
            do = 'disable_retries'
        ")
        .expect("allowed");
        let slow: Vec<_> = config.rules.iter().filter(|rule| rule.name == "slow-responses").collect();
        assert_eq!((slow.len(), slow[0].severity, slow[0].actions.len()), (1, Severity::Critical, 1));
        assert_eq!(slow[0].escalation.as_ref().map(|one| one.severity), Some(Severity::Critical));
        let shown = format!("{config:?}");
        assert!(!shown.contains("hooks.example") && shown.contains("(hidden)"), "{shown}");
    }

    #[test]
    fn a_mistake_is_shown_with_alert_key_and_what_is_allowed() {
        for (toml, parts) in [
            (
                "[[alert]]\nname='a'\nwhen='cpu_usge > 7'",
                &["alert[0].when", "alert 1 (a)", "did you mean `cpu_usage`"][..],
            ),
            ("[[alert]]\nname='a b'\nwhen='cpu_usage > 7'", &["alert[0].name", "found `b`, expected the end"]),
            (
                "[[alert]]\nname='a'\nwhen='cpu_usage > 7'\nseverity='bad'",
                &["alert[0].severity", "info, warning or critical"],
            ),
            ("[[alert]]\nname='a'\nwhen='cpu_usage > 7'\nchannels=['x']", &["alert[0].channels", "there are log"]),
            ("[[alert]]\nname='a'\nwhen='cpu_usage > 7'\ninhibits=['x']", &["alert[0].inhibits", "slow-responses"]),
            ("[[alert]]\nname='a'\nwhen='cpu_usage > 7'\nkeep_firing='5'", &["alert[0].keep_firing", "30s, 5m or 1h"]),
            (
                "[[alert]]\nname='a'\nwhen='cpu_usage > 7'\ndo='shed_lod'",
                &["alert[0].do[0]", "did you mean `shed_load`"],
            ),
            ("[alerts]\noff=['x']", &["alerts.off", "high-memory"]),
            ("[alerts]\ninterval_ms=1", &["alerts.interval_ms", "500 to 300000"]),
            ("[alerts.channels.a]\nkind='pigeon'", &["alerts.channels.a.kind", "log, webhook, slack, email, mqtt"]),
            ("[alerts.channels.a]\nkind='slack'", &["alerts.channels.a.url", "needs it"]),
            (
                "[alerts.channels.a]\nkind='slack'\nurl='https://x'\ntopic='t'",
                &["alerts.channels.a.topic", "takes url"],
            ),
            (
                "[alerts.channels.a]\nkind='slack'\nurl_env='NOT_SET'",
                &["alerts.channels.a.url_env", "NOT_SET is not set"],
            ),
            (
                "[alerts.channels.a]\nkind='email'\nserver='m'\nfrom='nobody'\nto='a@b.example'",
                &["alerts.channels.a.from", "no address"],
            ),
            (
                "[alerts.channels.a]\nkind='mqtt'\nserver='m'\nuser='u'",
                &["alerts.channels.a.password", "a password is needed too"],
            ),
        ] {
            let message = of(toml).expect_err(toml);
            assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        }
    }
}
