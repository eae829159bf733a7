//! From requests under way to observations: who is counted, when it is settled, and in which order it counts.
//!
//! Observations are handed on in the order in which units were *assigned*, each when all requests of it have ended or
//! passed their deadline, and never before an earlier one. Fast outcomes would otherwise come first: an arm whose answers
//! are quick and whose failures are slow would look flawless at every look, and an estimate over what happens to have
//! arrived is no martingale (Lindon & Kallus 2026, arXiv 2603.25971). In order of assignment it is one, whatever arrives
//! when; the price is that evidence lags by at most the deadline.
//!
//! A unit is a request, a session's or user's first [`UNIT_WINDOW_MS`], or a block of time. A session or user counts
//! once: its later requests keep their arm but say nothing new about chance.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::metric::Metric;
use super::outcome::{Outcome, Slo};
use super::statistics::adjustment::MOST_COVARIATES;
use super::tally::Tally;

/// A session or user is observed for this long from its first request.
pub const UNIT_WINDOW_MS: u64 = 600_000;

/// Most units waiting to be settled. Beyond it requests are served and not counted, whichever arm they have.
pub const MOST_WAITING: usize = 65_536;

/// Most sessions or users that are remembered as counted. Beyond it new ones are not counted.
pub const MOST_UNITS: usize = 65_536;

/// How long after a session, user or block closed word of its requests may still come.
const REPORTING_MS: u64 = 5_000;

/// Ended requests that are remembered to tell late results from unknown ones.
const MOST_EXPIRED: usize = 1_024;

/// A settled unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Settled {
    /// The session, user or block; `None` for a request.
    pub key: Option<u64>,
    /// Place of its arm in the stage.
    pub place: usize,
    /// What was known of its first request.
    pub covariates: [f64; MOST_COVARIATES],
    /// Its requests, by metric.
    pub tallies: Vec<Tally>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Waiting {
    key: Option<u64>,
    place: usize,
    /// No request joins from then on, Unix time in milliseconds.
    closes_ms: u64,
    /// Requests that have not ended.
    open: u32,
    covariates: [f64; MOST_COVARIATES],
    tallies: Vec<Tally>,
}

impl Waiting {
    fn is_settled(&self, now_ms: u64) -> bool {
        let reported_ms = if self.key.is_some() { self.closes_ms.saturating_add(REPORTING_MS) } else { 0 };
        self.open == 0 && reported_ms <= now_ms
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Open {
    /// Number of the unit that it belongs to.
    unit: u64,
    /// Unix time in milliseconds.
    deadline_ms: u64,
}

/// Units in order of assignment, and their requests under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settlement {
    slo: Slo,
    metrics: Vec<Metric>,
    waiting: VecDeque<Waiting>,
    /// Number of the unit at the front; others follow.
    front: u64,
    /// Requests that have not ended.
    requests: BTreeMap<u64, Open>,
    /// (deadline, request) of the same, earliest first.
    deadlines: BTreeSet<(u64, u64)>,
    /// Number of the unit that a session, user or block is, while it waits.
    keys: BTreeMap<u64, u64>,
    counted_keys: BTreeSet<u64>,
    expired: VecDeque<u64>,
    /// Results that came after their deadline had settled them.
    late: u64,
    /// Requests that were not counted for want of room.
    turned_away: u64,
}

impl Settlement {
    /// Nothing under way.
    pub fn new(slo: Slo, metrics: Vec<Metric>) -> Self {
        Self {
            slo,
            metrics,
            waiting: VecDeque::new(),
            front: 0,
            requests: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            keys: BTreeMap::new(),
            counted_keys: BTreeSet::new(),
            expired: VecDeque::new(),
            late: 0,
            turned_away: 0,
        }
    }

    /// A request that is a unit by itself. Whether it is counted.
    pub fn assign_request(&mut self, id: u64, place: usize, at_ms: u64, covariates: [f64; MOST_COVARIATES]) -> bool {
        if self.requests.contains_key(&id) || !self.has_room() {
            return false;
        }
        let number = self.push(None, place, at_ms, covariates, false);
        self.join(id, number, at_ms)
    }

    /// A request of a session or user. Whether it is counted.
    pub fn assign_member(
        &mut self,
        id: u64,
        key: u64,
        place: usize,
        at_ms: u64,
        covariates: [f64; MOST_COVARIATES],
    ) -> bool {
        let number = match self.keys.get(&key).copied() {
            Some(number) => number,
            None if self.counted_keys.contains(&key) => return false,
            None if !self.has_room() || self.counted_keys.len() >= MOST_UNITS => {
                self.turned_away += 1;
                return false;
            }
            None => {
                self.counted_keys.insert(key);
                self.push(Some(key), place, at_ms.saturating_add(UNIT_WINDOW_MS), covariates, false)
            }
        };
        // A unit that was counted in one arm says nothing of another.
        let is_open = self.unit(number).is_some_and(|unit| unit.place == place && at_ms < unit.closes_ms);
        is_open && self.join(id, number, at_ms)
    }

