//! What is compared: each metric with its value of one request, its direction, its bounds and the statistic that fits.
//!
//! Inside, every metric is turned so that more is better: its *merit*. The *gain* of a challenger is its merit minus the
//! incumbent's. Times are compared as ratios: their merit is −ln, so that a gain of 0.1 is a tenth less time, about.

use serde::{Deserialize, Serialize};

use super::outcome::{Outcome, Slo};
use super::statistics::Interval;

/// A metric that arms can be compared by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Share of requests that kept to the SLO.
    Goodput,
    /// Share of requests that failed.
    ErrorRate,
    /// 95th percentile of response times; a failure is as slow as its deadline.
    LatencyP95,
    /// Geometric mean of times to the first token; a failure counts with its deadline.
    TimeToFirstToken,
    /// Output tokens per second: of one request while it runs, or of all requests in a block. A failure has none.
    TokensPerSecond,
    /// Mean cost of a request.
    Cost,
    /// Mean score that people gave, from 0 to 1, among requests that got one.
    Feedback,
    /// Weighted mean of response time, resources and quality.
    Mix(Mix),
}

/// Weights and scales of [`Metric::Mix`]. Each part is 1 at best and 0 at worst.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mix {
    /// Weight of 1 − response time/`slowest_ms`.
    pub response_time: f64,
    /// Weight of 1 − cost/`dearest`.
    pub resources: f64,
    /// Weight of quality; where nothing judged it as the answer ended (the host has no judge), of having been answered. What
    /// people think of answers comes too late for this: [`Metric::Feedback`].
    pub quality: f64,
    /// Response time in milliseconds at which that part is 0.
    pub slowest_ms: f64,
    /// Cost of a request at which that part is 0.
    pub dearest: f64,
}

impl Default for Mix {
    fn default() -> Self {
        Self { response_time: 0.4, resources: 0.3, quality: 0.3, slowest_ms: 10_000.0, dearest: 1.0 }
    }
}

/// How a metric's effects read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Difference of shares or scores from 0 to 1.
    Share,
    /// Ratio of times.
    Ratio,
    /// Difference in the metric's own unit.
    Unit,
}

impl Metric {
    /// Its name in configuration, API and reports.
    pub fn name(&self) -> &'static str {
        match self {
            Metric::Goodput => "goodput",
            Metric::ErrorRate => "error-rate",
            Metric::LatencyP95 => "latency-p95",
            Metric::TimeToFirstToken => "time-to-first-token",
            Metric::TokensPerSecond => "tokens-per-second",
            Metric::Cost => "cost",
            Metric::Feedback => "feedback",
            Metric::Mix(_) => "mix",
        }
    }

    /// How its effects read.
    pub fn scale(&self) -> Scale {
        match self {
            Metric::Goodput | Metric::ErrorRate | Metric::Feedback | Metric::Mix(_) => Scale::Share,
            Metric::LatencyP95 | Metric::TimeToFirstToken => Scale::Ratio,
            Metric::TokensPerSecond | Metric::Cost => Scale::Unit,
        }
    }

    /// Whether less of it is better.
    pub fn is_less_better(&self) -> bool {
        matches!(self, Metric::ErrorRate | Metric::LatencyP95 | Metric::TimeToFirstToken | Metric::Cost)
    }

    /// One request's figure, always finite: a share or score from 0 to 1, milliseconds, ln milliseconds for times that are
    /// averaged, tokens per second, or cost. `None` when the request says nothing about the metric.
    pub fn value(&self, outcome: &Outcome, slo: &Slo) -> Option<f64> {
        let is_answered = outcome.is_answered(slo);
        match self {
            Metric::Goodput => Some(f64::from(outcome.is_good(slo))),
            Metric::ErrorRate => Some(f64::from(!is_answered)),
            Metric::LatencyP95 => Some(outcome.latency_ms(slo)),
            Metric::TimeToFirstToken => {
                let deadline_ms = slo.deadline_ms as f64;
                let first_ms = if is_answered { outcome.first_token_ms() } else { deadline_ms };
                Some(between(first_ms, 0.01, deadline_ms, deadline_ms).ln())
            }
            Metric::TokensPerSecond => {
                let seconds = between(outcome.response_ms, 1.0, f64::MAX, f64::MAX) / 1_000.0;
                Some(if is_answered { f64::from(outcome.output_tokens) / seconds } else { 0.0 })
            }
            Metric::Cost => Some(between(outcome.cost, 0.0, 1e12, 1e12)),
            Metric::Feedback => None,
            Metric::Mix(mix) => {
                let used = |found: f64, worst: f64| 1.0 - between(found / worst, 0.0, 1.0, 1.0);
                let quality = outcome.quality.map_or(f64::from(is_answered), |score| between(score, 0.0, 1.0, 0.0));
                let sum = mix.response_time * used(outcome.latency_ms(slo), mix.slowest_ms)
                    + mix.resources * used(outcome.cost, mix.dearest)
                    + mix.quality * quality;
                Some(between(sum / (mix.response_time + mix.resources + mix.quality), 0.0, 1.0, 0.0))
            }
        }
    }

    /// The merit of a mean of [`Metric::value`]s (of their 95th percentile for [`Metric::LatencyP95`]).
    pub fn merit(&self, value: f64) -> f64 {
        match self {
            Metric::ErrorRate => 1.0 - value,
            Metric::LatencyP95 => -value.max(0.01).ln(),
            Metric::TimeToFirstToken | Metric::Cost => -value,
            _ => value,
        }
    }

    /// The gain that an improvement amounts to: 0.02 is two points of a share, or 2 % of a time, or 0.02 units.
    pub fn gain_of(&self, improvement: f64) -> f64 {
        if self.scale() == Scale::Ratio { -(1.0 - improvement).max(1e-6).ln() } else { improvement }
    }

    /// The (negative) gain that a worsening amounts to: 0.1 is ten points of a share, or 10 % more time, or 0.1 units.
    pub fn loss_of(&self, worsening: f64) -> f64 {
        if self.scale() == Scale::Ratio { -(worsening.max(0.0).ln_1p()) } else { -worsening }
    }

    /// A gain as the metric's own change, challenger against incumbent: a difference, or for times a ratio minus 1. So
    /// −0.2 for a latency is 20 % less of it.
    pub fn change(&self, gain: f64) -> f64 {
        match self.scale() {
            Scale::Ratio => (-gain).exp() - 1.0,
            _ if self.is_less_better() => -gain,
            _ => gain,
        }
    }

    /// An interval of gains as one of changes.
    pub fn changes(&self, gains: Interval) -> Interval {
        gains.map(|gain| self.change(gain))
    }
}

