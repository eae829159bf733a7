//! Traffic that an experiment can be deceived by: load that wanders, days and nights, caches, slow arms.

use std::collections::{BTreeMap, VecDeque};

use super::random::Random;

/// What makes outcomes differ from one another, besides chance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// Nothing.
    Independent,
    /// A load that follows itself with this correlation from one request to the next.
    Autocorrelated(f64),
    /// Day and night, one in 5,000 requests.
    Diurnal,
    /// Caches, one a partition: what was asked lately is answered well.
    CarryOver,
    /// The challenger's answers take ten times as long, all within the deadline; failures take the whole deadline.
    LateChallenger,
    /// How a request fares follows from the lengths of its prompt and of its answer, which are known beforehand.
    Lengths,
}

/// What traffic is like in one run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) kind: Kind,
    /// Share of good answers of the incumbent.
    pub(crate) base: f64,
    /// The challenger's gain, relative: 0.1 is a tenth more good answers, or (for times) a tenth less time.
    pub(crate) effect: f64,
    /// How far the load moves the share of good answers.
    pub(crate) swing: f64,
}

/// Who serves a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Server {
    pub(crate) is_challenger: bool,
    /// The arm works on shared state, which takes some twenty requests to follow.
    pub(crate) is_shared: bool,
    /// Where its answers are cached.
    pub(crate) partition: u64,
}

/// One request's fate under an arm.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fate {
    pub(crate) is_good: bool,
    /// Milliseconds.
    pub(crate) response_ms: f64,
    /// What is known beforehand: lengths of prompt and answer, on a scale where both are standard normal.
    pub(crate) lengths: [f64; 2],
}

/// Milliseconds between requests.
pub(crate) const INTERVAL_MS: u64 = 50;

/// Milliseconds.
pub(crate) const DEADLINE_MS: u64 = 10_000;

const TOPICS: usize = 300;
const CACHED: usize = 60;

/// A stream of requests.
pub(crate) struct Traffic {
    shape: Shape,
    random: Random,
    request: u64,
    load: f64,
    /// Topics answered lately, by partition.
    cached: BTreeMap<u64, VecDeque<usize>>,
    /// How far shared state has come to be the challenger's, 0 to 1.
    state: f64,
}

impl Traffic {
    pub(crate) fn new(shape: Shape, seed: u64) -> Self {
        let mut random = Random(seed);
        let load = random.normal();
        Self { shape, random, request: 0, load, cached: BTreeMap::new(), state: 0.0 }
    }

    /// The next request.
    pub(crate) fn next(&mut self, server: Server) -> Fate {
        let Shape { kind, base, effect, swing } = self.shape;
        self.request += 1;
        self.state += (f64::from(server.is_challenger) - self.state) / if server.is_shared { 20.0 } else { 1.0 };
        let lengths = [self.random.normal(), self.random.normal()];
        let load = match kind {
            Kind::Autocorrelated(phi) => {
                self.load = phi * self.load + (1.0 - phi * phi).sqrt() * self.random.normal();
                self.load.tanh()
            }
            Kind::Diurnal => (self.request as f64 * std::f64::consts::TAU / 5_000.0).sin(),
            Kind::Lengths => -(0.8 * lengths[0] + 0.6 * lengths[1]).tanh(),
            Kind::CarryOver => self.look_up(server.partition),
            Kind::Independent | Kind::LateChallenger => 0.0,
        };
        let is_good = self.random.is((base * (1.0 + effect * self.state) + swing * load).clamp(0.0, 1.0));
        let time_ms = (6.0 - load * swing + 0.8 * self.random.normal()).exp();
        let response_ms = match kind {
            Kind::LateChallenger if !is_good => DEADLINE_MS as f64 + 1.0,
            Kind::LateChallenger => time_ms.min(1_000.0) + if server.is_challenger { 4_000.0 } else { 0.0 },
            _ => time_ms * (1.0 - effect * self.state),
        };
        Fate { is_good, response_ms: response_ms.min(DEADLINE_MS as f64 + 1.0), lengths }
    }

    /// A popular topic is asked for more often; 1 for one that is in the cache, −1 for others.
    fn look_up(&mut self, partition: u64) -> f64 {
        let topic = (TOPICS as f64 * self.random.uniform().powi(3)) as usize;
        let cached = self.cached.entry(partition).or_default();
        let is_hit = cached.contains(&topic);
        cached.push_back(topic);
        if cached.len() > CACHED {
            cached.pop_front();
        }
        if is_hit { 1.0 } else { -1.0 }
    }
}
