//! What is kept of one alert, and what people are told of it.

use serde::{Deserialize, Serialize};

use super::spec::Severity;
use crate::Scope;

/// A person's word on an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Who.
    pub by: String,
    /// What they said; may be empty.
    pub comment: String,
    /// Unix time in milliseconds.
    pub at_ms: u64,
}

/// One alert from when it fired. Times are Unix times in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertRecord {
    /// Unique in the data directory.
    pub id: u64,
    /// Name of its rule.
    pub rule: String,
    /// Where.
    pub scope: Scope,
    /// The condition as written.
    pub condition: String,
    /// What it means.
    pub summary: String,
    /// How urgent it is now; rises when it escalates.
    pub severity: Severity,
    /// The metric of its first condition.
    pub metric: String,
    /// Its unit.
    pub unit: String,
    /// The threshold, in that unit.
    pub threshold: f64,
    /// The metric when it fired.
    pub value: Option<f64>,
    /// The metric when it was farthest beyond the threshold.
    pub worst: Option<f64>,
    /// The condition holds since then.
    pub since_ms: u64,
    /// It fires since then.
    pub fired_ms: u64,
    /// It was resolved then.
    pub resolved_ms: Option<u64>,
    /// Why it ended, where its condition did not.
    pub ended_because: Option<String>,
    /// Who took it on.
    pub acknowledged: Option<Note>,
    /// It escalated then.
    pub escalated_ms: Option<u64>,
    /// It was first announced then.
    #[serde(default)]
    pub first_announced_ms: Option<u64>,
    /// It was last announced then.
    pub announced_ms: Option<u64>,
    /// The channels that were told of it, and so are told of its end.
    #[serde(default)]
    pub told: Vec<String>,
    /// How often it was announced.
    pub announcements: u32,
}

impl AlertRecord {
    /// Whether it still fires.
    pub fn is_firing(&self) -> bool {
        self.resolved_ms.is_none()
    }

    /// Notes that it is announced on these channels.
    pub(super) fn note_announced(&mut self, now_ms: u64, channels: &[String]) {
        self.first_announced_ms.get_or_insert(now_ms);
        self.announced_ms = Some(now_ms);
        self.announcements += 1;
        for channel in channels {
            if !self.told.contains(channel) {
                self.told.push(channel.clone());
            }
        }
    }

    /// From when it fired until it was resolved, or until now.
    pub fn lasted_ms(&self, now_ms: u64) -> u64 {
        self.resolved_ms.unwrap_or(now_ms).saturating_sub(self.fired_ms)
    }
}

/// Why something is announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Occasion {
    /// It fires.
    Firing,
    /// It still does, and nobody has acknowledged it.
    Reminder,
    /// Nobody has acknowledged it for too long.
    Escalated,
    /// It is over.
    Resolved,
}

impl Occasion {
    /// In one word.
    pub fn name(self) -> &'static str {
        match self {
            Occasion::Firing => "firing",
            Occasion::Reminder => "reminder",
            Occasion::Escalated => "escalated",
            Occasion::Resolved => "resolved",
        }
    }
}

/// Something to tell people.
#[derive(Debug, Clone, PartialEq)]
pub struct Announcement {
    /// Why.
    pub occasion: Occasion,
    /// The alert as it stands.
    pub alert: AlertRecord,
    /// The channels that are to hear it.
    pub channels: Vec<String>,
}