    /// A block begins; it is a unit even if no request comes.
    pub fn open_block(&mut self, block: u64, place: usize) {
        self.push(Some(block), place, u64::MAX, [0.0; MOST_COVARIATES], true);
    }

    /// A request of a block. Whether it is counted.
    pub fn assign_to_block(&mut self, id: u64, block: u64, at_ms: u64) -> bool {
        let Some(number) = self.keys.get(&block).copied() else { return false };
        let is_open = self.unit(number).is_some_and(|unit| at_ms < unit.closes_ms);
        is_open && self.join(id, number, at_ms)
    }

    /// A block ends: requests that arrived from `at_ms` on are not its own.
    pub fn close_block(&mut self, block: u64, at_ms: u64) {
        if let Some(unit) = self.keys.get(&block).copied().and_then(|number| self.unit_mut(number)) {
            unit.closes_ms = at_ms;
        }
    }

    /// A request ended.
    pub fn finish(&mut self, id: u64, outcome: &Outcome) {
        if !self.settle(id, outcome) && self.expired.contains(&id) {
            self.late += 1;
            self.expired.retain(|expired| *expired != id);
        }
    }

    /// Settles what has passed its deadline, and hands on what is settled, in order.
    pub fn take_settled(&mut self, now_ms: u64) -> Vec<Settled> {
        let missed = Outcome::missed(&self.slo);
        while let Some((_, id)) = self.deadlines.first().copied().filter(|(at_ms, _)| *at_ms <= now_ms) {
            if self.settle(id, &missed) {
                self.expired.push_back(id);
                if self.expired.len() > MOST_EXPIRED {
                    self.expired.pop_front();
                }
            }
        }
        let mut settled = Vec::new();
        while let Some(unit) = self.waiting.pop_front_if(|unit| unit.is_settled(now_ms)) {
            self.front += 1;
            if let Some(key) = unit.key {
                self.keys.remove(&key);
            }
            let Waiting { key, place, covariates, tallies, .. } = unit;
            settled.push(Settled { key, place, covariates, tallies });
        }
        settled
    }

    /// Units so far: requests, sessions or users, or blocks.
    pub fn units(&self) -> u64 {
        self.front + self.waiting.len() as u64
    }

    /// Requests under way.
    pub fn open(&self) -> usize {
        self.requests.len()
    }

    /// Results that came after their deadline had settled them; they changed nothing.
    pub fn late(&self) -> u64 {
        self.late
    }

    /// Requests that were not counted for want of room.
    pub fn turned_away(&self) -> u64 {
        self.turned_away
    }

    fn has_room(&mut self) -> bool {
        let has_room = self.waiting.len() < MOST_WAITING;
        self.turned_away += u64::from(!has_room);
        has_room
    }

    fn push(
        &mut self,
        key: Option<u64>,
        place: usize,
        closes_ms: u64,
        covariates: [f64; MOST_COVARIATES],
        is_block: bool,
    ) -> u64 {
        let number = self.units();
        if let Some(key) = key {
            self.keys.insert(key, number);
        }
        let tallies = self.metrics.iter().map(|metric| Tally::new(metric, is_block)).collect();
        self.waiting.push_back(Waiting { key, place, closes_ms, open: 0, covariates, tallies });
        number
    }

    fn join(&mut self, id: u64, unit: u64, at_ms: u64) -> bool {
        if self.requests.contains_key(&id) {
            return false;
        }
        // One block or user could hold any number of requests.
        if self.requests.len() >= MOST_WAITING {
            self.turned_away += 1;
            return false;
        }
        let deadline_ms = at_ms.saturating_add(self.slo.deadline_ms);
        self.requests.insert(id, Open { unit, deadline_ms });
        self.deadlines.insert((deadline_ms, id));
        if let Some(unit) = self.unit_mut(unit) {
            unit.open += 1;
        }
        true
    }

    fn settle(&mut self, id: u64, outcome: &Outcome) -> bool {
        let Some(open) = self.requests.remove(&id) else { return false };
        self.deadlines.remove(&(open.deadline_ms, id));
        let Some(at) = open.unit.checked_sub(self.front) else { return false };
        let Self { waiting, metrics, slo, .. } = self;
        let Some(unit) = waiting.get_mut(at as usize) else { return false };
        unit.open = unit.open.saturating_sub(1);
        for (tally, metric) in unit.tallies.iter_mut().zip(metrics.iter()) {
            tally.observe(metric, outcome, slo);
        }
        true
    }

    fn unit(&self, number: u64) -> Option<&Waiting> {
        self.waiting.get(number.checked_sub(self.front)? as usize)
    }

    fn unit_mut(&mut self, number: u64) -> Option<&mut Waiting> {
        self.waiting.get_mut(number.checked_sub(self.front)? as usize)
    }
}
