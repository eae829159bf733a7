//! Percentiles: of one arm, and of two arms compared.
//!
//! The p-quantile is x if and only if "at most x" happens with probability p; so how many of n values were at most x tests
//! x as a quantile, whatever the distribution. A mixture over all other probabilities (beta-binomial) makes that a test
//! martingale: Howard & Ramdas 2022, "Sequential estimation of quantiles with applications to A/B testing and best-arm
//! identification", arXiv 1906.09712, theorem 3 and section 5. Compared with a published implementation in `tests/vectors`.
//!
//! Memory is bounded: values are kept as counts in buckets 1 % wide, so results are off by at most that.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::level::{Interval, Level};
use super::mixture::two_sided_rho;
use super::special::ln_beta;
use super::{ValueError, within};

/// Width of a bucket relative to its values.
const RELATIVE_WIDTH: f64 = 0.01;

/// Buckets reach from this value to `LARGEST`; what lies beyond is counted at the ends.
const SMALLEST: f64 = 1e-3;
const LARGEST: f64 = 1e9;

/// Bounds are tightest near this many values.
const TIGHTEST_AT: f64 = 1_000.0;

/// Counts of positive values in buckets of equal relative width: at most about 2,800 of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Histogram {
    counts: BTreeMap<u32, u64>,
    total: u64,
}

impl Histogram {
    /// Takes in one value, 0 or more.
    pub fn observe(&mut self, value: f64) -> Result<(), ValueError> {
        *self.counts.entry(bucket(within(value, 0.0, f64::MAX)?)).or_default() += 1;
        self.total += 1;
        Ok(())
    }

    /// How many values.
    pub fn count(&self) -> u64 {
        self.total
    }

    /// The value that a share `p` of values does not exceed, to 1 %; `None` without values.
    pub fn quantile(&self, p: f64) -> Option<f64> {
        self.order_statistic(((p * self.total as f64).ceil() as u64).max(1))
    }

    /// p-quantiles that are not excluded, with `level` for both sides together; infinite where nothing is known. No
    /// narrower than exact bounds by more than a bucket.
    pub fn interval(&self, p: f64, level: Level) -> Interval {
        let test = Test::new(p);
        let threshold = level.threshold();
        let middle = (p * self.total as f64).round() as u64;
        let is_open = |count: u64| test.ln_evidence(count, self.total) < threshold;
        let fewest = boundary(0, middle, |count| !is_open(count));
        let most = self.total - boundary(0, self.total - middle, |count| !is_open(self.total - count));
        Interval {
            lower: self.order_statistic(fewest).unwrap_or(0.0),
            upper: self.order_statistic(most + 1).unwrap_or(f64::INFINITY),
        }
    }

    /// The `rank`-th smallest value, counted from 1: middle of its bucket.
    fn order_statistic(&self, rank: u64) -> Option<f64> {
        if rank == 0 {
            return None;
        }
        let mut seen = 0;
        self.counts
            .iter()
            .find(|(_, count)| {
                seen += **count;
                seen >= rank
            })
            .map(|(bucket, _)| middle_of(*bucket))
    }
}

