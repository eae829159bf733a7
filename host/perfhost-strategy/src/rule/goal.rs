//! The value that a step leads to from a knob's present one.

use super::action::{Aim, Amount, Operation, Step};
use crate::knob::Bounds;
use crate::{KnobId, Value};

impl Step {
    /// The value wanted, which may lie outside the knob's bounds. `None` where the knob is there already or beyond, for
    /// `restore`, and for a share of something that `measured` does not know.
    pub fn goal(&self, present: &Value, measured: impl Fn(&Aim) -> Option<f64>) -> Option<Value> {
        let reach = |aim: &Aim| match aim {
            Aim::Value(value) => Some(value.clone()),
            share @ Aim::Share { .. } => {
                let number = measured(share)?;
                Some(if matches!(present, Value::Integer(_)) {
                    Value::Integer(number as i64)
                } else {
                    Value::Number(number)
                })
            }
        };
        match &self.operation {
            Operation::Set(aim) => reach(aim),
            Operation::RaiseTo(aim) => reach(aim).filter(|aim| is_above(self.knob, aim, present)),
            Operation::LowerTo(aim) => reach(aim).filter(|aim| is_above(self.knob, present, aim)),
            Operation::RaiseBy(amount) => moved(*amount, present, true),
            Operation::LowerBy(amount) => moved(*amount, present, false),
            Operation::Restore => None,
        }
    }
}

/// A number moved by an amount; a whole one by at least 1.
fn moved(amount: Amount, present: &Value, is_upward: bool) -> Option<Value> {
    let number = amount.from(present.as_number()?, is_upward);
    Some(match present {
        Value::Integer(_) if is_upward => Value::Integer(number.ceil() as i64),
        Value::Integer(_) => Value::Integer(number.floor() as i64),
        _ => Value::Number(number),
    })
}

/// Of words, the one that the knob lists first is the highest.
fn is_above(knob: KnobId, one: &Value, other: &Value) -> bool {
    match (one.as_number(), other.as_number(), knob.knob().bounds) {
        (Some(one), Some(other), _) => one > other,
        (_, _, Bounds::OneOf(words)) => {
            let place = |value: &Value| words.iter().position(|word| *value == Value::Text(word.clone()));
            place(one) < place(other)
        }
        _ => false,
    }
}
