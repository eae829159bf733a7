//! The mean of values from 0 to 1, by betting against every other mean.
//!
//! For each candidate mean m on a grid two gamblers start with capital 1. One bets that the next value is above m, the
//! other that it is below: K⁺ ← K⁺·(1 + λ(x − m)), K⁻ ← K⁻·(1 − λ(x − m)). If m is the mean, neither is expected to
//! gain; a capital that reaches 1/level disproves m. What is not disproved is the interval. Exact at every sample size,
//! for any distribution on [0, 1] whose conditional mean stays the same. Waudby-Smith & Ramdas 2024, "Estimating means
//! of bounded random variables by betting", arXiv 2010.09686, theorem 3 (hedged capital).
//!
//! Memory and time for one value are proportional to the grid. Compared with the authors' own software in
//! `tests/vectors`.

use serde::{Deserialize, Serialize};

use super::bets::{self, Moments};
use super::level::{Interval, Level};
use super::{ValueError, within};

/// Which bounds are wanted. A one-sided sequence spends all of its level on that side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sides {
    /// Lower and upper bound, half of the level each.
    Both,
    /// A lower bound; the upper one is 1.
    Lower,
    /// An upper bound; the lower one is 0.
    Upper,
}

/// No bet risks more than this share of the capital.
const LARGEST_STAKE: f64 = 0.5;

/// Finest grid.
const MOST_BREAKS: usize = 10_000;

/// A confidence sequence for a bounded mean.
///
/// ```
/// use perfhost_strategy::experiment::statistics::{BettingSequence, Level, Sides};
///
/// let mut sequence = BettingSequence::new(Level::FIVE_PERCENT, Sides::Both, 200);
/// for request in 0..400 {
///     sequence.observe(if request % 10 == 0 { 0.0 } else { 1.0 })?;
/// }
/// let interval = sequence.interval();
/// assert!(interval.contains(0.9) && interval.lower > 0.8 && interval.upper < 0.97);
/// # Ok::<(), perfhost_strategy::experiment::statistics::ValueError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BettingSequence {
    level: Level,
    sides: Sides,
    past: Moments,
    /// ln K⁺ for means 0, 1/breaks, …, 1; empty when no lower bound is wanted.
    above: Vec<f64>,
    /// ln K⁻ likewise; empty when no upper bound is wanted.
    below: Vec<f64>,
    /// Intersection of all intervals so far.
    running: Interval,
}

impl BettingSequence {
    /// A sequence without observations on a grid of `breaks` + 1 means (2 to 10,000 breaks): its bounds are wider than
    /// exact ones by at most 2/`breaks`.
    pub fn new(level: Level, sides: Sides, breaks: usize) -> Self {
        let capitals = |is_wanted| if is_wanted { vec![0.0; breaks.clamp(2, MOST_BREAKS) + 1] } else { Vec::new() };
        Self {
            level,
            sides,
            past: Moments::default(),
            above: capitals(sides != Sides::Upper),
            below: capitals(sides != Sides::Lower),
            running: Interval { lower: 0.0, upper: 1.0 },
        }
    }

    /// Takes in one value from 0 to 1.
    pub fn observe(&mut self, value: f64) -> Result<(), ValueError> {
        let value = within(value, 0.0, 1.0)?;
        let bet = bets::plug_in(&self.past, self.side_level());
        let breaks = self.breaks();
        for (at, capital) in self.above.iter_mut().enumerate() {
            let mean = at as f64 / breaks;
            *capital += (bet.min(LARGEST_STAKE / mean) * (value - mean)).ln_1p();
        }
        for (at, capital) in self.below.iter_mut().enumerate() {
            let mean = at as f64 / breaks;
            *capital += (bet.min(LARGEST_STAKE / (1.0 - mean)) * (mean - value)).ln_1p();
        }
        self.past.observe(value);
        self.running = self.running.intersect(self.interval());
        Ok(())
    }

    /// What the observations do not exclude now, rounded outwards to the grid.
    pub fn interval(&self) -> Interval {
        let threshold = self.side_level().threshold();
        let breaks = self.breaks();
        let is_open = |at: usize| {
            self.above.get(at).is_none_or(|capital| *capital <= threshold)
                && self.below.get(at).is_none_or(|capital| *capital <= threshold)
        };
        let points = self.above.len().max(self.below.len());
        let (Some(first), Some(last)) = ((0..points).find(|at| is_open(*at)), (0..points).rfind(|at| is_open(*at)))
        else {
            return Interval { lower: 0.0, upper: 1.0 };
        };
        let lower = if self.above.is_empty() { 0.0 } else { (first as f64 - 1.0).max(0.0) / breaks };
        let upper = if self.below.is_empty() { 1.0 } else { (last as f64 + 1.0).min(breaks) / breaks };
        Interval { lower, upper }
    }

    /// Intersection of the intervals at all times so far: it only ever shrinks. Empty (upper below lower) when the mean
    /// changed on the way.
    pub fn running(&self) -> Interval {
        self.running
    }

    /// How many values.
    pub fn count(&self) -> u64 {
        self.past.count()
    }

    /// Their mean.
    pub fn mean(&self) -> Option<f64> {
        self.past.plain_mean()
    }

    /// ln of the hedged capital against the grid's mean nearest to `mean`: max(ln ½K⁺, ln ½K⁻), or that of the one side.
    pub fn ln_capital(&self, mean: f64) -> f64 {
        let at = (mean.clamp(0.0, 1.0) * self.breaks()).round() as usize;
        let share = if self.sides == Sides::Both { 0.5f64.ln() } else { 0.0 };
        let of = |capitals: &[f64]| capitals.get(at).map_or(f64::NEG_INFINITY, |capital| capital + share);
        of(&self.above).max(of(&self.below))
    }

    fn side_level(&self) -> Level {
        if self.sides == Sides::Both { self.level.split(2) } else { self.level }
    }

    fn breaks(&self) -> f64 {
        (self.above.len().max(self.below.len()).max(2) - 1) as f64
    }
}
