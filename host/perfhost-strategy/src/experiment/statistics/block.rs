//! Arms that take turns: one observation a block, compared in pairs whose order was drawn by chance.
//!
//! Requests within one block share its load, its cache and its queue; counted one by one they are evidence many times
//! over, and false winners are the rule. So a block gives one number, and a pair of blocks one difference d = z(challenger)
//! − z(control). As the order within the pair was drawn by chance, what the hour does to the two blocks enters d with a
//! random sign: if the effect is δ, then d − δ is as likely to be +u as −u. Betting on the sign,
//!
//! K⁺(δ) = ∏ 2/(1 + exp(−2λ(dⱼ − δ)/σⱼ))
//!
//! has expectation 1 at δ for every λ > 0, for any distribution of loads however dependent, with no bound on values and
//! no large sample; each factor rises with d, so it is at most 1 for smaller effects. σⱼ is the scale of the differences
//! before. Symmetric increments: de la Peña 1999; Howard et al. 2020, arXiv 1808.03204, lemma 3; the logistic factor
//! exp(z)/cosh(z) is the exact form of their bound exp(z − z²/2). The capital is shared among several λ and a bet of a fixed
//! stake on the sign alone, which needs no scale and is the quickest when an effect is plain.
//!
//! What must hold: the effect adds to a block's value, and one block's arm no longer acts in the next (burn-in).

use serde::{Deserialize, Serialize};

use super::level::{Interval, Level};
use super::special::ln_sum_exp;
use super::{ValueError, within};

/// Most pairs kept; an experiment that has not ended by then does not end by more of them.
pub const MOST_PAIRS: usize = 4_096;

/// Bets, relative to one over the scale of the differences, and the share of the capital behind all of them.
const BETS: [f64; 3] = [0.25, 0.5, 1.0];
const BETS_SHARE: f64 = 0.33;

/// Stake of the bet on the sign. Orders drawn by chance are n bits for n pairs, so that six are the least that can show
/// anything with 2.5 % a side; with this stake and share six that agree do.
const SIGN_STAKE: f64 = 0.98;

/// Differences of pairs of blocks.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PairedBlocks {
    differences: Vec<f64>,
}

impl PairedBlocks {
    /// Takes in one pair's difference, challenger minus control. Beyond [`MOST_PAIRS`] it is not taken.
    pub fn observe(&mut self, difference: f64) -> Result<(), ValueError> {
        let difference = within(difference, f64::MIN, f64::MAX)?;
        if self.differences.len() < MOST_PAIRS {
            self.differences.push(difference);
        }
        Ok(())
    }

    /// ln of the evidence that the effect is above `effect`; falls as `effect` rises.
    pub fn ln_above(&self, effect: f64) -> f64 {
        self.ln_evidence(|difference| difference - effect)
    }

    /// ln of the evidence that the effect is below `effect`; rises with `effect`.
    pub fn ln_below(&self, effect: f64) -> f64 {
        self.ln_evidence(|difference| effect - difference)
    }

    fn ln_evidence(&self, gain: impl Fn(f64) -> f64) -> f64 {
        let mut capitals = [(BETS_SHARE / BETS.len() as f64).ln(); BETS.len()];
        let mut on_sign = (1.0 - BETS_SHARE).ln();
        let mut squares = 0.0;
        for (before, difference) in self.differences.iter().enumerate() {
            let gain = gain(*difference);
            on_sign += if gain == 0.0 { 0.0 } else { (SIGN_STAKE * gain.signum()).ln_1p() };
            // The first pair sets the scale.
            if squares > 0.0 {
                let scaled = gain / (squares / before as f64).sqrt();
                for (capital, bet) in capitals.iter_mut().zip(BETS) {
                    *capital += ln_factor(bet * scaled);
                }
            }
            squares += difference * difference;
        }
        ln_sum_exp(capitals.iter().copied().chain([on_sign]))
    }

    /// Effects that are not excluded, each side with `side`; infinite where nothing is known.
    pub fn interval(&self, side: Level) -> Interval {
        let threshold = side.threshold();
        let Some(mean) = self.estimate() else {
            return Interval { lower: f64::NEG_INFINITY, upper: f64::INFINITY };
        };
        let largest = self.differences.iter().fold(0.0, |largest: f64, d| largest.max((d - mean).abs()));
        let reach = (largest + mean.abs()).max(f64::MIN_POSITIVE) * 4.0 * self.differences.len() as f64;
        let lower = edge(mean, mean - reach, |effect| self.ln_above(effect) >= threshold);
        let upper = edge(mean, mean + reach, |effect| self.ln_below(effect) >= threshold);
        Interval { lower: lower.unwrap_or(f64::NEG_INFINITY), upper: upper.unwrap_or(f64::INFINITY) }
    }

    /// Mean difference.
    pub fn estimate(&self) -> Option<f64> {
        let count = self.differences.len();
        (count > 0).then(|| self.differences.iter().sum::<f64>() / count as f64)
    }

    /// How many pairs.
    pub fn count(&self) -> u64 {
        self.differences.len() as u64
    }

    /// The differences, in order.
    pub fn differences(&self) -> &[f64] {
        &self.differences
    }
}

/// ln(2/(1 + exp(−2z))), without overflow.
fn ln_factor(z: f64) -> f64 {
    let decay = (-2.0 * z.abs()).exp().ln_1p();
    std::f64::consts::LN_2 - if z >= 0.0 { decay } else { decay - 2.0 * z }
}

/// The effect between `near` and `far` from which on `is_excluded` holds; `None` when it does not at `far`.
fn edge(near: f64, far: f64, is_excluded: impl Fn(f64) -> bool) -> Option<f64> {
    if !is_excluded(far) {
        return None;
    }
    if is_excluded(near) {
        return Some(near);
    }
    let (mut open, mut excluded) = (near, far);
    for _ in 0..80 {
        let middle = 0.5 * (open + excluded);
        if is_excluded(middle) { excluded = middle } else { open = middle }
    }
    Some(excluded)
}
