//! The timetable of a switchback: rounds in which every arm serves one block, in an order drawn by chance.
//!
//! A block counts from when its arm is in effect (the host says so; an engine may have to start first) and burn-in has
//! passed. Its value goes into its round; a round of which every block has a value gives one observation a challenger.
//! While shares ramp up, and in the confirmation phase, blocks that nobody counts lie between rounds.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::assignment::mix;
use super::regime::Timing;
use super::tally::Tally;

/// Rounds whose requests may be under way at once; older ones are given up.
const MOST_FORMING: usize = 64;

/// The block under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Current {
    /// Place of the arm that serves.
    pub place: usize,
    /// Its number, if it counts.
    pub block: Option<u64>,
    /// When the arm was called for, Unix time in milliseconds.
    pub called_ms: u64,
    /// Since when the arm serves; `None` while it does not yet.
    pub in_effect_ms: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Forming {
    /// Numbers of its blocks, by place; `None` for one still to come.
    blocks: Vec<Option<u64>>,
    /// Sums by metric, by place.
    tallies: Vec<Option<Vec<Tally>>>,
}

/// What a tick brought about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// The block that ended, and when.
    pub closed: Option<(u64, u64)>,
    /// The one that begins, and the place of its arm.
    pub opened: Option<(u64, usize)>,
}

/// The timetable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rounds {
    seed: u64,
    timing: Timing,
    /// Whether the arm at a place takes part, by place.
    places: Vec<bool>,
    /// Blocks between rounds that do not count, and the place that serves them.
    gap: u32,
    gap_place: usize,
    round: u64,
    next_block: u64,
    /// Places still to come in this round, last first.
    to_come: Vec<usize>,
    gap_left: u32,
    current: Current,
    forming: VecDeque<Forming>,
    complete: u64,
    void: u64,
}

impl Rounds {
    /// Begins with the first block of the first round. `gap` blocks by the arm at `gap_place` follow each round.
    pub fn begin(seed: u64, timing: Timing, arms: usize, gap: u32, gap_place: usize, now_ms: u64) -> (Self, Turn) {
        let mut rounds = Self {
            seed,
            timing,
            places: vec![true; arms],
            gap,
            gap_place,
            round: 0,
            next_block: 0,
            to_come: Vec::new(),
            gap_left: 0,
            current: Current { place: gap_place, block: None, called_ms: now_ms, in_effect_ms: None },
            forming: VecDeque::new(),
            complete: 0,
            void: 0,
        };
        let opened = rounds.next(now_ms);
        (rounds, Turn { closed: None, opened })
    }

    /// The block under way.
    pub fn current(&self) -> &Current {
        &self.current
    }

    /// The arm that was called for serves since `at_ms`.
    pub fn in_effect(&mut self, at_ms: u64) {
        self.current.in_effect_ms.get_or_insert(at_ms.max(self.current.called_ms));
    }

    /// Whether a request that arrived at `at_ms` in `block` counts: after burn-in, before the end.
    pub fn is_counted(&self, block: u64, at_ms: u64) -> bool {
        // Of an earlier block the burn-in is long over for whatever comes in now; its end is the settlement's business.
        self.current.block != Some(block)
            || self.current.in_effect_ms.is_some_and(|since_ms| at_ms >= since_ms + self.timing.burn_in_ms)
    }

    /// Ends the block under way when it is over, and begins the next.
    pub fn tick(&mut self, now_ms: u64) -> Option<Turn> {
        let end_ms = self.current.in_effect_ms?.saturating_add(self.timing.block_ms);
        (now_ms >= end_ms).then(|| {
            let closed = self.current.block.map(|block| (block, end_ms));
            Turn { closed, opened: self.next(now_ms) }
        })
    }

    /// Gives up the round under way and begins a new one: after a restart, or when an arm is out.
    pub fn restart(&mut self, now_ms: u64) -> Turn {
        let closed = self.current.block.map(|block| (block, now_ms));
        self.void += self.forming.len() as u64;
        self.forming.clear();
        self.to_come.clear();
        self.gap_left = 0;
        Turn { closed, opened: self.next(now_ms) }
    }

    /// The arm at `place` takes no further part. Follow with [`Rounds::restart`].
    pub fn drop_place(&mut self, place: usize) {
        if let Some(is_part) = self.places.get_mut(place) {
            *is_part = false;
        }
    }

    /// Another number of blocks between rounds.
    pub fn set_gap(&mut self, gap: u32) {
        self.gap = gap;
        self.gap_left = self.gap_left.min(gap);
    }

    /// Takes in the sums of a settled block; returns those of a whole round, by place (none for an arm that is out), once
    /// it is complete.
    pub fn settle(&mut self, block: u64, tallies: Vec<Tally>) -> Option<Vec<Vec<Tally>>> {
        let (at, place) =
            self.forming.iter().enumerate().find_map(|(at, round)| {
                round.blocks.iter().position(|of| *of == Some(block)).map(|place| (at, place))
            })?;
        let round = self.forming.get_mut(at)?;
        *round.tallies.get_mut(place)? = Some(tallies);
        let is_complete =
            self.places.iter().zip(&round.tallies).all(|(is_part, tallies)| !is_part || tallies.is_some());
        if !is_complete {
            return None;
        }
        let round = self.forming.remove(at)?;
        Some(round.tallies.into_iter().map(Option::unwrap_or_default).collect())
    }

