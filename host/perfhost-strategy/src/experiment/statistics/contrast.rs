//! The difference of two randomised arms for values from 0 to 1, by betting: exact, and the test that promotes.
//!
//! Each observation gives s = (A − p)(Y − m): A is 1 for the challenger, p the probability with which it was drawn, Y the
//! value, m a baseline known before (a running mean, or what prompt and load predict). As A was drawn by chance,
//! E[s | past] = p(1 − p)·Δ, whatever happens to Y's level over time: load, day and night, drift fall out. So for a
//! candidate effect δ, y = s − p(1 − p)δ has mean zero or less whenever the effect is at most δ, and betting on y > 0
//! with bets from the past is a test supermartingale. The weighting is by overlap p(1 − p), so that steps of a ramp with
//! few challengers count for what they tell.
//!
//! Sources: betting, Waudby-Smith & Ramdas, arXiv 2010.09686 (bets: [`super::bets::expected_kelly`]); weighting and baseline, Waudby-Smith
//! et al., arXiv 2103.06476; the baseline alters efficiency, never validity.
//!
//! What must hold: assignment by chance, values fed in an order that the arms do not decide
//! (see [`crate::experiment::settlement`]), and no influence of one request's arm on another's value.

use serde::{Deserialize, Serialize};

use super::bets::expected_kelly;
use super::level::{Interval, Level};
use super::{ValueError, within};

/// One observation of a randomised pair of arms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Increment {
    /// s = (A − p)(Y − m).
    pub signed: f64,
    /// p(1 − p).
    pub overlap: f64,
    /// Smallest and largest value that s could have taken, for values from 0 to 1.
    possible: (f64, f64),
}

impl Increment {
    /// `propensity` is the probability, strictly between 0 and 1, that the challenger was drawn.
    pub fn new(is_challenger: bool, propensity: f64, value: f64, baseline: f64) -> Result<Self, ValueError> {
        let propensity = within(propensity, 1e-6, 1.0 - 1e-6)?;
        let value = within(value, f64::MIN, f64::MAX)?;
        let baseline = within(baseline, f64::MIN, f64::MAX)?;
        let (up, down) = (1.0 - propensity, propensity);
        Ok(Self {
            signed: if is_challenger { up } else { -down } * (value - baseline),
            overlap: propensity * (1.0 - propensity),
            possible: (-(up * baseline).max(down * (1.0 - baseline)), (up * (1.0 - baseline)).max(down * baseline)),
        })
    }
}

/// Largest share of the capital that a bet can lose.
const LARGEST_STAKE: f64 = 0.75;

/// Evidence about the effect of a challenger on a bounded value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BettingContrast {
    /// Candidate effects, rising.
    effects: Vec<f64>,
    /// ln capital against "the effect is at most this".
    above: Vec<f64>,
    /// ln capital against "the effect is at least this".
    below: Vec<f64>,
    count: u64,
    /// Σs, Σp(1−p), Σs², Σs·p(1−p), Σ(p(1−p))².
    sums: [f64; 5],
}

impl BettingContrast {
    /// No observations yet. `exactly` are effects (−1 to 1) at which bounds will be asked for; others are known to a grid
    /// that is fine near zero.
    pub fn new(exactly: &[f64]) -> Self {
        let mut effects: Vec<f64> =
            grid().chain(exactly.iter().copied().filter(|effect| effect.abs() <= 1.0)).collect();
        effects.sort_by(f64::total_cmp);
        effects.dedup();
        Self { above: vec![0.0; effects.len()], below: vec![0.0; effects.len()], effects, count: 0, sums: [0.0; 5] }
    }

    /// Takes in one observation whose value and baseline lie within 0 and 1.
    pub fn observe(&mut self, seen: &Increment) -> Result<(), ValueError> {
        within(seen.signed, seen.possible.0, seen.possible.1)?;
        let Increment { signed, overlap, possible: (lowest, highest) } = *seen;
        let [sum, weight, squares, cross, weights] = self.sums;
        for ((effect, above), below) in self.effects.iter().zip(&mut self.above).zip(&mut self.below) {
            let mean = sum - effect * weight;
            let square = squares - 2.0 * effect * cross + effect * effect * weights;
            let shift = overlap * effect;
            // A bet never risks all: 1 + bet·y stays above 1 − LARGEST_STAKE for every y that was possible.
            let up = stake(expected_kelly(mean, square), shift - lowest);
            let down = stake(expected_kelly(-mean, square), highest - shift);
            *above += (up * (signed - shift)).ln_1p();
            *below += (down * (shift - signed)).ln_1p();
        }
        self.count += 1;
        for (total, value) in
            self.sums.iter_mut().zip([signed, overlap, signed * signed, signed * overlap, overlap * overlap])
        {
            *total += value;
        }
        Ok(())
    }

    /// Effects that are not excluded, each side with `side`. Compare with [`BettingContrast::is_above`] at effects named
    /// when this was made; between grid points the bounds are rounded outwards.
    pub fn interval(&self, side: Level) -> Interval {
        let threshold = side.threshold();
        let lower = self.effects.iter().zip(&self.above).take_while(|(_, capital)| **capital >= threshold).last();
        let upper = self.effects.iter().zip(&self.below).rev().take_while(|(_, capital)| **capital >= threshold).last();
        Interval { lower: lower.map_or(-1.0, |(effect, _)| *effect), upper: upper.map_or(1.0, |(effect, _)| *effect) }
    }

    /// Whether it is shown, with `side`, that the effect is above `effect`.
    pub fn is_above(&self, effect: f64, side: Level) -> bool {
        self.count > 0 && effect < 1.0 && self.interval(side).lower >= effect
    }

    /// Whether it is shown, with `side`, that the effect is below `effect`.
    pub fn is_below(&self, effect: f64, side: Level) -> bool {
        self.count > 0 && effect > -1.0 && self.interval(side).upper <= effect
    }

    /// ln of the capital against "the effect is at most `effect`"; `None` for an effect that is not among the candidates.
    pub fn ln_capital_above(&self, effect: f64) -> Option<f64> {
        let at = self.effects.iter().position(|candidate| *candidate == effect)?;
        self.above.get(at).copied()
    }

    /// Σs/Σp(1−p), the overlap-weighted difference so far.
    pub fn estimate(&self) -> Option<f64> {
        (self.sums[1] > 0.0).then(|| self.sums[0] / self.sums[1])
    }

    /// Observations of both arms.
    pub fn count(&self) -> u64 {
        self.count
    }
}

fn stake(bet: f64, worst: f64) -> f64 {
    if worst > 0.0 { bet.min(LARGEST_STAKE / worst) } else { bet.min(1.0) }
}

/// Effects from −1 to 1: 0.1 percentage points apart near zero, then ever wider.
fn grid() -> impl Iterator<Item = f64> {
    const HALF: [f64; 32] = [
        0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.0125, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.1,
        0.12, 0.14, 0.16, 0.18, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.85, 1.0,
    ];
    HALF.into_iter().flat_map(|effect| [-effect, effect]).chain([0.0])
}
