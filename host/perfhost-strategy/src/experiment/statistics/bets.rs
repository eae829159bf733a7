//! How much to bet: fractions that depend on the past only.
//!
//! A bet may use all that came before its observation and nothing of it; that makes a capital a martingale. How well it
//! is chosen decides how soon evidence gathers, never whether it is valid.

use serde::{Deserialize, Serialize};

use super::level::Level;

/// Mean and variance before a value is known, as weight of one observation (Waudby-Smith & Ramdas, section 3.2).
const PRIOR_MEAN: f64 = 0.5;
const PRIOR_VARIANCE: f64 = 0.25;

/// Running mean and variance of values from 0 to 1, pulled towards ½ and ¼ by one imagined observation.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Moments {
    count: u64,
    sum: f64,
    /// Σ (xᵢ − μ̂ᵢ)², each with the mean up to and including it.
    squares: f64,
}

impl Moments {
    /// Takes one value in.
    pub fn observe(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        self.squares += (value - self.mean()).powi(2);
    }

    /// How many values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// (½ + Σx)/(n + 1).
    pub fn mean(&self) -> f64 {
        (PRIOR_MEAN + self.sum) / (self.count as f64 + 1.0)
    }

    /// (¼ + Σ(xᵢ − μ̂ᵢ)²)/(n + 1).
    pub fn variance(&self) -> f64 {
        (PRIOR_VARIANCE + self.squares) / (self.count as f64 + 1.0)
    }

    /// Σx/n without the imagined observation; `None` before the first value.
    pub fn plain_mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

/// The predictable plug-in bet on the next value, λ = √(2 ln(1/α) / (σ̂² t ln(1+t))): good for intervals at all sample
/// sizes, and the same for every tested mean (Waudby-Smith & Ramdas 2024, arXiv 2010.09686, equation 26).
pub fn plug_in(past: &Moments, level: Level) -> f64 {
    let next = past.count() as f64 + 1.0;
    (2.0 * level.threshold() / (next * next.ln_1p() * past.variance())).sqrt()
}

/// The approximate Kelly bet, λ = y̅/E[y²]: grows fastest where y keeps its mean (same paper, section B.3). `mean` and
/// `square` are estimates, or sums over as many values, of y and of its square from the past; the latter is above zero.
pub fn approximate_kelly(mean: f64, square: f64) -> f64 {
    mean / square
}
