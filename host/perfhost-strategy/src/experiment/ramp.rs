//! How a challenger's share grows: 1 → 5 → 10 → 25 → 50 %, each step only after the one before did no visible harm.

use serde::{Deserialize, Serialize};

/// Steps and what each waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ramp {
    /// Shares of each challenger, rising, up to 0.5. After the last one all arms have equal shares. Default 0.01, 0.05, 0.10,
    /// 0.25, 0.5; empty to begin with equal shares.
    pub shares: Vec<f64>,
    /// Least time on a step, milliseconds. Default 30,000.
    pub step_ms: u64,
    /// Units (rounds in a switchback) that each challenger must have had settled on a step. Default 10 (1).
    pub step_units: u64,
    /// After this long on a step that did no visible harm the next one follows, however few units there were; milliseconds.
    /// Default 600,000.
    pub step_at_most_ms: u64,
}

impl Default for Ramp {
    fn default() -> Self {
        Self { shares: vec![0.01, 0.05, 0.10, 0.25, 0.5], step_ms: 30_000, step_units: 10, step_at_most_ms: 600_000 }
    }
}

/// Where the ramp stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Index into [`Ramp::shares`]; one past the last is equal shares.
    pub at: usize,
    /// Since when, Unix time in milliseconds.
    pub since_ms: u64,
    /// Units that the challenger with fewest had settled when it began.
    pub units_before: u64,
}

impl Ramp {
    /// The first step.
    pub fn first(&self, now_ms: u64) -> Step {
        Step { at: 0, since_ms: now_ms, units_before: 0 }
    }

    /// The step after `step`, when its time has come. `units` are settled ones of the challenger with fewest; a challenger
    /// that looks harmful holds the ramp.
    pub fn next(&self, step: &Step, now_ms: u64, units: u64, needed: u64, looks_harmful: bool) -> Option<Step> {
        let elapsed_ms = now_ms.saturating_sub(step.since_ms);
        let has_seen = units.saturating_sub(step.units_before) >= needed || elapsed_ms >= self.step_at_most_ms;
        let is_time = step.at < self.shares.len() && elapsed_ms >= self.step_ms && has_seen && !looks_harmful;
        is_time.then_some(Step { at: step.at + 1, since_ms: now_ms, units_before: units })
    }

    /// Share of each challenger at a step, at most that of equal shares.
    pub fn share(&self, step: &Step, arms: usize) -> f64 {
        let equal = 1.0 / arms.max(1) as f64;
        self.shares.get(step.at).map_or(equal, |share| share.min(equal))
    }

    /// Share of all units that take part in the experiment at a step: all arms that are compared have equal parts of it.
    pub fn enrolled(&self, step: &Step, arms: usize) -> f64 {
        self.share(step, arms) * arms as f64
    }

    /// Blocks between rounds that give each challenger its share of time.
    pub fn gap(&self, step: &Step, arms: usize) -> u32 {
        ((1.0 / self.share(step, arms)).round() as u32).saturating_sub(arms as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_wait_for_time_and_units_and_stop_for_harm() {
        let ramp = Ramp::default();
        let first = ramp.first(0);
        assert_eq!(ramp.next(&first, 29_999, 100, 10, false), None);
        assert_eq!(ramp.next(&first, 30_000, 9, 10, false), None);
        assert_eq!(ramp.next(&first, 900_000, 10, 10, true), None);
        let second = ramp.next(&first, 30_000, 10, 10, false).unwrap();
        assert_eq!((second.at, ramp.next(&second, 60_000, 19, 10, false)), (1, None));
        assert!(ramp.next(&second, 630_000, 10, 10, false).is_some(), "little traffic does not stop a ramp");
    }

    #[test]
    fn shares_end_equal() {
        let ramp = Ramp::default();
        let at = |at| Step { at, since_ms: 0, units_before: 0 };
        assert_eq!((ramp.enrolled(&at(0), 2), ramp.gap(&at(0), 2)), (0.02, 98));
        assert_eq!((ramp.enrolled(&at(4), 3), ramp.gap(&at(4), 3)), (1.0, 0));
        assert_eq!((ramp.enrolled(&at(5), 2), ramp.gap(&at(5), 2)), (1.0, 0));
        assert_eq!(ramp.next(&at(5), u64::MAX, u64::MAX, 0, false), None);
    }
}
