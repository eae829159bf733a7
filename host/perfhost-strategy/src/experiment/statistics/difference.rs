//! The difference of two arms' bounded means from one sequence an arm and a union bound.
//!
//! Each arm's sequence is valid whatever the other's does and whichever outcomes arrive first, so this holds where the
//! difference itself has no martingale: when the arm decides not only what an outcome is but when it arrives
//! (Lindon & Kallus 2026, arXiv 2603.25971). The price is a wider interval than [`super::contrast`]'s.

use serde::{Deserialize, Serialize};

use super::ValueError;
use super::betting::{BettingSequence, Sides};
use super::level::{Interval, Level};

/// Two arms, each with half of the level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DifferenceByArm {
    control: BettingSequence,
    challenger: BettingSequence,
}

impl DifferenceByArm {
    /// Two arms without observations; `breaks` as for [`BettingSequence::new`].
    pub fn new(level: Level, breaks: usize) -> Self {
        let arm = BettingSequence::new(level.split(2), Sides::Both, breaks);
        Self { control: arm.clone(), challenger: arm }
    }

    /// One value from 0 to 1 of one arm.
    pub fn observe(&mut self, is_challenger: bool, value: f64) -> Result<(), ValueError> {
        if is_challenger { self.challenger.observe(value) } else { self.control.observe(value) }
    }

    /// Challenger's mean minus control's: [Lᵦ − Uₐ, Uᵦ − Lₐ].
    pub fn interval(&self) -> Interval {
        let (control, challenger) = (self.control.interval(), self.challenger.interval());
        Interval { lower: challenger.lower - control.upper, upper: challenger.upper - control.lower }
    }

    /// Difference of the means so far; `None` until both arms have values.
    pub fn estimate(&self) -> Option<f64> {
        Some(self.challenger.mean()? - self.control.mean()?)
    }

    /// Values of both arms.
    pub fn count(&self) -> u64 {
        self.control.count() + self.challenger.count()
    }
}
