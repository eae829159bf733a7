//! One run from its start to its end, and what it tells.

use perfhost_strategy::StrategyError;
use serde::Serialize;
use thiserror::Error;

use crate::host::{Host, KnobTrack};
use crate::measure::record::{Point, Totals};
use crate::operator::Operator;
use crate::scenario::{Scenario, ScenarioError};

/// Why a run could not begin.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SimulationError {
    /// The scenario makes no sense.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// The strategy refused its parameters, its knobs or the fleet.
    #[error("the strategy cannot begin: {0}")]
    Strategy(#[from] StrategyError),
}

/// What a run tells.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Run {
    /// Requests that arrived, each of which came to an end.
    pub requests: u64,
    /// Over all requests.
    pub whole: Totals,
    /// Over those that arrived in the second half, when a strategy has had time to settle.
    pub second_half: Totals,
    /// Step by step.
    pub points: Vec<Point>,
    /// Knobs that were turned.
    pub knobs: Vec<KnobTrack>,
}

/// Runs a scenario under an operator, and gives the operator back.
pub fn simulate<O: Operator>(scenario: &Scenario, seed: u64, operator: O) -> Result<(Run, O), SimulationError> {
    let settings = scenario.check()?;
    let (recorder, knobs, requests, operator) = Host::new(scenario, settings, seed, operator)?.run();
    let (whole, second_half, points) = recorder.finish();
    Ok((Run { requests, whole, second_half, points, knobs }, operator))
}
