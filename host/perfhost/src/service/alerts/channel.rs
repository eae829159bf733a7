//! What every channel is to the one that hands it its notices, and how delivery fails.

use std::time::Duration;

use perfhost_strategy::alert::AlertRule;
use thiserror::Error;

use super::email::Email;
use super::log::Log;
use super::mqtt::Mqtt;
use super::slack::Slack;
use super::webhook::Webhook;
use super::wording::Notice;
use crate::config::alerts::{ChannelConfig, ChannelKind};

/// Longest time for one attempt.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// Why a notice was not delivered. Messages hold no secrets.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum DeliveryError {
    /// Another attempt may succeed.
    #[error("{0}")]
    Temporary(String),
    /// The receiver will never take it.
    #[error("{0}")]
    Permanent(String),
}

/// Which rules fire: what a channel that shows states, not events, needs.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Board {
    /// Every rule, with how many of its alerts fire.
    pub rules: Vec<(AlertRule, usize)>,
}

/// A way to tell people. Used by one thread of its own, which may block.
pub(super) trait Channel: Send {
    /// Delivers one notice.
    fn send(&mut self, notice: &Notice) -> Result<(), DeliveryError>;

    /// Shows which rules fire, where the channel can. Best effort: the board comes again when it changes.
    fn show(&mut self, _board: &Board) {}
}

/// Makes a channel. It connects when it has something to say.
pub(super) fn open(config: &ChannelConfig, host: &str) -> Result<Box<dyn Channel>, DeliveryError> {
    Ok(match &config.kind {
        ChannelKind::Log => Box::new(Log),
        ChannelKind::Webhook { url, headers } => Box::new(Webhook::new(url.clone(), headers.clone())),
        ChannelKind::Slack { url } => Box::new(Slack::new(url.clone())),
        ChannelKind::Email(email) => Box::new(Email::new(email)?),
        ChannelKind::Mqtt(mqtt) => Box::new(Mqtt::new(mqtt, host)?),
    })
}

/// The kind's name.
pub(super) fn kind_name(kind: &ChannelKind) -> &'static str {
    match kind {
        ChannelKind::Log => "log",
        ChannelKind::Webhook { .. } => "webhook",
        ChannelKind::Slack { .. } => "slack",
        ChannelKind::Email(_) => "email",
        ChannelKind::Mqtt(_) => "mqtt",
    }
}