/// `found` within bounds; `worst` when it is no number.
fn between(found: f64, lowest: f64, highest: f64, worst: f64) -> f64 {
    if found.is_nan() { worst } else { found.clamp(lowest, highest) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::outcome::Ending;

    const ALL: [Metric; 7] = [
        Metric::Goodput,
        Metric::ErrorRate,
        Metric::LatencyP95,
        Metric::TimeToFirstToken,
        Metric::TokensPerSecond,
        Metric::Cost,
        Metric::Mix(Mix { response_time: 0.4, resources: 0.3, quality: 0.3, slowest_ms: 10_000.0, dearest: 1.0 }),
    ];

    fn outcome(response_ms: f64, ending: Ending) -> Outcome {
        Outcome { ending, response_ms, ttft_ms: Some(response_ms / 4.0), output_tokens: 60, cost: 0.1, quality: None }
    }

    #[test]
    fn a_faster_answer_is_never_worth_less_and_a_failure_never_more() {
        let slo = Slo::default();
        for metric in ALL {
            let merit = |outcome: &Outcome| metric.merit(metric.value(outcome, &slo).unwrap());
            let (fast, slow) = (outcome(2_000.0, Ending::Answered), outcome(20_000.0, Ending::Answered));
            let failed = Outcome { output_tokens: 0, ..outcome(10.0, Ending::Failed) };
            assert!(merit(&fast) >= merit(&slow), "{}", metric.name());
            assert!(merit(&slow) >= merit(&failed), "{}", metric.name());
        }
    }

    #[test]
    fn figures_that_are_no_numbers_count_as_the_worst() {
        let slo = Slo::default();
        for metric in ALL {
            for wild in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
                let found =
                    Outcome { ttft_ms: Some(wild), cost: wild, quality: Some(wild), ..outcome(wild, Ending::Answered) };
                let value = metric.value(&found, &slo).unwrap();
                assert!(value.is_finite(), "{} of {wild}: {value}", metric.name());
                assert!(metric.scale() != Scale::Share || (0.0..=1.0).contains(&value));
            }
        }
    }

    #[test]
    fn gains_read_back_as_changes() {
        assert!((Metric::LatencyP95.change(Metric::LatencyP95.gain_of(0.2)) + 0.2).abs() < 1e-12);
        assert!((Metric::LatencyP95.change(Metric::LatencyP95.loss_of(0.2)) - 0.2).abs() < 1e-12);
        assert_eq!(Metric::ErrorRate.change(Metric::ErrorRate.loss_of(0.01)), 0.01);
        assert_eq!(Metric::Goodput.change(Metric::Goodput.gain_of(0.01)), 0.01);
    }
}
