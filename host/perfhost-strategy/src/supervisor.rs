//! When a strategy that keeps failing is retired, and when it is tried again.
//!
//! Counts only. Whoever calls the strategy reports each call's end here, and puts the fallback in service when told to.

use std::collections::VecDeque;

use serde::Deserialize;

/// How much failure is too much.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SupervisorPolicy {
    /// This many failures within the window retire a strategy; at most 1,000. Default 3.
    pub failures: u32,
    /// The window in milliseconds. Default 60,000.
    pub window_ms: u64,
    /// Time in milliseconds to the first retry; doubles with each retirement. Default 30,000.
    pub backoff_ms: u64,
    /// Longest time in milliseconds to a retry. Default 3,600,000.
    pub backoff_at_most_ms: u64,
    /// Successes in a row after which earlier retirements are forgotten. Default 30: a strategy that works for a few
    /// calls after each retry must not be tried at the shortest pause for ever.
    pub successes_to_trust: u32,
}

/// What to do with the strategy that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It stays in service; the last good settings hold.
    Keep,
    /// The fallback takes over.
    Retire {
        /// When to try this strategy again, Unix time in milliseconds.
        retry_at_ms: u64,
    },
}

/// Watches one configured strategy. Report that strategy's calls only, never the fallback's.
///
/// A retry needs no call of its own: the first report after a retirement is the retry's. If it is a failure, the
/// strategy is retired again at once, for longer.
///
/// ```
/// use perfhost_strategy::supervisor::{Action, Supervisor, SupervisorPolicy};
///
/// let mut supervisor = Supervisor::new(SupervisorPolicy { failures: 2, ..SupervisorPolicy::default() });
/// assert_eq!(supervisor.failed(1_000), Action::Keep);
/// assert_eq!(supervisor.failed(2_000), Action::Retire { retry_at_ms: 32_000 });
/// assert!(supervisor.is_retry_due(32_000));
/// assert_eq!(supervisor.failed(32_500), Action::Retire { retry_at_ms: 92_500 });
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supervisor {
    policy: SupervisorPolicy,
    /// Times of recent failures; never longer than `policy.failures`.
    failures: VecDeque<u64>,
    retry_at_ms: Option<u64>,
    retirements: u32,
    successes_in_a_row: u32,
}

/// Upper bound of [`SupervisorPolicy::failures`], and so of what is remembered.
const MOST_FAILURES: u32 = 1_000;

impl Default for SupervisorPolicy {
    fn default() -> Self {
        Self {
            failures: 3,
            window_ms: 60_000,
            backoff_ms: 30_000,
            backoff_at_most_ms: 3_600_000,
            successes_to_trust: 30,
        }
    }
}

impl Default for Supervisor {
    fn default() -> Self {
        Self::new(SupervisorPolicy::default())
    }
}

impl Supervisor {
    /// Watches a strategy that is in service and has not failed.
    pub fn new(policy: SupervisorPolicy) -> Self {
        Self { policy, failures: VecDeque::new(), retry_at_ms: None, retirements: 0, successes_in_a_row: 0 }
    }

    /// A call failed, or a retry could not load the strategy.
    pub fn failed(&mut self, now_ms: u64) -> Action {
        self.successes_in_a_row = 0;
        let is_retry = self.retry_at_ms.is_some();
        self.failures.retain(|at_ms| now_ms.saturating_sub(*at_ms) < self.policy.window_ms);
        self.failures.push_back(now_ms);
        let allowed = self.policy.failures.clamp(1, MOST_FAILURES) as usize;
        if !is_retry && self.failures.len() < allowed {
            return Action::Keep;
        }
        self.failures.clear();
        let doublings = self.retirements.min(63);
        let backoff_ms = self.policy.backoff_ms.saturating_mul(1 << doublings).min(self.policy.backoff_at_most_ms);
        self.retirements = self.retirements.saturating_add(1);
        let retry_at_ms = now_ms.saturating_add(backoff_ms);
        self.retry_at_ms = Some(retry_at_ms);
        Action::Retire { retry_at_ms }
    }

