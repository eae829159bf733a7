//! Looking things up in an observation. Windows without samples and numbers that are not finite count as unknown, so
//! that no policy computes with them.

use crate::types::{Observation, ProviderState, Summary, Value};

/// Length of the recent window, in milliseconds.
pub const RECENT_MS: u32 = 10_000;
/// Length of the long window, in milliseconds.
pub const LONG_MS: u32 = 60_000;
/// Time that a change takes to show: a window is clean when it began this long after one.
const SETTLING_MS: u64 = 5_000;
/// Share of refused requests up to which Little's law may be used with finished requests alone.
const REFUSED_MAX: f64 = 0.001;
/// Share of the response time that Little's law gives from which it counts as settled.
const SETTLED_SHARE: f64 = 0.7;
/// The scope of the whole host.
pub const HOST: &str = "";

/// An observation with look-ups.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// What it reads.
    pub observation: &'a Observation,
    /// Unix time in milliseconds of the last change made through this strategy; 0 for none.
    pub changed_ms: u64,
}

impl<'a> Seen<'a> {
    /// Looks into `observation`; windows that reach back before `changed_ms` are stale for [`Seen::settled`].
    pub fn new(observation: &'a Observation, changed_ms: u64) -> Self {
        Self { observation, changed_ms }
    }

    /// Unix time in milliseconds.
    pub fn now_ms(&self) -> u64 {
        self.observation.now_ms
    }

    /// The summary of `name` in `scope` over the window closest to `window_ms`.
    pub fn summary(&self, name: &str, scope: &str, window_ms: u32) -> Option<&'a Summary> {
        let of_name = self.observation.metrics.iter().filter(|metric| metric.name == name && metric.scope == scope);
        let closest = of_name.min_by_key(|metric| metric.window_ms.abs_diff(window_ms))?;
        let numbers = &closest.summary;
        let is_finite = [numbers.mean, numbers.min, numbers.max, numbers.p50, numbers.p95, numbers.p99]
            .iter()
            .all(|number| number.is_finite());
        (numbers.count > 0 && is_finite).then_some(numbers)
    }

    /// The mean over the recent window.
    pub fn level(&self, name: &str, scope: &str) -> Option<f64> {
        self.summary(name, scope, RECENT_MS).map(|summary| summary.mean)
    }

    /// The longest window that has at least `least` samples, none of them from before the last change.
    pub fn settled(&self, name: &str, scope: &str, least: u64) -> Option<&'a Summary> {
        let since_change = self.now_ms().saturating_sub(self.changed_ms);
        [LONG_MS, RECENT_MS]
            .into_iter()
            .filter(|window| since_change >= u64::from(*window) + SETTLING_MS)
            .filter_map(|window| self.summary(name, scope, window))
            .find(|summary| summary.count >= least)
    }

    /// The present value of a knob that takes whole numbers.
    pub fn integer(&self, name: &str, scope: &str) -> Option<i64> {
        match self.value(name, scope)? {
            Value::Integer(value) => Some(*value),
            _ => None,
        }
    }

    /// The present value of a knob that takes words.
    pub fn word(&self, name: &str, scope: &str) -> Option<&'a str> {
        match self.value(name, scope)? {
            Value::Text(value) => Some(value),
            _ => None,
        }
    }

    /// Requests under way and waiting, all providers together.
    pub fn inside(&self) -> f64 {
        let providers = self.observation.providers.iter().map(|provider| f64::from(provider.in_flight));
        let under_way = self.level("in_flight", HOST).unwrap_or_else(|| providers.sum());
        under_way + self.level("queue_length", HOST).unwrap_or(0.0)
    }

    /// Whether measured times do not yet show the queue that is there, because the answers that finished came before
    /// it: by Little's law, response times settle at requests inside over requests finished per second. A change made
    /// before that would seem to have made answers later.
    pub fn is_building_up(&self) -> bool {
        // Refusals bound the queue, and those refused are inside but never finish.
        if self.level("rejected_rate", HOST).is_some_and(|share| share > REFUSED_MAX) {
            return false;
        }
        let finished = self.level("requests_per_second", HOST).filter(|rate| *rate > 0.0);
        let response_ms = self.level("response_time_ms", HOST);
        let (Some(per_second), Some(response_ms)) = (finished, response_ms) else { return false };
        response_ms < SETTLED_SHARE * 1000.0 * self.inside() / per_second
    }

    /// The provider of that name.
    pub fn provider(&self, name: &str) -> Option<&'a ProviderState> {
        self.observation.providers.iter().find(|provider| provider.name == name)
    }

    /// The present value of a knob.
    pub fn value(&self, name: &str, scope: &str) -> Option<&'a Value> {
        let settings = &self.observation.settings;
        settings.iter().find(|setting| setting.name == name && setting.scope == scope).map(|setting| &setting.value)
    }
}
