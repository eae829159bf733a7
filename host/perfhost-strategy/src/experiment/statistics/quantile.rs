//! Percentiles: of one arm, and of two arms compared.
//!
//! The p-quantile is x if and only if "at most x" happens with probability p; so how many of n values were at most x tests
//! x as a quantile, whatever the distribution. A mixture over all other probabilities (beta-binomial) makes that a test
//! martingale: Howard & Ramdas 2022, "Sequential estimation of quantiles with applications to A/B testing and best-arm
//! identification", arXiv 1906.09712, theorem 3. Compared with a published implementation in `tests/vectors`.
//!
//! Memory is bounded: values are kept as counts in buckets 0.25 % wide, so results are off by at most that.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::level::{Interval, Level};
use super::mixture::two_sided_rho;
use super::special::{ln_beta, ln_sum_exp};
use super::{ValueError, within};

/// Width of a bucket relative to its values.
const RELATIVE_WIDTH: f64 = 0.0025;

/// Buckets reach from this value to `LARGEST`; what lies beyond is counted at the ends.
const SMALLEST: f64 = 1e-3;
const LARGEST: f64 = 1e9;

/// Bounds are tightest near this many values.
const TIGHTEST_AT: f64 = 1_000.0;

/// Counts of positive values in buckets of equal relative width: at most about 11,100 of them, some 1,000 for times of one
/// model.
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

    /// The value that a share `p` of values does not exceed, to a bucket; `None` without values.
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

/// How far apart the two arms may lie: tilts λ of a Bernoulli variable's log-odds, each half as large again as the one
/// before, weighed by an exponential density of mean 0.4. At the 95th percentile a tenth less time is about 0.15, a half 1.
const TILTS: usize = 10;
const SMALLEST_TILT: f64 = 0.05;
const TILT_STEP: f64 = 1.5;
const TILT_RATE: f64 = 2.5;

/// How a tilt is shared between the slower and the faster arm, and the weight of each way. Most of it in between, where
/// evidence is least; more to the faster arm, as values beyond a high percentile are fewer than it lets expect. The ends are
/// for an x that one arm alone speaks against.
const SPLITS: [(f64, f64, f64); 4] = [(0.5, 0.5, 0.4), (0.35, 0.65, 0.35), (0.0, 1.0, 0.2), (1.0, 0.0, 0.05)];

