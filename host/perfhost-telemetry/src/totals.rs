//! What the whole host did over a stretch of time of any length: sums of ticks, with the distributions that percentiles
//! need. Owns how they become figures; whoever keeps a [`Totals`] says when the stretch begins and ends.

use perfhost_strategy::decision::CycleRequests;
use perfhost_strategy::generation::Figures;

use crate::record::RequestOutcome;
use crate::sketch::DDSketch;
use crate::tally::{Counts, Timing};

/// Sums since [`crate::Telemetry::totals`].
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// The last tick that is in them.
    pub(crate) newest: u64,
    pub(crate) timings: [DDSketch; Timing::COUNT],
    counts: Counts,
    busy_seconds: f64,
}

impl Totals {
    /// Sums of what comes after this tick.
    pub(crate) fn after(newest: u64) -> Self {
        Self { newest, ..Self::default() }
    }

    /// Adds one tick's counts.
    pub(crate) fn count(&mut self, counts: &Counts, seconds: f64) {
        self.counts.merge(counts);
        if counts.finished() > 0 || counts.output_tokens > 0 {
            self.busy_seconds += seconds;
        }
    }

    /// Requests by what a decision cycle tells of them.
    pub fn requests(&self) -> CycleRequests {
        CycleRequests {
            total: self.counts.finished(),
            errors: self.counts.errors(),
            rejected: self.counts.rejected(),
            cache_hits: self.counts.cache_hits(),
            cache_misses: self.counts.cacheable() - self.counts.cache_hits(),
        }
    }

    /// What they come to.
    pub fn figures(&self) -> Figures {
        let a_second = |count: u64| if self.busy_seconds > 0.0 { count as f64 / self.busy_seconds } else { 0.0 };
        let response_time = self.timings[Timing::ResponseTime as usize].summary();
        Figures {
            requests: self.counts.finished(),
            errors: self.counts.errors(),
            rejected: self.counts.rejected(),
            output_tokens: self.counts.output_tokens,
            busy_seconds: self.busy_seconds,
            successes_per_second: a_second(self.counts.outcomes[RequestOutcome::Success as usize]),
            tokens_per_second: a_second(self.counts.output_tokens),
            response_time_p50_ms: response_time.p50,
            response_time_p95_ms: response_time.p95,
            time_to_first_token_p95_ms: self.timings[Timing::TimeToFirstToken as usize].summary().p95,
        }
    }
}
