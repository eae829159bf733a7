//! Alerts: a rule's condition that holds for a time is told to people, once, until it is over.
//!
//! A step function: [`AlertEngine::step`] takes the time and what is measured and says what changed, what is to be
//! announced and what is to be done. It owns the states of alerts, silences, acknowledgement, inhibition, escalation and
//! repetition; who measures, stores and delivers is the host's business. Conditions are read by [`crate::rule`].
//!
//! Life of one alert: *pending* while the condition holds and has not held for its `for`; *firing* from then on, as one
//! [`AlertRecord`] with a number of its own; *resolved* when the condition was clear for `keep_firing`. A rule then rests
//! for its cooldown.

use std::time::Duration;

mod defaults;
mod engine;
mod error;
mod instance;
mod record;
mod silence;
mod spec;
mod statistics;
mod wish;

/// The windows that conditions are to be read from, shortest first. The longest is as long as the measurements of the
/// present are kept, so that a rule for two minutes and more has as many requests as can be had.
pub const WINDOWS: [Duration; 4] =
    [Duration::from_secs(10), Duration::from_secs(30), Duration::from_secs(60), Duration::from_secs(120)];

pub use defaults::{DEFAULT_ALERTS, DefaultAlert, default_rules};
pub use engine::{AlertEngine, MOST_INSTANCES, Standing, State, Step};
pub use error::AlertError;
pub use record::{AlertRecord, Announcement, Note, Occasion};
pub use silence::{MOST_SILENCES, Silence};
pub use spec::{AlertRule, DEFAULT_COOLDOWN, DEFAULT_KEEP_FIRING, Escalation, Listener, MOST_RULES, Severity};
pub use statistics::{RuleStatistics, statistics};
pub use wish::{author, proposals};
