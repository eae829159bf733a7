//! One metric of an experiment: its comparisons of every challenger with the incumbent, and each arm's figures.

use serde::{Deserialize, Serialize};

use super::comparison::{Comparison, Seen};
use super::metric::{Metric, Scale};
use super::regime::Regime;
use super::statistics::adjustment::MOST_COVARIATES;
use super::statistics::{AsymptoticMean, Baseline, Level};
use super::tally::Tally;

/// One metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    metric: Metric,
    baseline: Baseline,
    /// By challenger: place of the arm in the stage, minus one.
    comparisons: Vec<Comparison>,
    /// Means of what was counted, by place; of block values in a switchback.
    arms: Vec<AsymptoticMean>,
}

impl Measure {
    /// For a stage with this many arms, the incumbent first. `gains` and `both_sides` as for [`Comparison::new`].
    pub fn new(metric: Metric, regime: &Regime, arms: usize, gains: &[f64], both_sides: Level) -> Self {
        // Shares start at one half; for anything else the first value says where it lies.
        let start = (metric.scale() == Scale::Share).then_some(0.5);
        Self {
            metric,
            baseline: Baseline::new(start),
            comparisons: vec![Comparison::new(&metric, regime, gains, both_sides); arms.saturating_sub(1)],
            arms: vec![AsymptoticMean::default(); arms],
        }
    }

    /// The metric.
    pub fn metric(&self) -> &Metric {
        &self.metric
    }

    /// The comparison of the challenger at `place` (1 and up).
    pub fn comparison(&self, place: usize) -> Option<&Comparison> {
        self.comparisons.get(place.checked_sub(1)?)
    }

    /// Figure of the arm at `place` in the metric's unit: the mean of its units or blocks, geometric for times to the first
    /// token; the 95th percentile where that is compared.
    pub fn figure(&self, place: usize) -> Option<f64> {
        if let Some(Comparison::Percentile(contrast)) = self.comparisons.get(place.saturating_sub(1)) {
            return contrast.arm(place > 0).quantile(0.95);
        }
        let mean = self.arms.get(place)?.mean()?;
        Some(if self.metric == Metric::TimeToFirstToken { mean.exp() } else { mean })
    }

    /// Units or blocks of the arm at `place`.
    pub fn count(&self, place: usize) -> u64 {
        self.arms.get(place).map_or(0, AsymptoticMean::count)
    }

    /// One unit of the arm at `place`; `shares` are all places' shares of counted units.
    pub fn observe(&mut self, place: usize, shares: &[f64], value: f64, covariates: &[f64; MOST_COVARIATES]) {
        let expected = self.baseline.predict(covariates);
        if let Some(expected) = expected {
            for (challenger, comparison) in (1..).zip(&mut self.comparisons) {
                let is_challenger = place == challenger;
                let (Some(ours), Some(theirs)) = (shares.get(challenger), shares.first()) else { continue };
                if is_challenger || place == 0 {
                    let propensity = ours / (ours + theirs);
                    comparison.observe(&self.metric, &Seen { is_challenger, propensity, value, expected });
                }
            }
        }
        self.baseline.observe(self.metric.merit(value), covariates);
        self.note(place, value);
    }

    /// One round of blocks, by place; none for an arm that is out. Returns whether it could be taken: every block had
    /// something to tell.
    pub fn observe_round(&mut self, blocks: &[Option<&Tally>], counted_ms: u64) -> bool {
        let value = |block: &Option<&Tally>| block.map(|block| block.block_value(&self.metric, counted_ms));
        let values: Vec<Option<Option<f64>>> = blocks.iter().map(value).collect();
        if values.contains(&Some(None)) {
            return false;
        }
        let values: Vec<Option<f64>> = values.into_iter().map(Option::flatten).collect();
        let merit = |place: usize| values.get(place).copied().flatten().map(|value| self.metric.merit(value));
        for (challenger, comparison) in (1..).zip(&mut self.comparisons) {
            if let (Some(ours), Some(theirs)) = (merit(challenger), merit(0)) {
                comparison.observe_pair(ours - theirs);
            }
        }
        for (place, value) in values.iter().enumerate() {
            if let Some(value) = value {
                self.note(place, *value);
            }
        }
        true
    }

    fn note(&mut self, place: usize, value: f64) {
        if let Some(arm) = self.arms.get_mut(place) {
            // A metric's values are finite.
            let _ = arm.observe(value);
        }
    }
}