/// Smallest number from `from` to `to` at which `is_beyond` no longer holds; it holds below and not above.
fn boundary(from: u64, to: u64, is_beyond: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (from, to);
    while low < high {
        let middle = low + (high - low) / 2;
        if is_beyond(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

fn bucket(value: f64) -> u32 {
    let steps = (value.clamp(SMALLEST, LARGEST) / SMALLEST).ln() / RELATIVE_WIDTH.ln_1p();
    steps.floor() as u32
}

fn middle_of(bucket: u32) -> f64 {
    SMALLEST * ((f64::from(bucket) + 0.5) * RELATIVE_WIDTH.ln_1p()).exp()
}

/// Tests whether "at most x" has probability p.
#[derive(Debug, Clone, Copy)]
pub struct Test {
    p: f64,
    /// Prior weights of "above x" and "at most x".
    misses: f64,
    hits: f64,
    normaliser: f64,
}

impl Test {
    /// For the `p`-quantile, 0 < p < 1.
    pub fn new(p: f64) -> Self {
        Self::tightest_at(p, TIGHTEST_AT)
    }

    /// The same, tightest near `count` values at a level of 5 %.
    pub fn tightest_at(p: f64, count: f64) -> Self {
        let variance = p * (1.0 - p);
        let rho = two_sided_rho(variance * count, Level::FIVE_PERCENT);
        let r = (rho - variance).max(1e-3 * variance);
        let (misses, hits) = (r / p, r / (1.0 - p));
        Self { p, misses, hits, normaliser: ln_beta(misses, hits) }
    }

    /// ln of the evidence against p when `hits` of `count` values were at most x: mixture likelihood over that of p,
    /// ln B(r/p + n − k, r/(1−p) + k) − ln B(r/p, r/(1−p)) − k ln p − (n − k) ln(1 − p).
    pub fn ln_evidence(&self, hits: u64, count: u64) -> f64 {
        let (hits, misses) = (hits as f64, (count - hits) as f64);
        ln_beta(self.misses + misses, self.hits + hits)
            - self.normaliser
            - hits * self.p.ln()
            - misses * (1.0 - self.p).ln()
    }
}

/// Two arms' distributions of one positive value (a time), and what they say about the ratio of their p-quantiles.
///
/// Both arms must have been sampled at a constant ratio, so that load that changes over time meets both alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuantileContrast {
    p: f64,
    control: Histogram,
    challenger: Histogram,
}

impl QuantileContrast {
    /// For the `p`-quantile, 0 < p < 1.
    pub fn new(p: f64) -> Self {
        Self { p: p.clamp(0.001, 0.999), control: Histogram::default(), challenger: Histogram::default() }
    }

    /// One value, 0 or more, of one arm.
    pub fn observe(&mut self, is_challenger: bool, value: f64) -> Result<(), ValueError> {
        if is_challenger { self.challenger.observe(value) } else { self.control.observe(value) }
    }

    /// ln of the evidence against "challenger's quantile = `ratio` × control's": the smallest, over all x, of the two arms'
    /// evidence against x together (Howard & Ramdas, section 5). `ratio` is rounded to whole buckets.
    pub fn ln_evidence(&self, ratio: f64) -> f64 {
        let test = Test::new(self.p);
        let shift = (ratio.clamp(1e-6, 1e6).ln() / RELATIVE_WIDTH.ln_1p()).round() as i64;
        let arms = [(&self.control, shift), (&self.challenger, 0)];
        let mut edges: Vec<i64> =
            arms.iter().flat_map(|(arm, shift)| arm.counts.keys().map(move |at| i64::from(*at) + shift)).collect();
        edges.sort_unstable();
        edges.dedup();
        // A quantile at x has F(x−) ≤ p ≤ F(x): each arm's evidence is zero or less where that is possible.
        let mut at_most = [0u64; 2];
        let mut least = f64::INFINITY;
        for edge in edges {
            let mut evidence = 0.0;
            for ((arm, shift), reached) in arms.iter().zip(&mut at_most) {
                let below = *reached;
                *reached += u32::try_from(edge - shift).ok().and_then(|at| arm.counts.get(&at)).copied().unwrap_or(0);
                let nearest = ((self.p * arm.total as f64).round() as u64).clamp(below, *reached);
                evidence += test.ln_evidence(nearest, arm.total);
            }
            least = least.min(evidence);
        }
        if least.is_finite() { least } else { 0.0 }
    }

    /// Whether it is shown, with `level`, that the challenger's quantile is below `ratio` × control's.
    pub fn is_below(&self, ratio: f64, level: Level) -> bool {
        self.estimate().is_some_and(|estimate| estimate < ratio) && self.ln_evidence(ratio) >= level.threshold()
    }

    /// Whether it is shown, with `level`, that the challenger's quantile is above `ratio` × control's.
    pub fn is_above(&self, ratio: f64, level: Level) -> bool {
        self.estimate().is_some_and(|estimate| estimate > ratio) && self.ln_evidence(ratio) >= level.threshold()
    }

    /// Challenger's quantile over control's so far.
    pub fn estimate(&self) -> Option<f64> {
        Some(self.challenger.quantile(self.p)? / self.control.quantile(self.p)?)
    }

    /// Ratios that are not excluded, with `level` for both sides together; from 0 to infinity while nothing is known.
    pub fn interval(&self, level: Level) -> Interval {
        let unknown = Interval { lower: 0.0, upper: f64::INFINITY };
        let Some(estimate) = self.estimate() else { return unknown };
        let step = RELATIVE_WIDTH.ln_1p();
        let at = |steps: u64, sign: f64| (estimate.ln() + sign * step * steps as f64).exp();
        // 700 buckets are a factor of a thousand.
        let reach = 700;
        let out = |sign: f64| boundary(0, reach, |steps| self.ln_evidence(at(steps, sign)) < level.threshold());
        let (down, up) = (out(-1.0), out(1.0));
        Interval {
            lower: if down < reach { at(down, -1.0) } else { unknown.lower },
            upper: if up < reach { at(up, 1.0) } else { unknown.upper },
        }
    }

    /// Values of both arms.
    pub fn count(&self) -> u64 {
        self.control.total + self.challenger.total
    }

    /// One arm's values.
    pub fn arm(&self, is_challenger: bool) -> &Histogram {
        if is_challenger { &self.challenger } else { &self.control }
    }
}
