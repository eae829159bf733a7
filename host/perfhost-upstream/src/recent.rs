//! What is known of a provider's recent latency and failures, kept in a few atomics.
//!
//! The medians are stochastic: each sample moves the estimate one step up or down by a fixed share, so the estimate
//! settles where as many samples lie above as below. That needs no memory of samples and no lock; it is meant for
//! ranking candidates, not for reporting. Two updates at the same moment may lose one of them, which does no harm.

use std::sync::atomic::{AtomicU32, Ordering};

/// How far one sample moves a median. A tenfold change is followed within about fifty samples.
const MEDIAN_STEP: f32 = 0.05;

/// Weight of one outcome in the error rate: the last twenty or so requests count.
const ERROR_WEIGHT: f32 = 0.05;

/// What remains of the error rate after a successful health probe, so that a provider without traffic is forgiven.
const PROBE_FORGIVENESS: f32 = 0.8;

/// Estimates at one moment. Zero for a time means: not known.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RecentStats {
    /// Median of whole requests.
    pub latency_p50_ms: f32,
    /// Median time to the first token.
    pub ttft_p50_ms: f32,
    /// Share of failures, 0 to 1.
    pub error_rate: f32,
    /// Median generation speed of single requests, as the engine times it itself.
    pub tokens_per_second: f32,
}

/// The estimators.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    latency: Median,
    ttft: Median,
    tokens_per_second: Median,
    error_rate: AtomicU32,
}

impl Recent {
    pub(crate) fn note_success(&self, latency_ms: f32, ttft_ms: Option<f32>) {
        self.latency.note(latency_ms);
        if let Some(ttft_ms) = ttft_ms {
            self.ttft.note(ttft_ms);
        }
        // Most providers have no failures: then nothing is written and no other worker's cache line is disturbed.
        let rate = self.error_rate();
        if rate > 0.0 {
            let next = rate * (1.0 - ERROR_WEIGHT);
            self.set_error_rate(if next < 0.001 { 0.0 } else { next });
        }
    }

    pub(crate) fn note_generation(&self, tokens_per_second: f32) {
        self.tokens_per_second.note(tokens_per_second);
    }

    pub(crate) fn note_failure(&self) {
        let rate = self.error_rate();
        self.set_error_rate(rate + (1.0 - rate) * ERROR_WEIGHT);
    }

    pub(crate) fn note_probe_success(&self) {
        self.set_error_rate(self.error_rate() * PROBE_FORGIVENESS);
    }

    pub(crate) fn stats(&self) -> RecentStats {
        RecentStats {
            latency_p50_ms: self.latency.value(),
            ttft_p50_ms: self.ttft.value(),
            error_rate: self.error_rate(),
            tokens_per_second: self.tokens_per_second.value(),
        }
    }

    fn error_rate(&self) -> f32 {
        f32::from_bits(self.error_rate.load(Ordering::Relaxed))
    }

    fn set_error_rate(&self, rate: f32) {
        self.error_rate.store(rate.to_bits(), Ordering::Relaxed);
    }
}

/// A stochastic median; 0 until the first sample.
#[derive(Debug, Default)]
struct Median(AtomicU32);

impl Median {
    fn note(&self, sample: f32) {
        if !sample.is_finite() || sample <= 0.0 {
            return;
        }
        let present = self.value();
        let next = if present == 0.0 {
            sample
        } else if sample > present {
            (present * (1.0 + MEDIAN_STEP)).min(sample)
        } else {
            (present * (1.0 - MEDIAN_STEP)).max(sample)
        };
        self.0.store(next.to_bits(), Ordering::Relaxed);
    }

    fn value(&self) -> f32 {
        f32::from_bits(self.0.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_settles_between_the_halves_and_ignores_a_long_tail() {
        let recent = Recent::default();
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..2_000 {
            let tail = if random.u32(0..100) == 0 { 10_000.0 } else { 0.0 };
            recent.note_success(80.0 + random.f32() * 40.0 + tail, None);
        }
        let stats = recent.stats();
        assert!((90.0..=110.0).contains(&stats.latency_p50_ms), "{stats:?}");
        assert_eq!((stats.ttft_p50_ms, stats.error_rate), (0.0, 0.0));
    }

    #[test]
    fn a_tenfold_change_is_followed_within_fifty_samples() {
        let recent = Recent::default();
        recent.note_success(10.0, Some(1.0));
        for _ in 0..50 {
            recent.note_success(100.0, Some(1.0));
        }
        assert_eq!(recent.stats().latency_p50_ms, 100.0);
    }

    #[test]
    fn failures_raise_the_rate_and_successes_and_probes_lower_it() {
        let recent = Recent::default();
        (0..100).for_each(|_| recent.note_failure());
        let failing = recent.stats().error_rate;
        assert!(failing > 0.99, "{failing}");
        recent.note_probe_success();
        let forgiven = recent.stats().error_rate;
        (0..200).for_each(|_| recent.note_success(1.0, None));
        assert!(forgiven < failing && recent.stats().error_rate == 0.0);
    }
}