    /// A call succeeded: the strategy is in service and its recent failures no longer count.
    pub fn succeeded(&mut self) {
        self.failures.clear();
        self.retry_at_ms = None;
        self.successes_in_a_row = self.successes_in_a_row.saturating_add(1);
        if self.successes_in_a_row >= self.policy.successes_to_trust {
            self.retirements = 0;
        }
    }

    /// Whether the strategy is retired and it is time to try it again.
    pub fn is_retry_due(&self, now_ms: u64) -> bool {
        self.retry_at_ms.is_some_and(|retry_at_ms| now_ms >= retry_at_ms)
    }

    /// When the next retry is due, Unix time in milliseconds; `None` while the strategy is in service.
    pub fn retry_at_ms(&self) -> Option<u64> {
        self.retry_at_ms
    }

    /// How often it was retired since it was last trusted.
    pub fn retirements(&self) -> u32 {
        self.retirements
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn supervisor() -> Supervisor {
        Supervisor::default()
    }

    fn retire(supervisor: &mut Supervisor, now_ms: u64) -> u64 {
        for _ in 0..10 {
            if let Action::Retire { retry_at_ms } = supervisor.failed(now_ms) {
                return retry_at_ms;
            }
        }
        panic!("never retired")
    }

    #[test]
    fn failures_within_the_window_retire_and_spread_ones_do_not() {
        let mut quick = supervisor();
        assert_eq!((quick.failed(0), quick.failed(1)), (Action::Keep, Action::Keep));
        assert_eq!(quick.failed(59_999), Action::Retire { retry_at_ms: 89_999 });
        let mut slow = supervisor();
        for minute in 0..100 {
            assert_eq!(slow.failed(minute * 60_000), Action::Keep);
        }
    }

    #[test]
    fn a_success_between_failures_starts_the_count_again() {
        let mut supervisor = supervisor();
        for at_ms in 0..100 {
            assert_eq!((supervisor.failed(at_ms), supervisor.failed(at_ms)), (Action::Keep, Action::Keep));
            supervisor.succeeded();
        }
    }

    #[test]
    fn a_retry_is_due_once_its_time_has_come_and_until_it_succeeds() {
        let mut supervisor = supervisor();
        assert!(!supervisor.is_retry_due(u64::MAX));
        let retry_at_ms = retire(&mut supervisor, 1_000);
        assert!(!supervisor.is_retry_due(retry_at_ms - 1));
        assert!(supervisor.is_retry_due(retry_at_ms));
        supervisor.succeeded();
        assert!(!supervisor.is_retry_due(u64::MAX));
    }

    #[test]
    fn each_retirement_waits_twice_as_long_up_to_the_limit() {
        let mut supervisor = supervisor();
        let mut now_ms = 0;
        let mut waits = Vec::new();
        for _ in 0..9 {
            let retry_at_ms = retire(&mut supervisor, now_ms);
            waits.push((retry_at_ms - now_ms) / 1_000);
            now_ms = retry_at_ms;
        }
        assert_eq!(waits, [30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600]);
    }

    #[test]
    fn a_few_successes_do_not_shorten_the_next_wait_and_many_do() {
        let mut supervisor = supervisor();
        retire(&mut supervisor, 0);
        supervisor.succeeded();
        assert_eq!(retire(&mut supervisor, 0), 60_000);
        for _ in 0..30 {
            supervisor.succeeded();
        }
        assert_eq!(retire(&mut supervisor, 0), 30_000);
    }

    #[test]
    fn extreme_policies_neither_overflow_nor_grow() {
        let policy = SupervisorPolicy {
            failures: 0,
            backoff_ms: u64::MAX,
            backoff_at_most_ms: u64::MAX,
            ..SupervisorPolicy::default()
        };
        let mut supervisor = Supervisor::new(policy);
        for _ in 0..200 {
            assert_eq!(supervisor.failed(u64::MAX), Action::Retire { retry_at_ms: u64::MAX });
        }
        assert!(supervisor.failures.is_empty());
    }
}
