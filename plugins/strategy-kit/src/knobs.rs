//! The knobs that the host offers, and what values they take.

use crate::types::{Bounds, Knob, Value};

/// What may be turned, as given in `configure`.
#[derive(Debug, Clone, Default)]
pub struct Knobs(Vec<Knob>);

impl Knobs {
    /// Takes what the host offers.
    pub fn new(offered: Vec<Knob>) -> Self {
        Self(offered)
    }

    /// The knob of that name in that scope, if it is offered.
    pub fn find(&self, name: &str, scope: &str) -> Option<&Knob> {
        self.0.iter().find(|knob| knob.name == name && knob.scope == scope)
    }

    /// The scopes in which `name` is offered.
    pub fn scopes_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |knob| knob.name == name).map(|knob| knob.scope.as_str())
    }

    /// The whole number within the knob's bounds that is nearest to `wanted`; `None` when it is not offered or takes
    /// something else.
    pub fn nearest(&self, name: &str, scope: &str, wanted: i64) -> Option<i64> {
        match self.find(name, scope)?.bounds {
            Bounds::IntegerRange((lowest, highest)) => Some(wanted.clamp(lowest, highest.max(lowest))),
            _ => None,
        }
    }

    /// Whether `word` is one of the knob's words.
    pub fn takes_word(&self, name: &str, scope: &str, word: &str) -> bool {
        self.find(name, scope)
            .is_some_and(|knob| matches!(&knob.bounds, Bounds::OneOf(words) if words.iter().any(|one| one == word)))
    }

    /// The default of a knob that takes whole numbers.
    pub fn default_integer(&self, name: &str, scope: &str) -> Option<i64> {
        match self.find(name, scope)?.default {
            Value::Integer(value) => Some(value),
            _ => None,
        }
    }
}
