//! The words and rules of perfhost: knobs, settings, observations, proposals, plans, and the guard that judges them.
//!
//! Pure: no I/O, no clock, no randomness, no WebAssembly, no HTTP. Every decision is a function of its inputs, so each
//! one can be replayed from the decision log. Map of the crate, in the order of a decision's life:
//!
//! - [`value`], [`scope`]: what a knob holds and where it applies
//! - [`knob`]: the registry of every knob, its bounds, step and risk
//! - [`settings`]: the immutable snapshot of every knob's value that hot paths read
//! - [`observation`]: what a strategy sees
//! - [`proposal`]: what it asks for, and what came of it
//! - [`decision`]: what the decision log keeps of it; [`journal`]: what else was said to strategy and guard
//! - [`replay`]: any strategy over a decision log, beside what was recorded
//! - [`guard`]: judges it, applies what is safe, measures, rolls back
//! - [`supervisor`]: when a strategy that keeps failing is retired, and when it is tried again
//! - [`plan`]: its answer for one request
//! - [`rule`]: the written form of "when this is measured for so long, do that"
//! - [`alert`]: what people are told, and when
//! - [`advice`]: its answer on variants of a model
//! - [`grant`]: what a strategy may do
//! - [`strategy`]: the trait that a loaded strategy implements, and how it can fail
//! - [`conformance`]: whether a strategy keeps to the contract; [`typical`]: what its calls are measured with
//! - [`experiment`]: which of several strategies is better, on live traffic
//! - [`generation`]: one loaded strategy in service
//! - [`shared`]: how a new snapshot reaches the hot paths without a lock

pub mod advice;
pub mod alert;
pub mod conformance;
pub mod decision;
pub mod experiment;
pub mod generation;
pub mod grant;
pub mod guard;
pub mod journal;
pub mod knob;
pub mod observation;
pub mod plan;
pub mod proposal;
pub mod replay;
pub mod rule;
pub mod scope;
pub mod settings;
pub mod shared;
pub mod strategy;
pub mod supervisor;
pub mod typical;
pub mod value;

pub use decision::{CycleRecord, Decision, DecisionUpdate};
pub use generation::Generation;
pub use grant::{Grant, Grants};
pub use guard::{Guard, GuardPolicy};
pub use knob::{Knob, KnobId};
pub use observation::Observation;
pub use plan::{Candidate, Plan, PlanRequest};
pub use proposal::{Outcome, Proposal, Verdict};
pub use scope::Scope;
pub use settings::Settings;
pub use shared::{Reader, Shared};
pub use strategy::{Strategy, StrategyError};
pub use supervisor::{Supervisor, SupervisorPolicy};
pub use value::Value;
