//! Traffic that an experiment can be deceived by: load that wanders, days and nights, caches, slow arms.

use std::collections::VecDeque;

use crate::random::Random;

/// What makes outcomes differ from one another, besides chance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// Nothing.
    Independent,
    /// A load that follows itself with this correlation from one request to the next.
    Autocorrelated(f64),
    /// Day and night, one in 5,000 requests.
    Diurnal,
    /// A cache that all requests share: what was asked lately is answered well.
    CarryOver,
    /// The challenger's answers take ten times as long, all within the deadline; failures take the whole deadline.
    LateChallenger,
    /// How a request fares follows from its length, which is known beforehand.
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

/// One request's fate under an arm.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fate {
    pub(crate) is_good: bool,
    /// Milliseconds.
    pub(crate) response_ms: f64,
    /// What is known beforehand.
    pub(crate) length: f64,
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
    cached: VecDeque<usize>,
    /// How far shared state has come to be the challenger's, 0 to 1.
    state: f64,
}

impl Traffic {
    pub(crate) fn new(shape: Shape, seed: u64) -> Self {
        let mut random = Random(seed);
        let load = random.normal();
        Self { shape, random, request: 0, load, cached: VecDeque::new(), state: 0.0 }
    }

    /// The next request, served by the challenger or not. With `is_shared` the arm works on shared state, which takes
    /// some twenty requests to follow.
    pub(crate) fn next(&mut self, is_challenger: bool, is_shared: bool) -> Fate {
        self.request += 1;
        self.state += (f64::from(is_challenger) - self.state) / if is_shared { 20.0 } else { 1.0 };
        let length = self.random.normal();
        let load = match self.shape.kind {
            Kind::Autocorrelated(phi) => {
                self.load = phi * self.load + (1.0 - phi * phi).sqrt() * self.random.normal();
                self.load.tanh()
            }
            Kind::Diurnal => (self.request as f64 * std::f64::consts::TAU / 5_000.0).sin(),
            Kind::Lengths => -length.tanh(),
            Kind::CarryOver => {
                // Popular topics are asked for more often.
                let topic = (TOPICS as f64 * self.random.uniform().powi(3)) as usize;
                let is_hit = self.cached.contains(&topic);
                self.cached.push_back(topic);
                if self.cached.len() > CACHED {
                    self.cached.pop_front();
                }
                if is_hit { 1.0 } else { -1.0 }
            }
            Kind::Independent | Kind::LateChallenger => 0.0,
        };
        let share = self.shape.base * (1.0 + self.shape.effect * self.state) + self.shape.swing * load;
        let is_good = self.random.is(share.clamp(0.0, 1.0));
        let time = (6.0 - load * self.shape.swing + 0.8 * self.random.normal()).exp();
        let response_ms = match self.shape.kind {
            Kind::LateChallenger if !is_good => DEADLINE_MS as f64 + 1.0,
            Kind::LateChallenger => 300.0 + 300.0 * self.random.uniform() + if is_challenger { 4_000.0 } else { 0.0 },
            _ => time * (1.0 - self.shape.effect * self.state),
        };
        Fate { is_good, response_ms: response_ms.min(DEADLINE_MS as f64 + 1.0), length }
    }
}
