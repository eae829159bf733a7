//! What is compared. Owns the description of an arm, not the strategy behind it.

use serde::{Deserialize, Serialize};

/// Most arms of one experiment, the incumbent among them.
pub const MOST_ARMS: usize = 8;

/// The arm in service before the experiment; challengers are compared with it.
pub const CONTROL: usize = 0;

/// One arm, named by its place in [`super::Spec::arms`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arm {
    /// For people: the strategy's name, or a strategy and a parameter.
    pub name: String,
    /// What is loaded for it, so that a restart finds the same: the component's digest and its parameters, say.
    pub identity: String,
    /// Names of the knobs that it may set otherwise than another arm: those that a strategy says it turns, or the one
    /// that was stepped.
    pub turns: Vec<String>,
}
