//! How long to wait before an engine is started again.

use std::time::Duration;

/// Pause before the first restart: an engine killed once is back at once.
const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);
/// An engine that served this long is no repeated failure.
pub(super) const HEALTHY: Duration = Duration::from_secs(60);

/// Doubles with every failure in a row.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Notes a failure after the engine had served for `served`, and returns the pause to make.
    pub(super) fn failed(&mut self, served: Duration) -> Duration {
        if served >= HEALTHY {
            self.failures = 0;
        }
        let pause = FIRST.saturating_mul(2u32.saturating_pow(self.failures)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        pause
    }

    /// Failures in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Starts over, as after a change of settings.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_to_a_cap_and_health_resets_it() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..9).map(|_| backoff.failed(Duration::ZERO).as_millis()).collect();
        assert_eq!(pauses, [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
        assert_eq!(backoff.failures(), 9);
        assert_eq!(backoff.failed(HEALTHY), FIRST);
    }
}
