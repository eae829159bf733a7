//! What one strategy is held to, beside the limits of its runtime: its grants, and limits of its own.
//!
//! Who has which terms is configuration, and not known here. A strategy's name is known only once it has been asked, so
//! the stages before that run under the runtime's limits.

use std::collections::BTreeMap;
use std::time::Duration;

use perfhost_strategy::Grants;
use perfhost_strategy::strategy::Allowance;

use crate::limits::{KEYS, LimitKey, Limits};

/// The name under which an allowance shows its plan budget.
const PLAN_BUDGET: &str = "plan_budget_us";

/// The terms of one strategy. The default grants everything and narrows nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// What it may do.
    pub grants: Grants,
    /// Limits by name, in the name's unit. Only those that are less than the runtime's have an effect; names that are not
    /// in [`KEYS`], or are the host's own, have none.
    pub limits: BTreeMap<String, u64>,
    /// Time for one plan, where it is to have less than the `plan_budget_us` knob says.
    pub plan_budget: Option<Duration>,
}

/// Finds the terms of the strategy of a name.
pub type TermsOf<'a> = dyn Fn(&str) -> Terms + Send + Sync + 'a;

impl Terms {
    /// The limits that hold: of each the lesser one.
    pub(crate) fn narrow(&self, host: &Limits) -> Limits {
        let mut limits = host.clone();
        for (key, own) in self.own() {
            if own < key.get(host) {
                key.set(&mut limits, own);
            }
        }
        limits
    }

    /// What a strategy under these terms is held to, for all who ask.
    pub(crate) fn allowance(&self, effective: &Limits) -> Allowance {
        let mut limits: BTreeMap<_, _> =
            KEYS.iter().filter(|key| !key.is_host_only).map(|key| (key.name, key.get(effective))).collect();
        if let Some(budget) = self.plan_budget {
            limits.insert(PLAN_BUDGET, u64::try_from(budget.as_micros()).unwrap_or(u64::MAX));
        }
        Allowance { grants: self.grants.clone(), plan_budget: self.plan_budget, limits }
    }

    /// The terms in words, for a stage's report.
    pub(crate) fn words(&self) -> String {
        let mut words = format!("granted: {}", self.grants);
        for (key, own) in self.own() {
            words += &format!(", {} {own}", key.name);
        }
        words
    }

    fn own(&self) -> impl Iterator<Item = (&'static LimitKey, u64)> {
        let known = self.limits.iter().filter_map(|(name, own)| Some((LimitKey::by_name(name)?, *own)));
        known.filter(|(key, _)| !key.is_host_only)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lesser_limit_holds() {
        let host = Limits::default();
        let limits = [("memory_bytes", 1 << 20), ("max_proposals", 1_000), ("stack_bytes", 1), ("speed", 1)]
            .map(|(name, value)| (name.to_owned(), value));
        let terms = Terms { limits: limits.into(), ..Terms::default() };
        let narrowed = terms.narrow(&host);
        assert_eq!(narrowed, Limits { memory_bytes: 1 << 20, ..host });
        assert_eq!(terms.allowance(&narrowed).limits["memory_bytes"], 1 << 20);
        assert!(!terms.allowance(&narrowed).limits.contains_key("stack_bytes"));
    }
}