/// Two arms' distributions of one positive value (a time), and what they say about the ratio of their p-quantiles.
///
/// To show that the challenger's quantile is below ρ times the control's is to exclude every x that could be the control's
/// while ρx is at most the challenger's. If x were, then "at most x" has probability p or more in the control, "below ρx" p
/// or less in the challenger, and for every λ ≥ 0 and every split of it
///
/// exp(−λₐkₐ − nₐψ(−λₐ)) · exp(λᵦkᵦ − nᵦψ(λᵦ)),  ψ(λ) = ln(1 − p + p·exp(λ)),
///
/// with kₐ, kᵦ the counts that were, starts at 1 and is not expected to rise. A mixture over tilts and splits is evidence
/// against x, and the smallest over all x evidence for the claim. The search over x is that of Howard & Ramdas, section 5;
/// their mixture is two-sided and independent in the two arms, ours knows that one arm's excess is the other's deficit, and
/// needs about five sixths of the values. What load does to both arms alike cancels.
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

    /// ln of the evidence that the challenger's quantile is below `ratio` × control's; rises with `ratio`, which is rounded
    /// down to whole buckets.
    pub fn ln_below(&self, ratio: f64) -> f64 {
        Tilts::new(self.p).ln_evidence(&self.control, down(ratio), &self.challenger)
    }

    /// ln of the evidence that the challenger's quantile is above `ratio` × control's; falls as `ratio` rises, which is
    /// rounded up to whole buckets.
    pub fn ln_above(&self, ratio: f64) -> f64 {
        Tilts::new(self.p).ln_evidence(&self.challenger, -up(ratio), &self.control)
    }

    /// Whether it is shown, with `side`, that the challenger's quantile is below `ratio` × control's.
    pub fn is_below(&self, ratio: f64, side: Level) -> bool {
        // What the figures contradict is not shown, and most looks are over here.
        self.estimate().is_some_and(|estimate| estimate < ratio)
            && Tilts::new(self.p).is_shown(&self.control, down(ratio), &self.challenger, side)
    }

    /// Whether it is shown, with `side`, that the challenger's quantile is above `ratio` × control's.
    pub fn is_above(&self, ratio: f64, side: Level) -> bool {
        self.estimate().is_some_and(|estimate| estimate > ratio)
            && Tilts::new(self.p).is_shown(&self.challenger, -up(ratio), &self.control, side)
    }

    /// Challenger's quantile over control's so far.
    pub fn estimate(&self) -> Option<f64> {
        Some(self.challenger.quantile(self.p)? / self.control.quantile(self.p)?)
    }

    /// Ratios that are not excluded, each side with `side`; from 0 to infinity while nothing is known.
    pub fn interval(&self, side: Level) -> Interval {
        let unknown = Interval { lower: 0.0, upper: f64::INFINITY };
        let Some(estimate) = self.estimate() else { return unknown };
        let step = RELATIVE_WIDTH.ln_1p();
        let at = |steps: u64, sign: f64| (estimate.ln() + sign * step * steps as f64).exp();
        let down = boundary(0, REACH, |steps| !self.is_above(at(steps, -1.0), side));
        let up = boundary(0, REACH, |steps| !self.is_below(at(steps, 1.0), side));
        Interval {
            lower: if down < REACH { at(down, -1.0) } else { unknown.lower },
            upper: if up < REACH { at(up, 1.0) } else { unknown.upper },
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

/// Buckets in a factor of a thousand: bounds are looked for no further from the estimate.
const REACH: u64 = 2_767;

/// A ratio in buckets, and in whole ones, rounded either way.
fn steps(ratio: f64) -> f64 {
    ratio.clamp(1e-6, 1e6).ln() / RELATIVE_WIDTH.ln_1p()
}

fn down(ratio: f64) -> i64 {
    steps(ratio).floor() as i64
}

fn up(ratio: f64) -> i64 {
    steps(ratio).ceil() as i64
}

/// One term of the mixture: ln weight, and ln of what a hit and any value of each arm contribute.
#[derive(Debug, Clone, Copy)]
struct Term {
    weight: f64,
    slower_hit: f64,
    slower_value: f64,
    faster_hit: f64,
    faster_value: f64,
}

/// How many values of each arm there are at most at some x.
#[derive(Debug, Clone, Copy)]
struct Hits {
    slower: u64,
    faster: u64,
}

/// The mixture.
struct Tilts {
    p: f64,
    terms: Vec<Term>,
}

impl Tilts {
    fn new(p: f64) -> Self {
        let tilts = (0..TILTS as i32).map(|at| SMALLEST_TILT * TILT_STEP.powi(at));
        // The density at a tilt times the width of its step, which is proportional to the tilt.
        let density = |tilt: f64| tilt * (-TILT_RATE * tilt).exp();
        let total: f64 = tilts.clone().map(density).sum();
        let psi = |tilt: f64| (p * tilt.exp_m1()).ln_1p();
        let terms = tilts.flat_map(|tilt| {
            SPLITS.map(|(slower, faster, share)| Term {
                weight: (share * density(tilt) / total).ln(),
                slower_hit: -tilt * slower,
                slower_value: -psi(-tilt * slower),
                faster_hit: tilt * faster,
                faster_value: -psi(tilt * faster),
            })
        });
        Self { p, terms: terms.collect() }
    }

    /// Evidence that the p-quantile of `faster` is below that of `slower` moved up by `shift` buckets.
    fn ln_evidence(&self, slower: &Histogram, shift: i64, faster: &Histogram) -> f64 {
        let all = hits(slower, shift, faster);
        let least = all.iter().map(|hits| ln_sum_exp(self.scores(hits, slower, faster))).fold(f64::INFINITY, f64::min);
        if least.is_finite() { least } else { 0.0 }
    }

    /// Whether [`Tilts::ln_evidence`] reaches what `side` asks for.
    fn is_shown(&self, slower: &Histogram, shift: i64, faster: &Histogram, side: Level) -> bool {
        let threshold = side.threshold();
        let is_reached = |hits: &Hits| {
            let scores = self.scores(hits, slower, faster);
            // One term alone is often enough.
            scores.clone().any(|score| score >= threshold) || ln_sum_exp(scores) >= threshold
        };
        let all = hits(slower, shift, faster);
        // Evidence is least near the quantile of both together: where it is not enough, this is over at once.
        let wanted = (self.p * (slower.total + faster.total) as f64) as u64;
        let middle = all.partition_point(|hits| hits.slower + hits.faster < wanted);
        all.get(middle).is_some_and(is_reached) && all.iter().all(is_reached)
    }

    /// ln of each term at one x.
    fn scores<'a>(
        &'a self,
        hits: &Hits,
        slower: &Histogram,
        faster: &Histogram,
    ) -> impl Iterator<Item = f64> + Clone + 'a {
        let [a, n, b, m] = [hits.slower, slower.total, hits.faster, faster.total].map(|count| count as f64);
        self.terms.iter().map(move |term| {
            term.weight + a * term.slower_hit + n * term.slower_value + b * term.faster_hit + m * term.faster_value
        })
    }
}

/// Counts at every x that could be both arms' quantile. Within a bucket the order of values is not known: the slower arm's
/// count is the one up to its end, the faster arm's the one below its beginning.
fn hits(slower: &Histogram, shift: i64, faster: &Histogram) -> Vec<Hits> {
    let moved = slower.counts.iter().map(|(at, count)| (i64::from(*at) + shift, *count, 0));
    let mut edges: Vec<(i64, u64, u64)> =
        moved.chain(faster.counts.iter().map(|(at, count)| (i64::from(*at), 0, *count))).collect();
    // Two rising runs: a stable sort merges them.
    edges.sort_by_key(|(at, ..)| *at);
    let (mut at_most, mut below) = (0, 0);
    let buckets = edges.chunk_by(|(one, ..), (other, ..)| one == other).map(|bucket| {
        at_most += bucket.iter().map(|(_, count, _)| count).sum::<u64>();
        let hits = Hits { slower: at_most, faster: below };
        below += bucket.iter().map(|(_, _, count)| count).sum::<u64>();
        hits
    });
    buckets.collect()
}
