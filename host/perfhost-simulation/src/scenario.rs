//! What is simulated, as data: who asks for what, which machine and providers answer, what goes wrong when, and what
//! counts as a good answer.
//!
//! [`Scenario::default`] is a small world that works; a scenario file names only what differs from it. The built-in
//! scenarios are in [`built_in`], what makes sense is decided in `check`.

pub mod amount;
pub mod arrivals;
pub mod built_in;
mod check;
pub mod provider;
pub mod requests;

use std::collections::BTreeMap;

use perfhost_strategy::Value;
use serde::{Deserialize, Serialize};

pub use amount::Amount;
pub use arrivals::{Arrivals, TraceRow};
pub use check::ScenarioError;
pub use provider::{CloudSpec, EngineSpec, Generation, ModelSpec, ProviderSpec};
pub use requests::{ModelShare, Repeats, Requests};

/// One world and what happens in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// What it shows, in a sentence or two.
    pub about: String,
    /// Time in which requests arrive, in seconds.
    pub duration_s: f64,
    /// Time between two looks of a strategy, in seconds.
    pub interval_s: f64,
    /// When requests arrive.
    pub arrivals: Arrivals,
    /// What they ask for.
    pub requests: Requests,
    /// What counts as a good answer.
    pub objective: Objective,
    /// The machine that perfhost and its managed engine run on.
    pub machine: Machine,
    /// Who answers. Names are unique; at most one is a managed engine.
    pub providers: Vec<ProviderSpec>,
    /// What goes wrong and when.
    pub disturbances: Vec<Disturbance>,
    /// Start values of knobs: `name` or `name@provider`.
    pub knobs: BTreeMap<String, Value>,
}

/// What counts as a good answer (goodput): it succeeded, and kept these limits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Objective {
    /// Time to the first token of a streamed answer, in milliseconds.
    pub first_token_ms: f64,
    /// Time per further token of a streamed answer, in milliseconds.
    pub token_ms: f64,
    /// Time to the whole of an answer that is not streamed, in milliseconds.
    pub response_ms: f64,
}

/// The machine that perfhost runs on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Machine {
    /// Physical cores.
    pub cores: u32,
    /// Memory in all.
    pub memory_bytes: u64,
    /// Memory that other programs hold.
    pub other_bytes: u64,
}

/// Something that is different for a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disturbance {
    /// Seconds from the start to its beginning.
    pub at_s: f64,
    /// Seconds that it lasts.
    pub for_s: f64,
    /// What it does.
    pub effect: Effect,
}

/// What a disturbance does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Effect {
    /// A provider takes that many times as long for everything.
    Slower {
        /// Which.
        provider: String,
        /// How many times as long, from 1.
        factor: f64,
    },
    /// A provider answers that share of requests with 503.
    Failing {
        /// Which.
        provider: String,
        /// From 0 to 1.
        share: f64,
    },
    /// A provider refuses connections; answers under way break off.
    Down {
        /// Which.
        provider: String,
    },
    /// Other programs on perfhost's machine hold more memory.
    Memory {
        /// How much more.
        bytes: u64,
    },
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            name: "unnamed".to_owned(),
            about: String::new(),
            duration_s: 1_800.0,
            interval_s: 5.0,
            arrivals: Arrivals::default(),
            requests: Requests::default(),
            objective: Objective::default(),
            machine: Machine::default(),
            providers: vec![ProviderSpec::Engine(EngineSpec::default())],
            disturbances: Vec::new(),
            knobs: BTreeMap::new(),
        }
    }
}

impl Default for Objective {
    fn default() -> Self {
        Self { first_token_ms: 2_000.0, token_ms: 100.0, response_ms: 10_000.0 }
    }
}

impl Default for Machine {
    /// The two-core machine that the default engine was measured on.
    fn default() -> Self {
        Self { cores: 2, memory_bytes: 16 << 30, other_bytes: 4 << 30 }
    }
}

impl Effect {
    /// The provider that it is about, if it is about one.
    pub fn provider(&self) -> Option<&str> {
        match self {
            Effect::Slower { provider, .. } | Effect::Failing { provider, .. } | Effect::Down { provider } => {
                Some(provider)
            }
            Effect::Memory { .. } => None,
        }
    }
}
