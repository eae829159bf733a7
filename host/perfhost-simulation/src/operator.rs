//! Who runs the simulated host: says how each request is served and which settings hold.
//!
//! [`Unattended`] leaves everything at its start; [`strategy::StrategyOperator`] lets a strategy decide, through the
//! guard. An experiment is one more operator: it sends each request the way of one arm or another, or changes the
//! settings block by block, and is told what every request came to.

pub mod strategy;

use std::sync::Arc;

use perfhost_strategy::knob::OfferedKnob;
use perfhost_strategy::plan::FleetNames;
use perfhost_strategy::{Candidate, Observation, Plan, PlanRequest, Settings, StrategyError};

use crate::ending::RequestEnd;
use crate::moment::Moment;

/// Unix time in milliseconds at which every run begins: 1 January 2026.
pub const STARTS_AT_MS: u64 = 1_767_225_600_000;

/// Unix time in milliseconds of a moment.
pub fn unix_ms(moment: Moment) -> u64 {
    STARTS_AT_MS + moment.as_us() / 1_000
}

/// What an operator begins with.
#[derive(Debug)]
pub struct Beginning<'a> {
    /// The settings that the scenario starts with.
    pub settings: Arc<Settings>,
    /// What may be turned: global knobs, those of every provider, and reload knobs of the managed engine.
    pub offered: &'a [OfferedKnob],
    /// What the numbers in plan calls refer to.
    pub fleet: &'a FleetNames,
}

/// How one request is served.
#[derive(Debug, Clone)]
pub struct Direction {
    /// The plan. One that is not valid for the candidates is replaced by the host's own.
    pub plan: Plan,
    /// The settings that hold for this request: queue, timeouts, retries, hedging, time to live of its cached answer.
    pub settings: Arc<Settings>,
    /// Comes back in [`RequestEnd::arm`].
    pub arm: u32,
}

/// Runs the host.
pub trait Operator {
    /// Called once, before the first request.
    fn begin(&mut self, beginning: &Beginning<'_>) -> Result<(), StrategyError>;

    /// Called for each request.
    fn direct(&mut self, asked: &PlanRequest, candidates: &[Candidate]) -> Direction;

    /// Whether observations are wanted at all: making one takes longer than simulating some hundred requests.
    fn is_looking(&self) -> bool {
        true
    }

    /// Called every few seconds with what a strategy would see. Returns new settings for the host as a whole: admission's
    /// limit, the cache's capacity, weights, engines.
    fn look(&mut self, seen: &Observation) -> Option<Arc<Settings>>;

    /// The managed engine runs with the settings asked for last, or cannot and keeps the ones before, and why.
    fn engine_changed(&mut self, _now: Moment, _result: Result<(), &str>) {}

    /// A request is over.
    fn finished(&mut self, _end: &RequestEnd) {}
}

/// No strategy: the host's own plan and the settings of the start.
#[derive(Debug, Default)]
pub struct Unattended {
    settings: Arc<Settings>,
}

impl Operator for Unattended {
    fn begin(&mut self, beginning: &Beginning<'_>) -> Result<(), StrategyError> {
        self.settings = beginning.settings.clone();
        Ok(())
    }

    fn direct(&mut self, asked: &PlanRequest, candidates: &[Candidate]) -> Direction {
        Direction { plan: Plan::default_for(asked, candidates), settings: self.settings.clone(), arm: 0 }
    }

    fn is_looking(&self) -> bool {
        false
    }

    fn look(&mut self, _: &Observation) -> Option<Arc<Settings>> {
        None
    }
}
