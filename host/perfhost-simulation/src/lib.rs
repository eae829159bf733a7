//! Simulates requests through a host in simulated time: what would this strategy do in that world, and what would come
//! of it?
//!
//! Pure: no I/O, no clock, no threads. The same scenario, seed and strategy give the same run, to the digit (on one
//! platform: logarithms may differ in the last digit between platforms). What decides in production decides here:
//! strategies through their trait, the guard, the supervisor, the settings and the registry of knobs are
//! perfhost-strategy's; only the world around them is a model.
//!
//! Map:
//!
//! - [`scenario`]: a world as data: arrivals, requests, machine, providers, disturbances; the built-in ones
//! - [`simulate`]: runs one; [`run`]: what a run tells
//! - [`operator`]: who runs the host: nobody, a strategy, or, in experiments, somebody else
//! - `host`: the life of a request, phase by phase; `engine`: the model of a model server
//! - `measure`: windows for observations, totals and series for people
//! - `traffic`, `random`, `agenda`, [`moment`], `slab`, `fleet`: requests, randomness, events, time, names
//!
//! What the model does not know: the network, the processor's other work, prompts kept in an engine's cache, and every
//! knob in [`WITHOUT_EFFECT`].

mod agenda;
mod engine;
mod fleet;
mod host;
mod measure;
mod random;
mod slab;
mod traffic;

pub mod ending;
pub mod moment;
pub mod operator;
pub mod run;
pub mod scenario;

use perfhost_strategy::KnobId;

pub use ending::{CacheUse, Ending, RequestEnd};
pub use host::KnobTrack;
pub use measure::record::{Point, Totals};
pub use moment::Moment;
pub use operator::strategy::{Account, StrategyOperator};
pub use operator::{Operator, Unattended};
pub use run::{Run, SimulationError, simulate};
pub use scenario::{Scenario, ScenarioError};

/// Knobs that can be turned and change nothing but, where they are reload knobs, that an engine is replaced: how they
/// act has not been measured.
pub const WITHOUT_EFFECT: &[KnobId] = &[
    KnobId::PoolSize,
    KnobId::PoolIdle,
    KnobId::PlanBudget,
    KnobId::EngineBatch,
    KnobId::EngineMicroBatch,
    KnobId::EngineThreads,
    KnobId::EngineFlashAttention,
    KnobId::EngineCacheReuse,
];
