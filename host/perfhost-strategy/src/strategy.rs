//! The trait that a loaded strategy implements, and how a call to one can fail.
//!
//! perfhost-wasm implements it for components; tests implement it natively.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::advice::{Advice, Choice};
use crate::grant::Grants;
use crate::journal::Told;
use crate::knob::OfferedKnob;
use crate::observation::Hardware;
use crate::plan::FleetNames;
use crate::{Candidate, Observation, Outcome, Plan, PlanRequest, Proposal};

/// A setting of a strategy itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// The value it has when the user sets none.
    pub default: String,
    /// For people.
    pub meaning: String,
}

/// What a strategy says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Its name.
    pub name: String,
    /// Its own semantic version.
    pub version: String,
    /// One sentence.
    pub summary: String,
    /// Its goal in measurable terms.
    pub goal: String,
    /// Metrics it reads.
    pub reads: Vec<String>,
    /// Knobs it may turn.
    pub turns: Vec<String>,
    /// What a user can set.
    pub parameters: Vec<Parameter>,
}

/// Which of the contract's worlds a strategy implements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum World {
    /// Tunes knobs and plans requests.
    Strategy,
    /// Tunes knobs.
    Tuner,
    /// Tunes knobs and advises on variants.
    Advisor,
}

/// Names one loaded strategy exactly, in logs, headers and records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// From its description.
    pub name: String,
    /// From its description.
    pub version: String,
    /// SHA-256 of the plugin file, in hexadecimal.
    pub digest: String,
    /// What it implements.
    pub world: World,
    /// Where it was loaded from: `built-in NAME`, a path, or `upload NAME`.
    pub source: String,
}

/// What the host holds one strategy to: the stricter of its own rules and those for this strategy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Allowance {
    /// What it may do.
    pub grants: Grants,
    /// Time that it may take to plan one request, where it has less than the `plan_budget_us` knob says.
    #[serde(skip)]
    pub plan_budget: Option<Duration>,
    /// Its limits by name; the unit is the name's ending, or a count. Empty where nothing limits it.
    pub limits: BTreeMap<&'static str, u64>,
}

static UNLIMITED: LazyLock<Allowance> = LazyLock::new(Allowance::default);

/// Bytes of linear memory of a strategy's instances; 0 where there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct InstanceMemory {
    /// Of the control instance.
    pub control_bytes: u64,
    /// Of the largest idle planning instance.
    pub planning_bytes: u64,
}

/// What became of a strategy's planning instances since it was loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct InstanceCounts {
    /// Made, for whatever reason.
    pub made: u64,
    /// Of those, made by a plan that waited for it, which happens only to a strategy that nobody has warmed.
    pub made_while_planning: u64,
    /// Plans of a warmed strategy for which no instance was free, so that the host's own plan served.
    pub missed: u64,
    /// Replaced because their memory had grown or they had served their share of calls.
    pub retired: u64,
    /// Lost to a failed call.
    pub failed: u64,
}

/// How a call to a strategy failed. The message names the cause; the caller names the strategy.
#[derive(Debug, Clone, Error, PartialEq, Eq, Serialize)]
#[serde(tag = "code", content = "message", rename_all = "kebab-case")]
pub enum StrategyError {
    /// The guest trapped; with its backtrace where there is one.
    #[error("trapped in {call}: {message}")]
    Trap {
        /// The contract's function.
        call: &'static str,
        /// The trap and the guest's backtrace.
        message: String,
    },
    /// The call went past its time limit.
    #[error("{call} took longer than its limit of {limit_ms} ms")]
    Timeout {
        /// The contract's function.
        call: &'static str,
        /// The limit.
        limit_ms: u64,
    },
    /// The guest asked for more memory than its limit.
    #[error("{call} ran out of memory: asked for {asked_bytes} bytes, limit {limit_bytes}")]
    OutOfMemory {
        /// The contract's function.
        call: &'static str,
        /// What it asked for in all.
        asked_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// The answer was larger than its limit.
    #[error("{call} answered too much: {what} is {size}, limit {limit}")]
    OutputTooLarge {
        /// The contract's function.
        call: &'static str,
        /// Which part of the answer.
        what: &'static str,
        /// Its size (items or bytes).
        size: u64,
        /// The limit in the same unit.
        limit: u64,
    },
    /// The answer breaks the contract's rules.
    #[error("{call} gave an invalid answer: {message}")]
    InvalidAnswer {
        /// The contract's function.
        call: &'static str,
        /// What is wrong and what is allowed.
        message: String,
    },
    /// The guest called an import that it is not granted.
    #[error("{call} used {import}, which strategies are not granted")]
    NotGranted {
        /// The contract's function.
        call: &'static str,
        /// The import.
        import: String,
    },
    /// The guest answered with a fault of its own.
    #[error("{call} failed: {message}")]
    Fault {
        /// The contract's function.
        call: &'static str,
        /// The guest's words.
        message: String,
    },
    /// The strategy does not export the interface that the call belongs to.
    #[error("{call} is not exported by this strategy")]
    NotExported {
        /// The contract's function.
        call: &'static str,
    },
    /// Every instance is in use, or being made. Not the strategy's failure.
    #[error("no instance is free for {call}")]
    Busy {
        /// The contract's function.
        call: &'static str,
    },
}

impl StrategyError {
    /// A stable word for each kind of failure.
    pub fn code(&self) -> &'static str {
        match self {
            StrategyError::Trap { .. } => "trap",
            StrategyError::Timeout { .. } => "timeout",
            StrategyError::OutOfMemory { .. } => "out-of-memory",
            StrategyError::OutputTooLarge { .. } => "output-too-large",
            StrategyError::InvalidAnswer { .. } => "invalid-answer",
            StrategyError::NotGranted { .. } => "not-granted",
            StrategyError::Fault { .. } => "fault",
            StrategyError::NotExported { .. } => "not-exported",
            StrategyError::Busy { .. } => "busy",
        }
    }

