//! Error probabilities, and the intervals that they belong to.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The probability, between 0 and 1, that a statement may be wrong at any look.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Level(f64);

/// A number that is no probability of error.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[error("statistics: error probability {0} must lie between 0 and 1, both excluded")]
pub struct LevelError(f64);

impl Level {
    /// One in twenty.
    pub const FIVE_PERCENT: Self = Self(0.05);
    /// One in a thousand.
    pub const ONE_IN_A_THOUSAND: Self = Self(0.001);

    /// A level; numbers outside 0 to 1, and both ends, are refused.
    pub fn new(probability: f64) -> Result<Self, LevelError> {
        if probability > 0.0 && probability < 1.0 { Ok(Self(probability)) } else { Err(LevelError(probability)) }
    }

    /// The probability.
    pub fn probability(self) -> f64 {
        self.0
    }

    /// An equal part of it for each of `parts` statements, so that all of them hold together with this level (union
    /// bound). Zero parts count as one.
    pub fn split(self, parts: usize) -> Self {
        Self((self.0 / parts.max(1) as f64).max(f64::MIN_POSITIVE))
    }

    /// What evidence has to reach, as a logarithm: ln(1/level). Ville's inequality: a test martingale that starts at 1 ever
    /// reaches 1/level with probability at most `level`.
    pub fn threshold(self) -> f64 {
        -self.0.ln()
    }
}

impl TryFrom<f64> for Level {
    type Error = LevelError;

    fn try_from(probability: f64) -> Result<Self, LevelError> {
        Self::new(probability)
    }
}

impl From<Level> for f64 {
    fn from(level: Level) -> f64 {
        level.0
    }
}

/// A range that a quantity lies in. Both ends belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Smallest value that is not excluded.
    pub lower: f64,
    /// Largest value that is not excluded.
    pub upper: f64,
}

impl Interval {
    /// Distance of the ends; negative for an interval that [`Interval::intersect`] left empty.
    pub fn width(self) -> f64 {
        self.upper - self.lower
    }

    /// Whether `value` is not excluded.
    pub fn contains(self, value: f64) -> bool {
        self.lower <= value && value <= self.upper
    }

    /// What both allow. A confidence sequence may be intersected with its own past and stays valid, as its error
    /// probability is for all times together; an empty result says that what is measured changed over time.
    pub fn intersect(self, other: Self) -> Self {
        Self { lower: self.lower.max(other.lower), upper: self.upper.min(other.upper) }
    }

    /// The same after `f`, which must rise or fall throughout.
    pub fn map(self, f: impl Fn(f64) -> f64) -> Self {
        let (a, b) = (f(self.lower), f(self.upper));
        Self { lower: a.min(b), upper: a.max(b) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_probabilities_and_split_evenly() {
        for wrong in [0.0, 1.0, -0.1, f64::NAN, f64::INFINITY] {
            assert!(Level::new(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Level::FIVE_PERCENT.split(2).probability(), 0.025);
        assert!((Level::FIVE_PERCENT.threshold() - 20f64.ln()).abs() < 1e-12);
        assert_eq!(serde_json::from_str::<Level>("1.5").ok(), None);
    }
}