    /// Counts a complete round; `is_void` when one of its blocks had nothing to tell.
    pub fn note(&mut self, is_void: bool) {
        if is_void { self.void += 1 } else { self.complete += 1 }
    }

    /// Rounds that gave an observation.
    pub fn complete(&self) -> u64 {
        self.complete
    }

    /// Rounds that did not: a block without requests, a restart.
    pub fn void(&self) -> u64 {
        self.void
    }

    /// Length of the part of a block that counts, milliseconds.
    pub fn counted_ms(&self) -> u64 {
        self.timing.block_ms.saturating_sub(self.timing.burn_in_ms)
    }

    /// Share of time in which the arm at `place` serves and counts, burn-in included.
    pub fn share(&self, place: usize) -> f64 {
        let blocks = self.places.iter().filter(|is_part| **is_part).count() as f64 + f64::from(self.gap);
        if self.places.get(place) == Some(&true) { 1.0 / blocks } else { 0.0 }
    }

    fn next(&mut self, now_ms: u64) -> Option<(u64, usize)> {
        let started = Current { place: self.gap_place, block: None, called_ms: now_ms, in_effect_ms: None };
        if self.gap_left > 0 {
            self.gap_left -= 1;
            self.current = started;
            return None;
        }
        if self.to_come.is_empty() {
            self.to_come = self.draw();
            self.round += 1;
            let places = self.places.len();
            self.forming.push_back(Forming { blocks: vec![None; places], tallies: vec![None; places] });
            if self.forming.len() > MOST_FORMING {
                self.forming.pop_front();
                self.void += 1;
            }
        }
        let place = self.to_come.pop()?;
        if self.to_come.is_empty() {
            self.gap_left = self.gap;
        }
        let block = self.next_block;
        self.next_block += 1;
        if let Some(of) = self.forming.back_mut().and_then(|round| round.blocks.get_mut(place)) {
            *of = Some(block);
        }
        self.current = Current { place, block: Some(block), ..started };
        Some((block, place))
    }

    /// An order of the places that take part: Fisher and Yates, from seed and number of the round.
    fn draw(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.places.len()).filter(|place| self.places[*place]).collect();
        for last in (1..order.len()).rev() {
            let bits = mix(self.seed, self.round.wrapping_mul(64).wrapping_add(last as u64));
            order.swap(last, ((u128::from(bits) * (last as u128 + 1)) >> 64) as usize);
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: Timing = Timing { block_ms: 10_000, burn_in_ms: 2_000 };

    /// Runs `blocks` blocks and returns who served each, and whether it counted.
    fn run(arms: usize, gap: u32, blocks: usize) -> Vec<(usize, bool)> {
        let (mut rounds, _) = Rounds::begin(3, TIMING, arms, gap, 0, 0);
        (0..blocks as u64)
            .map(|block| {
                let now_ms = block * 10_000;
                rounds.in_effect(now_ms);
                assert!(rounds.tick(now_ms + 9_999).is_none());
                let served = (rounds.current().place, rounds.current().block.is_some());
                assert!(rounds.tick(now_ms + 10_000).is_some());
                served
            })
            .collect()
    }

    #[test]
    fn each_round_has_every_arm_once_and_orders_vary() {
        let served = run(3, 0, 600);
        let rounds: Vec<Vec<usize>> =
            served.chunks(3).map(|round| round.iter().map(|(place, _)| *place).collect()).collect();
        let mut counts = std::collections::BTreeMap::<&[usize], u32>::new();
        for round in &rounds {
            let mut sorted = round.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2]);
            *counts.entry(round).or_default() += 1;
        }
        assert_eq!(counts.len(), 6);
        assert!(counts.values().all(|count| (15..55).contains(count)), "{counts:?}");
    }

    #[test]
    fn gaps_give_a_challenger_its_share_of_time() {
        let served = run(2, 8, 1_000);
        let share = |place: usize| served.iter().filter(|of| **of == (place, true)).count();
        assert_eq!((share(0), share(1)), (100, 100));
        assert!(served.iter().filter(|(_, is_counted)| !is_counted).all(|(place, _)| *place == 0));
    }

    #[test]
    fn burn_in_begins_when_the_arm_serves() {
        let (mut rounds, turn) = Rounds::begin(3, TIMING, 2, 0, 0, 1_000);
        let block = turn.opened.map(|(block, _)| block).unwrap();
        assert!(!rounds.is_counted(block, 9_000), "not in effect yet");
        assert!(rounds.tick(60_000).is_none(), "a block that has not begun does not end");
        rounds.in_effect(50_000);
        assert!(!rounds.is_counted(block, 51_999) && rounds.is_counted(block, 52_000));
        assert_eq!(rounds.tick(60_000).and_then(|turn| turn.closed), Some((block, 60_000)));
    }

    #[test]
    fn a_round_is_complete_when_every_arm_that_is_left_has_its_block() {
        let (mut rounds, _) = Rounds::begin(3, TIMING, 3, 0, 0, 0);
        rounds.drop_place(1);
        let first = rounds.restart(0).opened.unwrap();
        rounds.in_effect(0);
        let second = rounds.tick(10_000).and_then(|turn| turn.opened).unwrap();
        assert!(first.1 != 1 && second.1 != 1);
        assert_eq!(rounds.settle(first.0, Vec::new()), None);
        assert_eq!(rounds.settle(first.0 + 77, Vec::new()), None);
        assert_eq!(rounds.settle(second.0, Vec::new()).map(|round| round.len()), Some(3));
        assert_eq!(rounds.void(), 1);
    }
}
