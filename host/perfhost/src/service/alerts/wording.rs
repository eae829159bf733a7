//! What people read of an alert: one line as a title, a few as a text.

use perfhost_strategy::alert::{Announcement, Occasion};

use crate::command::print::{bytes, duration, number};

/// What is told, with the words for it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Notice {
    /// Why, and the alert.
    pub(super) announcement: Announcement,
    /// The host that tells it: its address.
    pub(super) host: String,
    /// When, Unix time in milliseconds.
    pub(super) at_ms: u64,
}

impl Notice {
    /// One line: `[critical] provider-down at gpu-box`.
    pub(super) fn title(&self) -> String {
        let alert = &self.announcement.alert;
        let place = if alert.scope.as_str().is_empty() { String::new() } else { format!(" at {}", alert.scope) };
        let severity = alert.severity;
        match self.announcement.occasion {
            Occasion::Firing => format!("[{severity}] {}{place}", alert.rule),
            Occasion::Reminder => format!("[{severity}] {}{place} is still firing", alert.rule),
            Occasion::Escalated => format!("[{severity}] {}{place}: nobody has acknowledged it", alert.rule),
            Occasion::Resolved => format!("[resolved] {}{place}", alert.rule),
        }
    }

    /// A few lines: what it means, what was measured, how to answer.
    pub(super) fn text(&self) -> String {
        let alert = &self.announcement.alert;
        let mut lines = Vec::new();
        if !alert.summary.is_empty() {
            lines.push(alert.summary.clone());
        }
        let measured = alert.value.map_or("not measured".to_owned(), |value| in_unit(value, &alert.unit));
        lines.push(format!("condition: {}", alert.condition));
        lines.push(format!("when it fired: {measured}"));
        if let Some(worst) = alert.worst.filter(|worst| Some(*worst) != alert.value) {
            lines.push(format!("at worst: {}", in_unit(worst, &alert.unit)));
        }
        match self.announcement.occasion {
            Occasion::Resolved => {
                let because = alert.ended_because.as_ref().map(|why| format!(", because {why}")).unwrap_or_default();
                lines.push(format!("over after {}{because}", duration(alert.lasted_ms(self.at_ms))));
            }
            _ => {
                lines.push(format!("for {}", duration(self.at_ms.saturating_sub(alert.since_ms))));
                lines.push(format!("take it on: perfhost alerts acknowledge {} --host http://{}", alert.id, self.host));
            }
        }
        lines.join("\n")
    }

    /// For programs.
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "event": self.announcement.occasion.name(),
            "title": self.title(),
            "text": self.text(),
            "host": self.host,
            "at_ms": self.at_ms,
            "alert": self.announcement.alert,
        })
    }
}

/// A value of a metric, as people read it.
pub fn in_unit(value: f64, unit: &str) -> String {
    match unit {
        "ratio" => format!("{} %", number(value * 100.0)),
        "bytes" => bytes(value),
        "count" => number(value),
        unit => format!("{} {unit}", number(value)),
    }
}
