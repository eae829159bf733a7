//! What happened in the course of an experiment: the effect as it was seen at each time, and what was decided.
//!
//! Bounded: when the trail is full every other point goes, so that the whole course stays in view.

use perfhost_strategy::experiment::Status;
use serde::{Deserialize, Serialize};

/// Points of one challenger's trail at most; an even number.
const MOST_POINTS: usize = 400;

/// Notes at most; later ones are not taken.
const MOST_NOTES: usize = 300;

/// First time between two points.
const BETWEEN_MS: u64 = 500;

/// The objective at one time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Point {
    /// Unix time in milliseconds.
    pub(super) at_ms: u64,
    /// The challenger's name.
    pub(super) challenger: String,
    /// The change so far.
    pub(super) change: Option<f64>,
    /// Smallest change that was not excluded.
    pub(super) lower: Option<f64>,
    /// Largest.
    pub(super) upper: Option<f64>,
    /// Units or rounds counted.
    pub(super) samples: u64,
    /// While the winner was confirmed.
    pub(super) is_confirming: bool,
}

/// Something that was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    /// Unix time in milliseconds.
    pub(super) at_ms: u64,
    /// For people.
    pub(super) what: String,
}

/// The course of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Trail {
    /// Oldest first.
    pub(super) points: Vec<Point>,
    /// Oldest first.
    pub(super) notes: Vec<Note>,
    between_ms: u64,
    noted_ms: u64,
}

impl Default for Trail {
    fn default() -> Self {
        Self { points: Vec::new(), notes: Vec::new(), between_ms: BETWEEN_MS, noted_ms: 0 }
    }
}

impl Trail {
    /// Notes how the objective stands, if it is time or something `has_happened`.
    pub(super) fn look(
        &mut self,
        now_ms: u64,
        is_confirming: bool,
        has_happened: bool,
        status: impl FnOnce() -> Status,
    ) {
        if !has_happened && now_ms.saturating_sub(self.noted_ms) < self.between_ms {
            return;
        }
        for effect in status().effects.into_iter().filter(|effect| effect.samples > 0) {
            self.noted_ms = now_ms;
            self.points.push(Point {
                at_ms: now_ms,
                challenger: effect.challenger,
                change: effect.change,
                lower: effect.lower,
                upper: effect.upper,
                samples: effect.samples,
                is_confirming,
            });
        }
        self.thin_out();
    }

    /// Notes what a promotion rests on: the look that decided it, as the next look is at fresh figures.
    pub(super) fn decided(&mut self, at_ms: u64, challenger: &str, change: f64, range: Option<(f64, f64)>) {
        let finite = |bound: f64| Some(bound).filter(|bound| bound.is_finite());
        let samples = self.points.last().map_or(0, |point| point.samples);
        self.points.push(Point {
            at_ms,
            challenger: challenger.to_owned(),
            change: finite(change),
            lower: range.and_then(|(lower, _)| finite(lower)),
            upper: range.and_then(|(_, upper)| finite(upper)),
            samples,
            is_confirming: false,
        });
        self.thin_out();
    }

    fn thin_out(&mut self) {
        if self.points.len() > MOST_POINTS {
            let mut times: Vec<u64> = self.points.iter().map(|point| point.at_ms).collect();
            times.dedup();
            let kept: Vec<u64> = times.into_iter().step_by(2).collect();
            self.points.retain(|point| kept.binary_search(&point.at_ms).is_ok());
            self.between_ms *= 2;
        }
    }

    /// Notes a decision.
    pub(super) fn note(&mut self, at_ms: u64, what: impl Into<String>) {
        if self.notes.len() < MOST_NOTES {
            self.notes.push(Note { at_ms, what: what.into() });
        }
    }
}
