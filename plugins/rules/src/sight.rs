//! An observation as the language of rules reads it, and the contract's values as its values.

use perfhost_strategy::observation::Summary;
use perfhost_strategy::rule::Measured;
use perfhost_strategy::{KnobId, Value};
use strategy_kit::types;
use strategy_kit::{Knobs, Seen};

/// What conditions are read from.
#[derive(Debug, Clone, Copy)]
pub struct Sight<'a>(pub Seen<'a>);

impl Measured for Sight<'_> {
    fn each(&self, metric: &str, show: &mut dyn FnMut(&str, u32, &Summary)) {
        for found in self.0.observation.metrics.iter().filter(|found| found.name == metric) {
            let types::Summary { count, mean, min, max, p50, p95, p99 } = found.summary;
            show(&found.scope, found.window_ms, &Summary { count, mean, min, max, p50, p95, p99 });
        }
    }
}

impl Sight<'_> {
    /// A knob's present value.
    pub fn present(&self, knob: KnobId, scope: &str) -> Option<Value> {
        self.0.value(knob.name(), scope).map(from_contract)
    }
}

/// The nearest value that the knob takes here; as it is, where it is not on offer, for the host to say so.
pub fn within(knobs: &Knobs, knob: KnobId, scope: &str, wanted: &Value) -> Value {
    let bounds = knobs.find(knob.name(), scope).map(|offered| &offered.bounds);
    match (bounds, wanted) {
        (Some(types::Bounds::IntegerRange((lowest, highest))), Value::Integer(wanted)) => {
            Value::Integer((*wanted).min(*highest).max(*lowest))
        }
        (Some(types::Bounds::NumberRange((lowest, highest))), Value::Number(wanted)) => {
            Value::Number(wanted.min(*highest).max(*lowest))
        }
        _ => knob.knob().bounds.clamp(wanted).unwrap_or_else(|| wanted.clone()),
    }
}

/// A value of the contract.
pub fn from_contract(value: &types::Value) -> Value {
    match value {
        types::Value::Flag(flag) => Value::Flag(*flag),
        types::Value::Integer(integer) => Value::Integer(*integer),
        types::Value::Number(number) => Value::Number(*number),
        types::Value::Text(text) => Value::Text(text.clone()),
    }
}

/// The contract's value.
pub fn to_contract(value: &Value) -> types::Value {
    match value {
        Value::Flag(flag) => types::Value::Flag(*flag),
        Value::Integer(integer) => types::Value::Integer(*integer),
        Value::Number(number) => types::Value::Number(*number),
        Value::Text(text) => types::Value::Text(text.clone()),
    }
}
