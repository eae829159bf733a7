//! One loaded strategy in service, with what the hot path counts about it. A swap replaces a [`Generation`] atomically
//! through [`crate::Shared`]; requests in flight keep the one that planned them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::strategy::{Strategy, World};

/// A strategy in service.
pub struct Generation {
    /// Rises by one with every swap since the process started.
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
    demoted: AtomicBool,
    calls: AtomicU64,
    failures: AtomicU64,
    overruns: AtomicU64,
    nanoseconds: AtomicU64,
}

/// A reading of [`Planning`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct PlanningCounts {
    /// Requests follow the host's own plan because the strategy was too slow or does not plan.
    pub is_demoted: bool,
    /// Plan calls made.
    pub calls: u64,
    /// Calls that failed; the host's own plan served.
    pub failures: u64,
    /// Calls that took longer than the budget.
    pub overruns: u64,
    /// Time in plan calls in all.
    pub nanoseconds: u64,
}

impl Generation {
    /// Puts a strategy in service. One that does not export `route` starts demoted.
    pub fn new(number: u64, strategy: Arc<dyn Strategy>) -> Self {
        let planning = Planning { budget: strategy.allowance().plan_budget, ..Planning::default() };
        planning.demoted.store(strategy.identity().world != World::Strategy, Ordering::Relaxed);
        Self { number, strategy, planning }
    }
}

impl Planning {
    /// Whether requests follow the host's own plan.
    pub fn is_demoted(&self) -> bool {
        self.demoted.load(Ordering::Relaxed)
    }

    /// Time for one plan call: the setting's, or the strategy's own where that is less.
    pub fn budget(&self, of_settings: Duration) -> Duration {
        self.budget.map_or(of_settings, |own| own.min(of_settings))
    }

    /// Stops asking this strategy for plans.
    pub fn demote(&self) {
        self.demoted.store(true, Ordering::Relaxed);
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
            calls: self.calls.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            overruns: self.overruns.load(Ordering::Relaxed),
            nanoseconds: self.nanoseconds.load(Ordering::Relaxed),
        }
    }
}
