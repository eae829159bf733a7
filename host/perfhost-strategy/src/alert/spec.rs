//! What an alert rule says.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Scope;
use crate::rule::{Action, Trigger};

/// Most alert rules of one host, the default ones included.
pub const MOST_RULES: usize = 128;
/// How long a condition must be clear before its alert is resolved, where the rule says nothing else.
pub const DEFAULT_KEEP_FIRING: Duration = Duration::from_secs(60);
/// Time after an alert is resolved before its rule may fire again, where it says nothing else.
pub const DEFAULT_COOLDOWN: Duration = Duration::from_secs(60);

/// How urgent an alert is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Worth a look today.
    #[default]
    Warning,
    /// Worth waking somebody.
    Critical,
}

impl Severity {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Severity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Severity::Info, Severity::Warning, Severity::Critical]
            .into_iter()
            .find(|severity| severity.name() == text)
            .ok_or_else(|| format!("found {text:?}, expected info, warning or critical"))
    }
}

/// What happens when nobody acknowledges an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Escalation {
    /// Time since it was first announced.
    pub after: Duration,
    /// What it becomes.
    pub severity: Severity,
    /// Who is told then; `None` for those who were told before.
    pub channels: Option<Vec<String>>,
}

/// A channel, as far as alerts must know it: who hears what is decided here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its name, as rules call it.
    pub name: String,
    /// The least that it hears of.
    pub least: Severity,
}

/// The names of those who hear of an alert of this severity, of the channels in `wanted`, or of all.
pub(super) fn hearing(listeners: &[Listener], wanted: Option<&[String]>, severity: Severity) -> Vec<String> {
    let is_meant = |one: &&Listener| severity >= one.least && wanted.is_none_or(|wanted| wanted.contains(&one.name));
    listeners.iter().filter(is_meant).map(|one| one.name.clone()).collect()
}

/// One alert rule.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertRule {
    /// Unique name: letters, digits, `-` and `_`.
    pub name: String,
    /// For people: what it means, what to look at.
    pub summary: String,
    /// The condition, as it was written.
    pub written: String,
    /// When it fires.
    pub when: Trigger,
    /// One alert for each provider, instead of one for the whole host.
    pub is_for_each_provider: bool,
    /// How urgent it is.
    pub severity: Severity,
    /// How long the condition must be clear before the alert is resolved.
    pub keep_firing: Duration,
    /// Time after it is resolved before it may fire again.
    pub cooldown: Duration,
    /// While it fires and nobody has acknowledged it, it is announced again each time this has passed.
    pub repeat: Option<Duration>,
    /// What happens when nobody acknowledges it.
    pub escalation: Option<Escalation>,
    /// Rules whose alerts are not announced while this one fires: at the same place, everywhere if this one is for the
    /// whole host, and for the whole host once this one fires at every place that it watches.
    pub inhibits: Vec<String>,
    /// Who is told; `None` for every channel.
    pub channels: Option<Vec<String>>,
    /// What is proposed to the guard when it fires.
    pub actions: Vec<Action>,
}

impl AlertRule {
    /// A rule with nothing but a name and a condition.
    pub fn new(name: &str, written: &str, when: Trigger) -> Self {
        Self {
            name: name.to_owned(),
            summary: String::new(),
            written: written.to_owned(),
            when,
            is_for_each_provider: false,
            severity: Severity::default(),
            keep_firing: DEFAULT_KEEP_FIRING,
            cooldown: DEFAULT_COOLDOWN,
            repeat: None,
            escalation: None,
            inhibits: Vec::new(),
            channels: None,
            actions: Vec::new(),
        }
    }

    /// The places that it watches, with these providers.
    pub(super) fn places(&self, providers: &[String]) -> Vec<Scope> {
        if self.is_for_each_provider {
            return providers.iter().map(|name| Scope::provider(name)).collect();
        }
        let named = self.when.conditions.iter().find_map(|condition| condition.scope.clone());
        vec![named.unwrap_or_default()]
    }
}
