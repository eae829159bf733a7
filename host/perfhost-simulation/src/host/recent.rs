//! What the host knows of a provider's recent latency and failures: the estimators of the real host (perfhost-upstream's
//! `recent`), step for step.

use perfhost_strategy::observation::Health;

/// How far one sample moves a median.
const MEDIAN_STEP: f32 = 0.05;
/// Weight of one outcome in the error rate.
const ERROR_WEIGHT: f32 = 0.05;
/// What remains of the error rate after a successful health probe.
const PROBE_FORGIVENESS: f32 = 0.8;
/// Failures in a row, of probes and new connections, after which a provider is down.
const FAILURES_UNTIL_DOWN: u32 = 2;

/// Estimates of one provider.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Recent {
    latency_ms: Median,
    ttft_ms: Median,
    tokens_per_second: Median,
    error_rate: f32,
    unreachable: u32,
}

impl Recent {
    pub(crate) fn note_success(&mut self, latency_ms: f64, ttft_ms: Option<f64>, tokens_per_second: Option<f64>) {
        self.latency_ms.note(latency_ms);
        self.ttft_ms.note(ttft_ms.unwrap_or(0.0));
        self.tokens_per_second.note(tokens_per_second.unwrap_or(0.0));
        let next = self.error_rate * (1.0 - ERROR_WEIGHT);
        self.error_rate = if next < 0.001 { 0.0 } else { next };
    }

    pub(crate) fn note_failure(&mut self) {
        self.error_rate += (1.0 - self.error_rate) * ERROR_WEIGHT;
    }

    pub(crate) fn note_reachable(&mut self) {
        self.unreachable = 0;
    }

    pub(crate) fn note_unreachable(&mut self) {
        self.unreachable = self.unreachable.saturating_add(1);
    }

    pub(crate) fn note_probe_success(&mut self) {
        self.error_rate *= PROBE_FORGIVENESS;
        self.note_reachable();
    }

    pub(crate) fn health(&self) -> Health {
        match self.unreachable {
            0 => Health::Up,
            failures if failures < FAILURES_UNTIL_DOWN => Health::Degraded,
            _ => Health::Down,
        }
    }

    pub(crate) fn latency_p50_ms(&self) -> f32 {
        self.latency_ms.0
    }

    pub(crate) fn ttft_p50_ms(&self) -> f32 {
        self.ttft_ms.0
    }

    /// Median generation speed of single requests.
    pub(crate) fn tokens_per_second(&self) -> f32 {
        self.tokens_per_second.0
    }

    pub(crate) fn error_rate(&self) -> f32 {
        self.error_rate
    }
}

/// A stochastic median; 0 until the first sample.
#[derive(Debug, Clone, Copy, Default)]
struct Median(f32);

impl Median {
    fn note(&mut self, sample: f64) {
        let sample = sample as f32;
        if !sample.is_finite() || sample <= 0.0 {
            return;
        }
        let present = self.0;
        self.0 = if present == 0.0 {
            sample
        } else if sample > present {
            (present * (1.0 + MEDIAN_STEP)).min(sample)
        } else {
            (present * (1.0 - MEDIAN_STEP)).max(sample)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenfold_change_is_followed_within_fifty_samples() {
        let mut recent = Recent::default();
        recent.note_success(10.0, Some(1.0), None);
        (0..50).for_each(|_| recent.note_success(100.0, None, None));
        assert_eq!((recent.latency_p50_ms(), recent.ttft_p50_ms(), recent.tokens_per_second()), (100.0, 1.0, 0.0));
    }

    #[test]
    fn two_failures_in_a_row_are_down_and_one_success_is_up() {
        let mut recent = Recent::default();
        recent.note_unreachable();
        assert_eq!(recent.health(), Health::Degraded);
        recent.note_unreachable();
        assert_eq!(recent.health(), Health::Down);
        recent.note_probe_success();
        assert_eq!(recent.health(), Health::Up);
    }

    #[test]
    fn failures_raise_the_rate_and_successes_lower_it() {
        let mut recent = Recent::default();
        (0..100).for_each(|_| recent.note_failure());
        assert!(recent.error_rate() > 0.99);
        (0..200).for_each(|_| recent.note_success(1.0, None, None));
        assert_eq!(recent.error_rate(), 0.0);
    }
}
