//! Whether the arms got the shares of traffic that they were meant to get.
//!
//! A mismatch says that something else than chance decides who is counted (a lost outcome, a redirect, a bug), and then
//! no comparison is worth anything. Multinomial counts against a Dirichlet mixture of all other shares, as a product of
//! one-step predictions so that shares may change on the way: Lindon & Malek 2022, arXiv 2011.03567, theorem 2.1.

use serde::{Deserialize, Serialize};

use super::level::Level;

/// Weight of the Dirichlet prior, in observations: sensitive to mismatches of about one in ten and more.
const CONCENTRATION: f64 = 100.0;

/// Counts of arms and the evidence that they do not match.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleRatio {
    counts: Vec<u64>,
    ln_evidence: f64,
    largest: f64,
}

impl SampleRatio {
    /// For this many arms.
    pub fn new(arms: usize) -> Self {
        Self { counts: vec![0; arms], ln_evidence: 0.0, largest: 0.0 }
    }

    /// One counted unit of `arm`, when arms were to be drawn with probabilities `shares`. An arm without a share must get
    /// nothing: one that does is proof of a mismatch.
    pub fn observe(&mut self, arm: usize, shares: &[f64]) {
        let expected = shares.get(arm).copied().unwrap_or(0.0);
        let total: u64 = self.counts.iter().sum();
        let Some(count) = self.counts.get_mut(arm).filter(|_| expected > 0.0) else {
            self.largest = f64::MAX;
            return;
        };
        let predicted = (CONCENTRATION * expected + *count as f64) / (CONCENTRATION + total as f64);
        self.ln_evidence += (predicted / expected).ln();
        self.largest = self.largest.max(self.ln_evidence);
        *count += 1;
    }

    /// Whether a mismatch was shown, with `level`, at any time.
    pub fn is_mismatch(&self, level: Level) -> bool {
        self.largest >= level.threshold()
    }

    /// The sequential p-value: small means mismatch; it never rises.
    pub fn p_value(&self) -> f64 {
        (-self.largest).exp()
    }

    /// Units counted, by arm.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// ln of the Bayes factor for a mismatch now.
    pub fn ln_evidence(&self) -> f64 {
        self.ln_evidence
    }
}
