//! What is usual: level and spread of a series, and how restless it is.

use serde::Serialize;

use crate::robust::{deviation, median};
use crate::series::Series;

/// Points that a baseline needs.
pub const LEAST_POINTS: usize = 30;

/// What is usual for a series.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Baseline {
    /// Points that it is made of.
    pub points: usize,
    /// Median.
    pub median: f64,
    /// Median absolute deviation, scaled to the standard deviation of normal noise.
    pub deviation: f64,
    /// Three deviations below the median; not below 0.
    pub usual_low: f64,
    /// Three deviations above it.
    pub usual_high: f64,
    /// Size of the steps from point to point against the level: the deviation of the differences from 0 over √2, divided by the
    /// median. A slow change does not raise it.
    pub volatility: f64,
    /// The same in a word.
    pub restlessness: Restlessness,
}

/// How much a series jumps from point to point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Restlessness {
    /// By less than a tenth of its level.
    Calm,
    /// By less than three tenths.
    Moderate,
    /// By more.
    Volatile,
}

/// The baseline; `None` below [`LEAST_POINTS`].
pub fn baseline(series: &Series) -> Option<Baseline> {
    if series.len() < LEAST_POINTS {
        return None;
    }
    let values = series.values();
    let median = median(&values)?;
    let deviation = deviation(&values, median);
    let steps: Vec<f64> = values.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let step = crate::robust::deviation(&steps, 0.0) / std::f64::consts::SQRT_2;
    let volatility = if median > 0.0 { step / median } else { 0.0 };
    let restlessness = match volatility {
        calm if calm < 0.1 => Restlessness::Calm,
        moderate if moderate < 0.3 => Restlessness::Moderate,
        _ => Restlessness::Volatile,
    };
    Some(Baseline {
        points: values.len(),
        median,
        deviation,
        usual_low: (median - 3.0 * deviation).max(0.0),
        usual_high: median + 3.0 * deviation,
        volatility,
        restlessness,
    })
}
