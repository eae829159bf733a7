//! Where a series is going: the Theil–Sen line, and whether Mann–Kendall's test believes it.
//!
//! Sources: Theil 1950, Sen, "Estimates of the regression coefficient based on Kendall's tau", JASA 1968; Kendall, "Rank
//! correlation methods"; for correlated neighbours the variance is raised by (1+ρ)/(1−ρ), after Hamed and Rao, "A modified
//! Mann–Kendall trend test for autocorrelated data", J. Hydrology 1998, with the first lag only.

use serde::Serialize;

use crate::robust::{median, neighbour_correlation};
use crate::series::Series;

/// Points that a trend needs.
pub const LEAST_POINTS: usize = 20;

/// Points that a line is laid through; more are thinned first. Work grows with the square.
const MOST_POINTS: usize = 200;

/// How far from no trend the test must be, in deviations: one in a thousand by chance, both directions together.
const BELIEVED: f64 = 3.29;

/// A change below this share of the level is called none, however certain it is.
const LEAST_CHANGE: f64 = 0.05;

const HOUR_MS: f64 = 3_600_000.0;

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Upwards.
    Rising,
    /// Neither, as far as can be told.
    Steady,
    /// Downwards.
    Falling,
}

/// A line through a series.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Trend {
    /// Which way.
    pub direction: Direction,
    /// Change of the value per hour.
    pub slope_per_hour: f64,
    /// The line's value at the last point.
    pub level: f64,
    /// Change over the whole series, relative to the line's value at its beginning.
    pub relative_change: f64,
    /// Mann–Kendall's statistic in standard deviations; beyond ±3.29 it is believed.
    pub z: f64,
    /// Points that it was laid through.
    pub points: usize,
}

/// The trend; `None` below [`LEAST_POINTS`].
pub fn trend(series: &Series) -> Option<Trend> {
    if series.len() < LEAST_POINTS {
        return None;
    }
    let thin = series.thinned(MOST_POINTS);
    let points = thin.points();
    let start_ms = points.first()?.at_ms;
    let at: Vec<f64> = points.iter().map(|point| (point.at_ms - start_ms) as f64 / HOUR_MS).collect();
    let mut slopes = Vec::with_capacity(points.len() * points.len() / 2);
    let mut sign_sum = 0.0;
    for later in 1..points.len() {
        for earlier in 0..later {
            let rise = points[later].value - points[earlier].value;
            slopes.push(rise / (at[later] - at[earlier]));
            sign_sum += if rise == 0.0 { 0.0 } else { rise.signum() };
        }
    }
    let slope = median(&slopes)?;
    let rests: Vec<f64> = points.iter().zip(&at).map(|(point, at)| point.value - slope * at).collect();
    let begin = median(&rests)?;
    let count = points.len() as f64;
    let correlation = neighbour_correlation(&rests);
    let variance = count * (count - 1.0) * (2.0 * count + 5.0) / 18.0 * (1.0 + correlation) / (1.0 - correlation);
    let z = (sign_sum - sign_sum.clamp(-1.0, 1.0)) / variance.sqrt();
    let change = slope * at.last().copied().unwrap_or_default();
    // A series that begins at nothing is measured against what it came to.
    let base = begin.abs().max(change.abs() * 1e-3).max(f64::MIN_POSITIVE);
    let relative_change = change / base;
    let is_believed = z.abs() >= BELIEVED && relative_change.abs() >= LEAST_CHANGE;
    let direction = match is_believed {
        false => Direction::Steady,
        true if slope > 0.0 => Direction::Rising,
        true => Direction::Falling,
    };
    Some(Trend { direction, slope_per_hour: slope, level: begin + change, relative_change, z, points: points.len() })
}
