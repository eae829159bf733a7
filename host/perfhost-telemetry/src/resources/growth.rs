//! How fast a process's memory grows: the slope of a straight line through samples of the last hour, by least squares.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Samples are kept this far apart.
const BETWEEN: Duration = Duration::from_secs(10);

/// Samples kept: an hour's.
const SAMPLES: usize = 360;

/// Nothing is said before samples span this long: what a process takes at its start is no growth.
const SHORTEST: f64 = 60.0;

/// One process's samples.
pub(super) struct Growth {
    started: Instant,
    /// Seconds since the start, and bytes.
    samples: VecDeque<(f64, f64)>,
}

impl Growth {
    pub(super) fn new(now: Instant) -> Self {
        Self { started: now, samples: VecDeque::new() }
    }

    pub(super) fn add(&mut self, now: Instant, bytes: u64) {
        let at = now.saturating_duration_since(self.started).as_secs_f64();
        if self.samples.back().is_some_and(|(last, _)| at - last < BETWEEN.as_secs_f64()) {
            return;
        }
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back((at, bytes as f64));
    }

    /// Millions of bytes per hour.
    pub(super) fn mb_per_hour(&self) -> Option<f64> {
        let (first, last) = (self.samples.front()?.0, self.samples.back()?.0);
        if last - first < SHORTEST {
            return None;
        }
        let count = self.samples.len() as f64;
        let (at_sum, bytes_sum) =
            self.samples.iter().fold((0.0, 0.0), |sum, sample| (sum.0 + sample.0, sum.1 + sample.1));
        let (at_mean, bytes_mean) = (at_sum / count, bytes_sum / count);
        let (mut together, mut alone) = (0.0, 0.0);
        for (at, bytes) in &self.samples {
            together += (at - at_mean) * (bytes - bytes_mean);
            alone += (at - at_mean) * (at - at_mean);
        }
        Some(together / alone * 3_600.0 / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_growth_is_found_and_samples_are_bounded() {
        let start = Instant::now();
        let mut growth = Growth::new(start);
        for second in 0..2 * 3_600_u64 {
            growth.add(start + Duration::from_secs(second), 1_000_000_000 + second * 1_000);
            if second == 30 {
                assert_eq!(growth.mb_per_hour(), None);
            }
        }
        assert_eq!(growth.samples.len(), SAMPLES);
        assert!((growth.mb_per_hour().unwrap() - 3.6).abs() < 1e-6);
    }
}