    /// The contract's function that failed.
    pub fn call(&self) -> &'static str {
        match self {
            StrategyError::Trap { call, .. }
            | StrategyError::Timeout { call, .. }
            | StrategyError::OutOfMemory { call, .. }
            | StrategyError::OutputTooLarge { call, .. }
            | StrategyError::InvalidAnswer { call, .. }
            | StrategyError::NotGranted { call, .. }
            | StrategyError::Fault { call, .. }
            | StrategyError::NotExported { call }
            | StrategyError::Busy { call } => call,
        }
    }

    /// What to do about it, as an instruction to the strategy's author.
    pub fn fix(&self) -> String {
        match self {
            StrategyError::Trap { call, .. } => {
                format!(
                    "find what panics or aborts in {call}, and answer a fault instead where an answer is not possible"
                )
            }
            StrategyError::Timeout { call, limit_ms } => {
                format!(
                    "make {call} end within {limit_ms} ms of processor time; do longer work in small steps over many calls"
                )
            }
            StrategyError::OutOfMemory { limit_bytes, .. } => {
                format!(
                    "keep within {limit_bytes} bytes: drop what is no longer needed, and bound every list that grows"
                )
            }
            StrategyError::OutputTooLarge { limit, what, .. } => format!("answer with {what} of at most {limit}"),
            StrategyError::InvalidAnswer { call: "plan-request", .. } => {
                "name each candidate of this call at most once, by its place in the list, and at least one".to_owned()
            }
            StrategyError::InvalidAnswer { call: "propose" | "recommend", .. } => {
                "answer finite numbers only: look for divisions by counts and windows that are empty".to_owned()
            }
            StrategyError::InvalidAnswer { call, .. } => {
                format!("answer {call} as the contract says, with its bindings as they are generated")
            }
            StrategyError::NotGranted { import, .. } => {
                format!("do without {import}: strategies have no files, network, environment or clock of their own")
            }
            StrategyError::Fault { call, .. } => {
                format!("answer {call} where an answer is possible; what is missing is in the message")
            }
            StrategyError::NotExported { call } => {
                format!("export the interface that {call} belongs to, or do not call it")
            }
            StrategyError::Busy { .. } => "allow more instances (limit warm_max), or call again later".to_owned(),
        }
    }
}

/// A loaded strategy. Calls are synchronous and bounded in time; every method may be called from any thread.
pub trait Strategy: Send + Sync {
    /// Exactly which strategy this is.
    fn identity(&self) -> &Identity;

    /// What it says of itself.
    fn description(&self) -> &Description;

    /// What it is held to. A strategy that is part of the host may do everything.
    fn allowance(&self) -> &Allowance {
        &UNLIMITED
    }

    /// Sets the user's parameters and the knobs it may turn.
    fn configure(&self, parameters: &[(String, String)], knobs: &[OfferedKnob]) -> Result<(), StrategyError>;

    /// Asks for knob changes.
    fn propose(&self, seen: &Observation) -> Result<Vec<Proposal>, StrategyError>;

    /// Tells it what came of its proposals.
    fn learn(&self, outcomes: &[Outcome]) -> Result<(), StrategyError>;

    /// Its state, for the next generation or the next start.
    fn save(&self) -> Result<Vec<u8>, StrategyError>;

    /// Hands it state that `save` gave.
    fn restore(&self, state: &[u8]) -> Result<(), StrategyError>;

    /// Tells it what the indexes of later plan calls refer to.
    fn fleet(&self, names: &FleetNames) -> Result<(), StrategyError>;

    /// Plans one request. [`StrategyError::NotExported`] for tuners and advisors.
    fn plan(&self, asked: &PlanRequest, candidates: &[Candidate]) -> Result<Plan, StrategyError>;

    /// Recommends variants. [`StrategyError::NotExported`] for all but advisors.
    fn advise(
        &self,
        on: &Hardware,
        context_tokens: u32,
        parallel: u32,
        choices: &[Choice],
    ) -> Result<Vec<Advice>, StrategyError>;

    /// Makes ready for `together` requests that are planned at the same moment. From then on, until [`Strategy::rest`],
    /// no plan waits for the making or the set-up of an instance: one may be planned with what the strategy was told a
    /// moment ago, and where no instance is free the answer is [`StrategyError::Busy`], or why none could be made.
    /// Without it plans come from tools, one after another, and each waits for what it needs.
    fn warm(&self, _together: usize) -> Result<(), StrategyError> {
        Ok(())
    }

    /// Makes the control instance anew from what it was told and has saved. What it did not save is lost, as the contract
    /// says of every instance; call it only when nothing is under way.
    fn renew(&self) -> Result<(), StrategyError> {
        Ok(())
    }

    /// What it was told from the proposal before the last one to the last one. Known only where it is written down, for
    /// the decision log.
    fn told(&self) -> Told {
        Told::default()
    }

    /// Memory of its instances at present.
    fn memory(&self) -> InstanceMemory {
        InstanceMemory::default()
    }

    /// What became of its planning instances.
    fn instances(&self) -> InstanceCounts {
        InstanceCounts::default()
    }

    /// Gives back what is idle (warm instances). Called every few seconds.
    fn trim(&self) {}

    /// It left service: gives back all that it can make anew. What it has saved stays, and any call makes it work again.
    fn rest(&self) {}

    /// Warm instances held at present, for `plugin inspect`.
    fn warm_instances(&self) -> usize {
        0
    }
}
