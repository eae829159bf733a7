//! Spikes: values far from what the hour before was like.
//!
//! The robust z-score of Iglewicz and Hoaglin ("How to detect and handle outliers", 1993) over a trailing window, with the
//! median absolute deviation for the spread, so that spikes do not hide each other. One odd point is no anomaly: several
//! in a row are asked for, as alerts ask for a duration.

use std::collections::VecDeque;

use serde::Serialize;

use crate::robust::{deviation, floor, median};
use crate::series::Series;

/// When a value counts as far off.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SpikeRule {
    /// Points before it that say what is usual.
    pub window: usize,
    /// Points of them that there must be.
    pub least_points: usize,
    /// Deviations from the median.
    pub threshold: f64,
    /// Points in a row.
    pub in_a_row: usize,
    /// The spread is taken to be at least this share of the median, so that a constant series does not make every change
    /// an anomaly.
    pub least_spread: f64,
    /// And at least this, in the unit of the values, for a series whose median is (nearly) nothing.
    pub floor: f64,
}

impl Default for SpikeRule {
    fn default() -> Self {
        Self { window: 60, least_points: 30, threshold: 6.0, in_a_row: 2, least_spread: 0.02, floor: 0.0 }
    }
}

impl SpikeRule {
    /// The usual rule with the [`crate::robust::floor`] of a unit.
    pub fn for_unit(unit: &str) -> Self {
        Self { floor: floor(unit), ..Self::default() }
    }
}

/// A stretch of values far from the usual.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spike {
    /// Its first point.
    pub from_ms: u64,
    /// Its last.
    pub to_ms: u64,
    /// Points in it.
    pub points: usize,
    /// The value farthest off.
    pub value: f64,
    /// What was usual before it.
    pub usual: f64,
    /// How far off, in deviations; negative below.
    pub z: f64,
}

/// All spikes in a series, in order.
pub fn spikes(series: &Series, rule: &SpikeRule) -> Vec<Spike> {
    let mut found = Vec::new();
    let mut before: VecDeque<f64> = VecDeque::with_capacity(rule.window + 1);
    let mut open: Option<Spike> = None;
    for point in series.points() {
        let judged = (before.len() >= rule.least_points.max(1)).then(|| {
            let values: Vec<f64> = before.iter().copied().collect();
            let usual = median(&values).unwrap_or_default();
            let spread = deviation(&values, usual).max(usual.abs() * rule.least_spread).max(rule.floor);
            (usual, (point.value - usual) / spread, spread)
        });
        // Against no spread at all nothing can be measured.
        let judged = judged.filter(|(.., spread)| *spread > 0.0).map(|(usual, z, _)| (usual, z));
        let is_far = judged.is_some_and(|(_, z)| z.abs() >= rule.threshold);
        open = match (judged, open) {
            (Some((_, z)), Some(mut spike)) if is_far && z.signum() == spike.z.signum() => {
                spike.to_ms = point.at_ms;
                spike.points += 1;
                if z.abs() > spike.z.abs() {
                    (spike.value, spike.z) = (point.value, z);
                }
                Some(spike)
            }
            (judged, before_it) => {
                found.extend(before_it.filter(|spike| spike.points >= rule.in_a_row));
                judged.filter(|_| is_far).map(|(usual, z)| Spike {
                    from_ms: point.at_ms,
                    to_ms: point.at_ms,
                    points: 1,
                    value: point.value,
                    usual,
                    z,
                })
            }
        };
        before.push_back(point.value);
        if before.len() > rule.window {
            before.pop_front();
        }
    }
    found.extend(open.filter(|spike| spike.points >= rule.in_a_row));
    found
}
