//! One challenger against the incumbent in one metric: the statistic that fits metric and regime, seen as gains.
//!
//! Whatever the statistic, the questions are the same: is the gain shown to be above, or below, a number; which gains are
//! not excluded; what is it about. Every answer holds at all looks together.

use serde::{Deserialize, Serialize};

use super::metric::{Metric, Scale};
use super::regime::Regime;
use super::statistics::{
    AsymptoticContrast, BettingContrast, DifferenceByArm, Increment, Interval, Level, PairedBlocks, QuantileContrast,
};

/// Means of arms are known to one part in this.
const BREAKS: usize = 200;

/// Evidence about one challenger's gain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Comparison {
    /// Randomised per unit, values from 0 to 1: exact.
    Bounded(BettingContrast),
    /// Randomised per unit, values without bounds: for large samples.
    Unbounded(AsymptoticContrast),
    /// Randomised per unit, 95th percentiles of a time: exact, to 1 %.
    Percentile(QuantileContrast),
    /// Values from 0 to 1 that arrive whenever they like: exact, by arm.
    ByArm(DifferenceByArm),
    /// Arms in turn, one pair of blocks at a time: exact.
    Blocks(PairedBlocks),
}

/// What one counted unit brings to a comparison.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Challenger's or incumbent's.
    pub is_challenger: bool,
    /// Probability, within the pair, of the challenger.
    pub propensity: f64,
    /// The metric's value (see [`Metric::value`]).
    pub value: f64,
    /// The merit that was expected beforehand.
    pub expected: f64,
}

impl Comparison {
    /// What fits. `gains` are those that questions will be about; `both_sides` is the level for both bounds together.
    pub fn new(metric: &Metric, regime: &Regime, gains: &[f64], both_sides: Level) -> Self {
        match (regime, metric) {
            (_, Metric::Feedback) => Comparison::ByArm(DifferenceByArm::new(both_sides, BREAKS)),
            (Regime::Switchback(_), _) => Comparison::Blocks(PairedBlocks::default()),
            (Regime::PerRequest, Metric::LatencyP95) => Comparison::Percentile(QuantileContrast::new(0.95)),
            (Regime::PerRequest, metric) if metric.scale() == Scale::Share => {
                Comparison::Bounded(BettingContrast::new(gains))
            }
            (Regime::PerRequest, _) => Comparison::Unbounded(AsymptoticContrast::default()),
        }
    }

    /// One unit. Values that the statistic cannot take are left out; [`Metric::value`] gives none.
    pub fn observe(&mut self, metric: &Metric, seen: &Seen) {
        let merit = metric.merit(seen.value);
        let increment = || {
            let expected = if metric.scale() == Scale::Share { seen.expected.clamp(0.0, 1.0) } else { seen.expected };
            Increment::new(seen.is_challenger, seen.propensity, merit, expected)
        };
        // A metric's values are within its statistic's bounds, so there is no error to pass on.
        let _ = match self {
            Comparison::Bounded(contrast) => increment().and_then(|increment| contrast.observe(&increment)),
            Comparison::Unbounded(contrast) => increment().map(|increment| contrast.observe(&increment)),
            Comparison::Percentile(contrast) => contrast.observe(seen.is_challenger, seen.value),
            Comparison::ByArm(difference) => difference.observe(seen.is_challenger, merit),
            Comparison::Blocks(_) => Ok(()),
        };
    }

    /// One pair of blocks: challenger's merit minus incumbent's.
    pub fn observe_pair(&mut self, gain: f64) {
        if let Comparison::Blocks(pairs) = self {
            let _ = pairs.observe(gain);
        }
    }

    /// Whether it is shown, with `side`, that the gain is above `gain`.
    pub fn is_above(&self, gain: f64, side: Level) -> bool {
        match self {
            Comparison::Bounded(contrast) => contrast.is_above(gain, side),
            Comparison::Percentile(contrast) => contrast.is_below((-gain).exp(), side),
            Comparison::Blocks(pairs) => pairs.ln_above(gain) >= side.threshold(),
            _ => self.interval(side).is_some_and(|gains| gains.lower >= gain),
        }
    }

    /// Whether it is shown, with `side`, that the gain is below `gain`.
    pub fn is_below(&self, gain: f64, side: Level) -> bool {
        match self {
            Comparison::Bounded(contrast) => contrast.is_below(gain, side),
            Comparison::Percentile(contrast) => contrast.is_above((-gain).exp(), side),
            Comparison::Blocks(pairs) => pairs.ln_below(gain) >= side.threshold(),
            _ => self.interval(side).is_some_and(|gains| gains.upper <= gain),
        }
    }

    /// Gains that are not excluded, each side with `side`; `None` while nothing is. By arm the level is the one that it was
    /// made with.
    pub fn interval(&self, side: Level) -> Option<Interval> {
        let interval = match self {
            Comparison::Bounded(contrast) => contrast.interval(side),
            Comparison::Unbounded(contrast) => contrast.interval(side)?,
            Comparison::Percentile(contrast) => contrast.interval(side).map(|ratio| -ratio.ln()),
            Comparison::ByArm(difference) => difference.interval(),
            Comparison::Blocks(pairs) => pairs.interval(side),
        };
        (interval.lower.is_finite() || interval.upper.is_finite()).then_some(interval)
    }

    /// The gain so far.
    pub fn estimate(&self) -> Option<f64> {
        match self {
            Comparison::Bounded(contrast) => contrast.estimate(),
            Comparison::Unbounded(contrast) => contrast.estimate(),
            Comparison::Percentile(contrast) => contrast.estimate().map(|ratio| -ratio.ln()),
            Comparison::ByArm(difference) => difference.estimate(),
            Comparison::Blocks(pairs) => pairs.estimate(),
        }
    }

    /// Observations: units of both arms, or pairs of blocks.
    pub fn count(&self) -> u64 {
        match self {
            Comparison::Bounded(contrast) => contrast.count(),
            Comparison::Unbounded(contrast) => contrast.count(),
            Comparison::Percentile(contrast) => contrast.count(),
            Comparison::ByArm(difference) => difference.count(),
            Comparison::Blocks(pairs) => pairs.count(),
        }
    }
}
