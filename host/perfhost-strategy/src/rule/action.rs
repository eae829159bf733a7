//! What a rule does: steps, each of which turns one knob.

use super::condition::Statistic;
use crate::{KnobId, Value};

/// One action as it was written, with what it comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    /// As it was written.
    pub written: String,
    /// What it comes to; at least one.
    pub steps: Vec<Step>,
}

/// One knob to turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Which.
    pub knob: KnobId,
    /// How.
    pub operation: Operation,
    /// Where; without meaning for a knob of the whole host.
    pub place: Place,
}

/// At which providers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// At the provider that the rule's trigger looks at; at every one, if it looks at none.
    Unsaid,
    /// At this one.
    Provider(String),
    /// `@heavier`: at every provider but the lightest, which is the one with the shortest time per output token.
    Heavier,
}

/// How a knob is turned.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// To this.
    Set(Aim),
    /// Up to this, if it is lower. Of words, the one that the knob lists first is the highest.
    RaiseTo(Aim),
    /// Down to this, if it is higher.
    LowerTo(Aim),
    /// Up by so much.
    RaiseBy(Amount),
    /// Down by so much.
    LowerBy(Amount),
    /// Back to what it was before any rule turned it.
    Restore,
}

/// A value to reach.
#[derive(Debug, Clone, PartialEq)]
pub enum Aim {
    /// This one; of the knob's type and within its bounds.
    Value(Value),
    /// A share of what is measured when the rule fires.
    Share {
        /// 1 for all of it.
        share: f64,
        /// Of this metric, which has the knob's unit.
        metric: &'static str,
        /// Of this number of its distribution.
        statistic: Statistic,
    },
}

/// How far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Amount {
    /// In the knob's unit; above 0.
    By(f64),
    /// A share of the present value; above 0.
    Share(f64),
    /// As often; above 1. Lowering divides.
    Times(f64),
}

impl Amount {
    /// The value that is this far above `present`, or below it.
    pub fn from(self, present: f64, is_upward: bool) -> f64 {
        match (self, is_upward) {
            (Amount::By(amount), true) => present + amount,
            (Amount::By(amount), false) => present - amount,
            (Amount::Share(share), true) => present * (1.0 + share),
            (Amount::Share(share), false) => present * (1.0 - share),
            (Amount::Times(times), true) => present * times,
            (Amount::Times(times), false) => present / times,
        }
    }
}
