//! Alerts: a rule's condition that holds for a time is told to people, once, until it is over.
//!
//! A step function: [`AlertEngine::step`] takes the time and what is measured and says what changed, what is to be
//! announced and what is to be done. It owns the states of alerts, silences, acknowledgement, inhibition, escalation and
//! repetition; who measures, stores and delivers is the host's business. Conditions are read by [`crate::rule`].
//!
//! Life of one alert: *pending* while the condition holds and has not held for its `for`; *firing* from then on, as one
//! [`AlertRecord`] with a number of its own; *resolved* when the condition was clear for `keep_firing`. A rule then rests
//! for its cooldown.

mod defaults;
mod engine;
mod error;
mod instance;
mod record;
mod silence;
mod spec;
mod statistics;
mod wish;

pub use defaults::{DEFAULT_ALERTS, DefaultAlert, default_rules};
pub use engine::{AlertEngine, MOST_INSTANCES, Standing, State, Step};
pub use error::AlertError;
pub use record::{AlertRecord, Announcement, Note, Occasion};
pub use silence::{MOST_SILENCES, Silence};
pub use spec::{AlertRule, DEFAULT_COOLDOWN, DEFAULT_KEEP_FIRING, Escalation, MOST_RULES, Severity};
pub use statistics::{RuleStatistics, statistics};
pub use wish::{author, proposals};
