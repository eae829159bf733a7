//! Does a strategy keep to the contract? Made-up and recorded inputs, extremes among them, and a judgement of every answer.
//!
//! Works on the trait [`Strategy`] alone, so it judges components and native test doubles alike. Like the rest of the
//! crate it has no clock and no randomness of its own: the seed makes the inputs, and whoever wants times measured lends
//! a clock. Owns what is looked for and what is said about it; loading is [`perfhost-wasm`]'s, printing the command's.
//!
//! - [`finding`]: what was found, how bad it is, and what to do about it
//! - `numbers`: the seeded generator; `cases`, `requests`: what is made with it
//! - `trial`: fresh instances, calls that are counted and timed, failures that become findings
//! - `description`, `parameters`, `tuning`, `proposals`, `state`, `planning`, `advice`, `endurance`: what is looked at,
//!   in this order

mod advice;
mod cases;
mod description;
mod endurance;
pub mod finding;
mod numbers;
mod parameters;
mod planning;
mod proposals;
mod requests;
mod state;
mod trial;
mod tuning;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::Strategy;
use crate::strategy::World;
use trial::Trial;

pub use cases::Case;
pub use finding::{Finding, Severity};

/// What is asked of a strategy.
pub struct Options<'a> {
    /// What the generated inputs follow from.
    pub seed: u64,
    /// Generated observations, beside the extremes. Other phases make more or fewer calls in proportion.
    pub cases: u32,
    /// Parameters that the strategy is configured with.
    pub parameters: Vec<(String, String)>,
    /// Observations from a decision log.
    pub recorded: Vec<Case>,
    /// Time that one plan may take, as the host's `plan_budget_us` says.
    pub plan_budget: Duration,
    /// Time since any moment. One that stands still measures nothing.
    pub clock: &'a dyn Fn() -> Duration,
    /// The last lines that the newest instance wrote to its log, oldest first. Asked for when a call fails: languages with
    /// a run-time of their own say there what went wrong.
    pub log: &'a dyn Fn() -> Vec<String>,
    /// Told what is looked at from now on, for whoever waits.
    pub progress: &'a dyn Fn(&str),
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
    /// What was done and measured.
    pub figures: Figures,
}

/// Counts and measurements.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Instances made.
    pub instances: u64,
    /// Calls made.
    pub calls: u64,
    /// Observations shown, each to two instances.
    pub observations: u64,
    /// Of these, recorded ones.
    pub recorded: u64,
    /// Proposals judged.
    pub proposals: u64,
    /// Plans judged.
    pub plans: u64,
    /// Largest state that was saved, in bytes.
    pub state_bytes: u64,
    /// Median time of one `propose` in microseconds.
    pub propose_p50_us: f64,
    /// Median time of one plan over three candidates in microseconds.
    pub plan_p50_us: f64,
    /// Memory of the control instance after many calls, in bytes.
    pub control_bytes: u64,
    /// Memory of a planning instance after many calls, in bytes.
    pub planning_bytes: u64,
}

/// Looks at everything. `load` makes an instance to which nothing has been said; it is called some tens of times.
///
/// # Errors
/// Those of `load`. What the strategy does wrong is in the report.
pub fn check<E>(load: &mut dyn FnMut() -> Result<Arc<dyn Strategy>, E>, options: &Options<'_>) -> Result<Report, E> {
    let mut trial = Trial::new(load, options);
    trial.begin("description and parameters");
    let strategy = trial.bare()?;
    description::check(&mut trial, strategy.description());
    if parameters::check(&mut trial)? {
        trial.begin("proposals");
        tuning::check(&mut trial)?;
        trial.begin("saved state");
        state::check(&mut trial)?;
        match strategy.identity().world {
            World::Strategy => {
                trial.begin("plans");
                planning::check(&mut trial)?;
            }
            World::Advisor => {
                trial.begin("advice");
                advice::check(&mut trial)?;
            }
            World::Tuner => {}
        }
        trial.begin("long runs");
        endurance::check(&mut trial)?;
    }
    Ok(trial.report())
}
