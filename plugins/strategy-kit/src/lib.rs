//! What the built-in strategies share: the generated contract, and the parts of a control policy that are the same
//! whatever its goal.
//!
//! Owns reading parameters, windows and knobs, the memory of what was tried, the engine's load and memory, and the
//! bounding of waits. Does not own a goal: which knob is turned when is each strategy's own policy.

pub mod about;
pub mod admission;
pub mod bindings;
pub mod engine;
pub mod export;
pub mod first_token;
pub mod knobs;
pub mod order;
pub mod parameters;
pub mod pauses;
pub mod seen;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod text;
pub mod trials;
pub mod tuning;

pub use bindings::exports::perfhost::strategy::{control, route};
pub use bindings::perfhost::strategy::types;

pub use about::About;
pub use export::{Instance, Policy, Strategy};
pub use knobs::Knobs;
pub use parameters::{ParameterInfo, Parameters};
pub use seen::Seen;
pub use tuning::{Change, Tuning};
