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

/// Rate of the exponential distribution that Kelly bets are assumed to have beforehand, and how it rises with the
/// logarithm of the squares seen: what has not shown by then is small. A Kelly bet is the effect over the variance of a
/// value, whatever the shares of the arms: 0.1 over 0.24, say, or 0.01 over 0.01. Chosen by simulation.
const PRIOR_RATE: f64 = 1.0;
const PRIOR_RATE_RISE: f64 = 0.4;

/// The Kelly bet to be expected from the past, for values y whose sum and sum of squares are given: ln(1 + λy) is about λy −
/// λ²y²/2, so an exponential prior on λ gives a normal posterior, cut off below zero, with mean (Σy − rate)/Σy² and
/// variance 1/Σy²; this is its mean. It stays small until there is something to bet on, and approaches the approximate
/// Kelly bet y̅/E[y²] (same paper, section B.3). As bets are linear, betting the mean of a posterior grows as betting all λ
/// at once and weighing them by the prior does (Cover 1991, "Universal portfolios"), but for the approximations.
pub fn expected_kelly(sum: f64, squares: f64) -> f64 {
    let squares = squares.max(1e-9);
    // A standard normal around t, cut off below zero, has mean t + φ(t)/Φ(t). ½(t + √(t² + 8/π)) is that at zero and for
    // large t, at worst 13 % more between, and up to a third less below zero, where there is little to bet on.
    const EIGHT_OVER_PI: f64 = 8.0 / std::f64::consts::PI;
    let ahead = sum - PRIOR_RATE - PRIOR_RATE_RISE * squares.ln_1p();
    0.5 * (ahead + (ahead * ahead + EIGHT_OVER_PI * squares).sqrt()) / squares
}
