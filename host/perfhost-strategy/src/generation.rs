//! One loaded strategy in service, with what the hot path counts about it. A swap replaces a [`Generation`] atomically
//! through [`crate::Shared`]; requests in flight keep the one that planned them. What is kept of it afterwards is a
//! [`GenerationRecord`].

mod record;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::strategy::{Strategy, World};

pub use record::{Arrival, DecisionCounts, Figures, GenerationRecord, before};

/// A strategy in service.
pub struct Generation {
    /// Rises by one with every swap; unique in one data directory.
    pub number: u64,
    /// The strategy.
    pub strategy: Arc<dyn Strategy>,
    /// What planning has cost and how often it failed.
    pub planning: Planning,
}

/// Counts of one generation's plan calls. Written by workers, read by the control loop.
#[derive(Debug, Default)]
pub struct Planning {
    /// The strategy's own budget, where it has one.
    budget: Option<Duration>,
    /// 0 while the strategy is asked for plans; else one of the two codes below, or the budget in nanoseconds for which it
    /// is too slow.
    demoted: AtomicU64,
    calls: AtomicU64,
    failures: AtomicU64,
    overruns: AtomicU64,
    nanoseconds: AtomicU64,
}

/// [`Planning::demoted`] of a strategy without `route`.
const NOT_EXPORTED: u64 = u64::MAX;
/// [`Planning::demoted`] of a strategy whose plans fail.
const FAILING: u64 = u64::MAX - 1;

/// Why requests follow the host's own plan. The strategy goes on tuning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "kebab-case")]
pub enum Demotion {
    /// It exports no `route`.
    NotExported,
    /// Most of its last plan calls failed.
    Failing,
    /// Most of its last plan calls took longer than this; it is asked again once the budget is higher.
    TooSlow {
        /// The budget of that time, in microseconds.
        budget_us: u64,
    },
}

impl fmt::Display for Demotion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Demotion::NotExported => f.write_str("it does not plan"),
            Demotion::Failing => f.write_str("most of its last plans failed"),
            Demotion::TooSlow { budget_us } => write!(
                f,
                "most of its last plans took longer than plan_budget_us = {budget_us}; it is asked again when that is raised"
            ),
        }
    }
}

/// A reading of [`Planning`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanningCounts {
    /// Requests follow the host's own plan.
    pub is_demoted: bool,
    /// Why they do.
    pub demotion: Option<Demotion>,
    /// Plan calls made.
    pub calls: u64,
    /// Calls that failed; the host's own plan served.
    pub failures: u64,
    /// Calls that took more of the processor's time than the budget.
    pub overruns: u64,
    /// Time in plan calls in all.
    pub nanoseconds: u64,
}

impl PlanningCounts {
    /// Mean time of a plan call in microseconds; 0 before the first.
    pub fn mean_us(&self) -> f64 {
        if self.calls == 0 { 0.0 } else { self.nanoseconds as f64 / self.calls as f64 / 1_000.0 }
    }
}

impl Generation {
    /// Puts a strategy in service. One that does not export `route` starts demoted.
    pub fn new(number: u64, strategy: Arc<dyn Strategy>) -> Self {
        let planning = Planning { budget: strategy.allowance().plan_budget, ..Planning::default() };
        if strategy.identity().world != World::Strategy {
            planning.demote(Demotion::NotExported);
        }
        Self { number, strategy, planning }
    }
}

impl Planning {
    /// Whether requests follow the host's own plan.
    #[inline]
    pub fn is_demoted(&self) -> bool {
        self.demoted.load(Ordering::Relaxed) != 0
    }

    /// Time for one plan call: the setting's, or the strategy's own where that is less.
    pub fn budget(&self, of_settings: Duration) -> Duration {
        self.budget.map_or(of_settings, |own| own.min(of_settings))
    }

    /// Why requests follow the host's own plan, if they do.
    pub fn demotion(&self) -> Option<Demotion> {
        match self.demoted.load(Ordering::Relaxed) {
            0 => None,
            NOT_EXPORTED => Some(Demotion::NotExported),
            FAILING => Some(Demotion::Failing),
            budget_ns => Some(Demotion::TooSlow { budget_us: budget_ns / 1_000 }),
        }
    }

    /// Stops asking this strategy for plans. Whether it was asked until now.
    pub fn demote(&self, why: Demotion) -> bool {
        let code = match why {
            Demotion::NotExported => NOT_EXPORTED,
            Demotion::Failing => FAILING,
            Demotion::TooSlow { budget_us } => budget_us.saturating_mul(1_000).clamp(1, FAILING - 1),
        };
        self.demoted.compare_exchange(0, code, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Asks this strategy for plans again if it is demoted for being too slow for a budget below this one. Whether that
    /// changed anything.
    pub fn reconsider(&self, budget: Duration) -> bool {
        let budget_ns = u64::try_from(budget.as_nanos()).unwrap_or(u64::MAX);
        let ask_again = |code: u64| (code != 0 && code < FAILING && code < budget_ns).then_some(0);
        self.demoted.fetch_update(Ordering::Relaxed, Ordering::Relaxed, ask_again).is_ok()
    }

    /// Counts one call.
    pub fn count(&self, nanoseconds: u64, is_failure: bool, is_overrun: bool) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
        if is_failure {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        if is_overrun {
            self.overruns.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The counts now.
    pub fn read(&self) -> PlanningCounts {
        PlanningCounts {
            is_demoted: self.is_demoted(),
            demotion: self.demotion(),
            calls: self.calls.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            overruns: self.overruns.load(Ordering::Relaxed),
            nanoseconds: self.nanoseconds.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: Demotion = Demotion::TooSlow { budget_us: 50 };

    #[test]
    fn one_that_is_too_slow_is_asked_again_when_the_budget_rises() {
        let planning = Planning::default();
        assert!(!planning.reconsider(Duration::from_secs(1)), "it is not demoted");
        assert!(planning.demote(SLOW) && !planning.demote(SLOW), "only the first demotes");
        assert_eq!(planning.demotion(), Some(SLOW));
        assert!(!planning.reconsider(Duration::from_micros(50)) && planning.is_demoted());
        assert!(planning.reconsider(Duration::from_micros(51)) && !planning.is_demoted());
    }

    #[test]
    fn one_that_fails_or_does_not_plan_is_not_helped_by_time() {
        for why in [Demotion::Failing, Demotion::NotExported] {
            let planning = Planning::default();
            planning.demote(why);
            assert!(!planning.reconsider(Duration::MAX));
            assert_eq!(planning.demotion(), Some(why));
        }
    }

    #[test]
    fn no_budget_is_mistaken_for_a_code() {
        for budget_us in [0, u64::MAX] {
            let planning = Planning::default();
            planning.demote(Demotion::TooSlow { budget_us });
            assert!(matches!(planning.demotion(), Some(Demotion::TooSlow { .. })));
        }
    }

    #[test]
    fn a_reading_says_why_in_one_piece() {
        let planning = Planning::default();
        planning.demote(SLOW);
        let json = serde_json::to_value(planning.read()).unwrap();
        assert_eq!(json["demotion"], serde_json::json!({ "cause": "too-slow", "budget_us": 50 }));
    }
}
