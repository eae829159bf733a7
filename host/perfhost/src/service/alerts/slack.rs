//! Alerts to an incoming webhook of Slack. Mattermost and Rocket.Chat take the same form.

use perfhost_strategy::alert::{Occasion, Severity};
use serde_json::{Value, json};

use super::channel::{Channel, DeliveryError};
use super::webhook::Post;
use super::wording::Notice;
use crate::config::alerts::Secret;

pub(super) struct Slack {
    post: Post,
}

impl Slack {
    pub(super) fn new(url: Secret) -> Self {
        Self { post: Post::new(url, Vec::new()) }
    }
}

impl Channel for Slack {
    fn send(&mut self, notice: &Notice) -> Result<(), DeliveryError> {
        self.post.json(&message(notice))
    }
}

/// `text` is what notifications show, the attachment what the channel shows.
fn message(notice: &Notice) -> Value {
    let announcement = &notice.announcement;
    let color = match (announcement.occasion, announcement.alert.severity) {
        (Occasion::Resolved, _) => "#2eb67d",
        (_, Severity::Info) => "#36c5f0",
        (_, Severity::Warning) => "#ecb22e",
        (_, Severity::Critical) => "#e01e5a",
    };
    let title = escaped(&notice.title());
    json!({
        "text": title,
        "attachments": [{ "color": color, "fallback": title, "text": escaped(&notice.text()), "ts": notice.at_ms / 1_000 }],
    })
}

/// The three characters that Slack gives a meaning.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
