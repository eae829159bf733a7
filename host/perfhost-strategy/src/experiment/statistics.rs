//! Statistics that hold however often one looks: confidence sequences and sequential tests.
//!
//! An ordinary interval or p-value is valid at one sample size fixed beforehand. Everything here is valid at all sample
//! sizes at once: the probability that a bound is *ever* wrong, over all looks, is at most its [`Level`]. So an experiment
//! may be watched live and ended as soon as it is clear.
//!
//! Owns the numbers only; which of them decides what is [`super::verdict`]'s business. State is bounded, values that are not
//! finite are refused, and nothing overflows at 10⁸ observations: capitals are kept as logarithms.
//!
//! - [`betting`]: mean of bounded values, exact (one arm); [`difference`]: of two such arms by a union bound
//! - [`contrast`]: difference of two randomised arms, bounded values, exact
//! - [`asymptotic`]: the same for values without bounds, and means; [`adjustment`]: what both subtract beforehand
//! - [`quantile`]: percentiles of one arm, and the comparison of two arms' percentiles
//! - [`block`]: arms that take turns in time, one observation a block
//! - [`sample_ratio`]: whether arms got the traffic they should
//! - [`online`]: one bound over experiments without end
//! - [`bets`], [`mixture`], [`special`], [`level`]: what these are made of

pub mod adjustment;
pub mod asymptotic;
pub mod bets;
pub mod betting;
pub mod block;
pub mod contrast;
pub mod difference;
pub mod level;
pub mod mixture;
pub mod online;
pub mod quantile;
pub mod sample_ratio;
pub mod special;

pub use adjustment::Baseline;
pub use asymptotic::{AsymptoticContrast, AsymptoticMean};
pub use betting::{BettingSequence, Sides};
pub use block::PairedBlocks;
pub use contrast::{BettingContrast, Increment};
pub use difference::DifferenceByArm;
pub use level::{Interval, Level};
pub use online::OnlineBound;
pub use quantile::{Histogram, QuantileContrast};
pub use sample_ratio::SampleRatio;

use thiserror::Error;

/// Why a value was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum ValueError {
    /// Not a finite number within the bounds.
    #[error("statistics: {found} is not a number from {lower} to {upper}")]
    OutOfBounds {
        /// The value.
        found: f64,
        /// Smallest allowed.
        lower: f64,
        /// Largest allowed.
        upper: f64,
    },
}

/// `value` when it is a number from `lower` to `upper`.
pub(crate) fn within(value: f64, lower: f64, upper: f64) -> Result<f64, ValueError> {
    if value >= lower && value <= upper {
        Ok(value)
    } else {
        Err(ValueError::OutOfBounds { found: value, lower, upper })
    }
}
