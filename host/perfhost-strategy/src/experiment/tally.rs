//! Sums of one unit's or one block's requests, in one metric.

use serde::{Deserialize, Serialize};

use super::metric::Metric;
use super::outcome::{Outcome, Slo};
use super::statistics::Histogram;

/// What came together so far.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Tally {
    count: u64,
    sum: f64,
    tokens: u64,
    /// Response times, where a percentile of a block is wanted.
    times: Option<Histogram>,
}

impl Tally {
    /// Empty; `is_block` when it will be asked for [`Tally::block_value`].
    pub fn new(metric: &Metric, is_block: bool) -> Self {
        let needs_times = is_block && *metric == Metric::LatencyP95;
        Self { times: needs_times.then(Histogram::default), ..Self::default() }
    }

    /// Takes in one request.
    pub fn observe(&mut self, metric: &Metric, outcome: &Outcome, slo: &Slo) {
        let Some(value) = metric.value(outcome, slo) else { return };
        self.count += 1;
        self.sum += value;
        if outcome.is_answered(slo) {
            self.tokens += u64::from(outcome.output_tokens);
        }
        if let Some(times) = &mut self.times {
            // A metric's values are finite and times are not negative.
            let _ = times.observe(value);
        }
    }

    /// A unit's value: the mean of its requests'.
    pub fn unit_value(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    /// A block's value: mean, percentile, or tokens over the time that was counted.
    pub fn block_value(&self, metric: &Metric, counted_ms: u64) -> Option<f64> {
        match metric {
            Metric::LatencyP95 => self.times.as_ref()?.quantile(0.95),
            Metric::TokensPerSecond if self.count > 0 => {
                Some(self.tokens as f64 / (counted_ms.max(1) as f64 / 1_000.0))
            }
            _ => self.unit_value(),
        }
    }
}
