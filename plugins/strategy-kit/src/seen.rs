//! Looking things up in an observation. Windows without samples and numbers that are not finite count as unknown, so
//! that no policy computes with them.

use crate::types::{Observation, ProviderState, Summary, Value};

/// Length of the recent window, in milliseconds.
pub const RECENT_MS: u32 = 10_000;
/// Length of the long window, in milliseconds.
pub const LONG_MS: u32 = 60_000;
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
            .filter(|window| since_change >= u64::from(*window))
            .filter_map(|window| self.summary(name, scope, window))
            .find(|summary| summary.count >= least)
    }

    /// The present value of a knob that takes whole numbers.
    pub fn integer(&self, name: &str, scope: &str) -> Option<i64> {
        match self.setting(name, scope)? {
            Value::Integer(value) => Some(*value),
            _ => None,
        }
    }

    /// The present value of a knob that takes words.
    pub fn word(&self, name: &str, scope: &str) -> Option<&'a str> {
        match self.setting(name, scope)? {
            Value::Text(value) => Some(value),
            _ => None,
        }
    }

    /// The provider of that name.
    pub fn provider(&self, name: &str) -> Option<&'a ProviderState> {
        self.observation.providers.iter().find(|provider| provider.name == name)
    }

    fn setting(&self, name: &str, scope: &str) -> Option<&'a Value> {
        let settings = &self.observation.settings;
        settings.iter().find(|setting| setting.name == name && setting.scope == scope).map(|setting| &setting.value)
    }
}
