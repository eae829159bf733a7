//! Means, and differences of randomised arms, for values without known bounds.
//!
//! Like the ordinary large-sample interval these need a sample to be large, and unlike it they may be looked at after every
//! value: the boundary is that of a Brownian motion watched for ever. Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas 2024,
//! "Time-uniform central limit theory and asymptotic confidence sequences", arXiv 2103.06476, theorem 2.2 and, for one
//! side, appendix B.1; with the variance estimated from the values.

use serde::{Deserialize, Serialize};

use super::contrast::Increment;
use super::level::{Interval, Level};
use super::mixture::{one_sided_bound, one_sided_rho};
use super::{ValueError, within};

/// Fewer observations than this say nothing: the approximation is one for large samples.
pub const LEAST_COUNT: u64 = 100;

/// The bounds are tightest near this many observations.
const TIGHTEST_AT: f64 = 500.0;

/// A confidence sequence for one mean.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct AsymptoticMean {
    count: u64,
    mean: f64,
    /// Σ(x − x̅)², by Welford's recurrence.
    squares: f64,
}

impl AsymptoticMean {
    /// Takes in one finite value.
    pub fn observe(&mut self, value: f64) -> Result<(), ValueError> {
        let value = within(value, f64::MIN, f64::MAX)?;
        self.count += 1;
        let before = value - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (value - self.mean);
        Ok(())
    }

    /// How many values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their mean.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then_some(self.mean)
    }

    /// Means that are not excluded, each side with `side`; `None` below [`LEAST_COUNT`].
    pub fn interval(&self, side: Level) -> Option<Interval> {
        let margin = margin(self.count, self.squares, side)? / self.count as f64;
        Some(Interval { lower: self.mean - margin, upper: self.mean + margin })
    }
}

/// Evidence about the effect of a challenger on a value without bounds, from the same increments as
/// [`super::BettingContrast`]: Δ̂ = Σs/Σp(1−p), with variance Σ(s − p(1−p)Δ̂)².
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct AsymptoticContrast {
    count: u64,
    /// Σs, Σp(1−p), Σs², Σs·p(1−p), Σ(p(1−p))².
    sums: [f64; 5],
}

impl AsymptoticContrast {
    /// Takes in one observation.
    pub fn observe(&mut self, seen: &Increment) {
        let Increment { signed, overlap, .. } = *seen;
        self.count += 1;
        for (total, value) in
            self.sums.iter_mut().zip([signed, overlap, signed * signed, signed * overlap, overlap * overlap])
        {
            *total += value;
        }
    }

    /// Effects that are not excluded, each side with `side`; `None` below [`LEAST_COUNT`].
    pub fn interval(&self, side: Level) -> Option<Interval> {
        let estimate = self.estimate()?;
        let [_, weight, squares, cross, weights] = self.sums;
        // Lopsided arms hold as much as a smaller sample in equal shares.
        if 4.0 * weight < LEAST_COUNT as f64 {
            return None;
        }
        let variance = squares - 2.0 * estimate * cross + estimate * estimate * weights;
        let margin = margin(self.count, variance.max(0.0), side)? / weight;
        Some(Interval { lower: estimate - margin, upper: estimate + margin })
    }

    /// The overlap-weighted difference so far.
    pub fn estimate(&self) -> Option<f64> {
        (self.sums[1] > 0.0).then(|| self.sums[0] / self.sums[1])
    }

    /// Observations of both arms.
    pub fn count(&self) -> u64 {
        self.count
    }
}

/// How far a sum of `count` terms with variance `variance` in all may be from its mean.
fn margin(count: u64, variance: f64, side: Level) -> Option<f64> {
    if count < LEAST_COUNT {
        return None;
    }
    // Values that are all equal have no measured variance; nothing is that certain, so a trace is assumed.
    let variance = variance.max(f64::MIN_POSITIVE * 1e16);
    let rho = one_sided_rho(TIGHTEST_AT * variance / count as f64, side);
    Some(one_sided_bound(variance, side, rho))
}
