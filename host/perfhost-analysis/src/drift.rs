//! Drift: a level that has changed and stays changed.
//!
//! A two-sided cumulative sum (Page, "Continuous inspection schemes", Biometrika 1954) over values standardised by the
//! median and deviation of the first half of the series; single outliers are clipped, and for correlated neighbours the
//! deviation is raised by √((1+ρ)/(1−ρ)). The change must also be there in the medians before and after it.

use serde::Serialize;

use crate::robust::{deviation, floor, median, neighbour_correlation};
use crate::series::Series;

/// When a level counts as changed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct DriftRule {
    /// Points that there must be.
    pub least_points: usize,
    /// Points after the change that there must be.
    pub least_after: usize,
    /// What a value may be off without counting, in deviations.
    pub allowance: f64,
    /// The sum at which a change is believed, in deviations.
    pub threshold: f64,
    /// The change of the median that matters, as a share of the median before.
    pub least_change: f64,
    /// The deviation is taken to be at least this, in the unit of the values. A median before that is not above it counts
    /// as nothing: a change from nothing has no share, and matters when it is above this.
    pub floor: f64,
}

impl Default for DriftRule {
    fn default() -> Self {
        Self { least_points: 60, least_after: 10, allowance: 0.5, threshold: 12.0, least_change: 0.15, floor: 0.0 }
    }
}

impl DriftRule {
    /// The usual rule with the [`crate::robust::floor`] of a unit.
    pub fn for_unit(unit: &str) -> Self {
        Self { floor: floor(unit), ..Self::default() }
    }
}

/// A changed level.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Drift {
    /// When the change began.
    pub from_ms: u64,
    /// Median before it.
    pub before: f64,
    /// Median since.
    pub after: f64,
    /// Change relative to the median before; `None` where that is nothing.
    pub relative_change: Option<f64>,
    /// Points since the change.
    pub points_after: usize,
}

/// The change of level in the second half of a series, if there is one.
pub fn drift(series: &Series, rule: &DriftRule) -> Option<Drift> {
    if series.len() < rule.least_points.max(4) {
        return None;
    }
    let values = series.values();
    let half = values.len() / 2;
    let center = median(&values[..half])?;
    let correlation = neighbour_correlation(&values[..half]);
    let spread = deviation(&values[..half], center) * ((1.0 + correlation) / (1.0 - correlation)).sqrt();
    let spread = spread.max(center.abs() * 0.02).max(rule.floor);
    if spread <= 0.0 {
        return None;
    }
    let (mut up, mut down) = ((0.0_f64, half), (0.0_f64, half));
    for (at, value) in values.iter().enumerate().skip(half) {
        let z = ((value - center) / spread).clamp(-3.0, 3.0);
        for (sum, push) in [(&mut up, z), (&mut down, -z)] {
            sum.0 = (sum.0 + push - rule.allowance).max(0.0);
            if sum.0 == 0.0 {
                sum.1 = at + 1;
            }
        }
    }
    // What counts is the state at the end: a change that went away again was a spike.
    let from = [up, down].into_iter().filter(|sum| sum.0 >= rule.threshold).map(|sum| sum.1).min()?;
    let points_after = values.len() - from;
    let after = median(values.get(from..)?)?;
    let change = after - center;
    let relative_change = (center.abs() > rule.floor).then(|| change / center.abs());
    let matters = relative_change.map_or(change.abs() > rule.floor, |share| share.abs() >= rule.least_change);
    (points_after >= rule.least_after && matters).then(|| Drift {
        from_ms: series.points()[from].at_ms,
        before: center,
        after,
        relative_change,
        points_after,
    })
}
