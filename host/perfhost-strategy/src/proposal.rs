//! What a strategy asks for, the guard's verdict on it, and what came of it.

use serde::{Deserialize, Serialize};

use crate::{Scope, Value};

/// "This metric will become `ratio` times what it is."
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExpectedEffect {
    /// One of [`crate::observation::metric::ALL`].
    pub metric: String,
    /// Expected value over present value.
    pub ratio: f64,
}

/// One knob change that a strategy asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// The knob's name.
    pub name: String,
    /// Where to change it.
    pub scope: Scope,
    /// The value wanted.
    pub value: Value,
    /// For people.
    pub reason: String,
    /// What it should bring.
    pub expected: Option<ExpectedEffect>,
    /// 0 to 1.
    pub confidence: f64,
}

/// The guard's answer to a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Taken as asked.
    Applied,
    /// Taken, with a value nearer to the present one.
    Clamped,
    /// Not taken.
    Refused,
    /// Taken back because a guardrail got worse.
    RolledBack,
}

/// A metric before and after a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// One of [`crate::observation::metric::ALL`].
    pub metric: String,
    /// Mean over the window before the change.
    pub before: f64,
    /// Mean over the window after it had settled.
    pub after: f64,
}

/// What came of a proposal: sent to the strategy once when judged, once more when measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The knob's name.
    pub name: String,
    /// Where.
    pub scope: Scope,
    /// The value asked for.
    pub proposed: Value,
    /// The guard's answer.
    pub verdict: Verdict,
    /// Why, in words.
    pub detail: String,
    /// Its effect, once known.
    pub measured: Option<Measurement>,
}
