//! A bound on error over experiments without end: each gets a part of it, and promotions earn more.
//!
//! e-LOND (Xu & Ramdas, arXiv 2311.06412): experiment t is run at the level α·γ(t)·(promotions before it + 1), with
//! Σ γ(t) = 1. Then of all promotions up to any time the expected share of false ones (the false discovery rate) is at most
//! α. Why it holds here: an experiment is told its level before it begins, and given all that went before promotes falsely
//! with at most that probability. Promotions at the end number at least one more than those before a promotion, so the
//! level's factor cancels, and α·γ(t) is all that experiment t can add.
//!
//! Owns the arithmetic. What counts as an experiment, and where the counts are kept, is the host's business.

use serde::{Deserialize, Serialize};

use super::Level;

/// What was spent and earned so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnlineBound {
    /// Experiments begun.
    pub experiments: u64,
    /// Challengers promoted, also those that were taken back.
    pub promotions: u64,
}

impl OnlineBound {
    /// The level of the next experiment, when at most `bound` of all promotions may be expected to be false.
    pub fn next_level(&self, bound: Level) -> Level {
        let earned = self.promotions.min(self.experiments) as f64 + 1.0;
        let level = bound.probability() * part(self.experiments.saturating_add(1)) * earned;
        // Above the bound itself nothing would be gained but doubt.
        Level::new(level.clamp(f64::MIN_POSITIVE, bound.probability())).unwrap_or(bound)
    }

    /// An experiment begins at the level of [`Self::next_level`].
    pub fn begun(&mut self) {
        self.experiments = self.experiments.saturating_add(1);
    }

    /// It promoted a challenger.
    pub fn promoted(&mut self) {
        self.promotions = self.promotions.saturating_add(1);
    }
}

/// γ(t) = 1/√t − 1/√(t+1), for t from 1: they add up to 1, and fall with the power 1.5, so that the thousandth experiment
/// needs some three times the evidence of the first and not more.
fn part(experiment: u64) -> f64 {
    let (before, after) = ((experiment as f64).sqrt(), (experiment as f64 + 1.0).sqrt());
    // The difference above, without cancellation.
    1.0 / (before * after * (before + after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_to_one_and_never_more() {
        let sum: f64 = (1..=1_000_000).map(part).sum();
        assert!((sum - (1.0 - 1.0 / 1_000_001f64.sqrt())).abs() < 1e-9, "{sum}");
        assert!((2..1_000).all(|experiment| part(experiment) < part(experiment - 1)));
        assert!(part(u64::MAX) > 0.0);
    }

    #[test]
    fn levels_fall_with_experiments_and_rise_with_promotions_up_to_the_bound() {
        let mut bound = OnlineBound::default();
        let first = bound.next_level(Level::FIVE_PERCENT);
        assert!((first.probability() - 0.05 * (1.0 - 0.5f64.sqrt())).abs() < 1e-12);
        (0..9).for_each(|_| bound.begun());
        let tenth = bound.next_level(Level::FIVE_PERCENT);
        assert!(tenth < first);
        bound.promoted();
        assert_eq!(bound.next_level(Level::FIVE_PERCENT).probability(), 2.0 * tenth.probability());
        (0..200).for_each(|_| bound.promoted());
        assert!(bound.next_level(Level::FIVE_PERCENT) <= Level::FIVE_PERCENT);
        let thousandth = OnlineBound { experiments: 999, promotions: 0 }.next_level(Level::FIVE_PERCENT);
        assert!(thousandth.threshold() < 3.5 * first.threshold());
    }
}
