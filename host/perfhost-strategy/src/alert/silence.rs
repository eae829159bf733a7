//! Silences: alerts that are not announced for a time, because somebody knows.

use serde::{Deserialize, Serialize};

use crate::Scope;

/// Most silences at once.
pub const MOST_SILENCES: usize = 128;

/// One silence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// Unique while it lasts.
    pub id: u64,
    /// Of this rule.
    pub rule: String,
    /// At this place; `None` for all of them.
    pub scope: Option<Scope>,
    /// Unix time in milliseconds.
    pub from_ms: u64,
    /// Unix time in milliseconds.
    pub until_ms: u64,
    /// Who asked for it.
    pub by: String,
    /// Why.
    pub comment: String,
}

impl Silence {
    /// Whether it keeps an alert of this rule at this place quiet.
    pub fn covers(&self, rule: &str, scope: &Scope, now_ms: u64) -> bool {
        self.rule == rule && now_ms < self.until_ms && self.scope.as_ref().is_none_or(|own| own == scope)
    }
}
