//! The value of a knob. What values a knob allows is in [`crate::knob`].

use std::fmt;

use serde::{Deserialize, Serialize};

/// A knob's value. Serialized as the plain JSON value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// On or off.
    Flag(bool),
    /// A whole number in the knob's unit.
    Integer(i64),
    /// A number in the knob's unit; finite once the guard has seen it.
    Number(f64),
    /// One of the knob's choices.
    Text(String),
}

impl Value {
    /// The value as a number, for comparing sizes of change. Flags count 0 and 1; text has none.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Value::Flag(flag) => Some(f64::from(u8::from(*flag))),
            Value::Integer(integer) => Some(*integer as f64),
            Value::Number(number) => Some(*number),
            Value::Text(_) => None,
        }
    }

    /// The type's name as messages use it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Flag(_) => "flag",
            Value::Integer(_) => "integer",
            Value::Number(_) => "number",
            Value::Text(_) => "text",
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Flag(flag) => write!(f, "{flag}"),
            Value::Integer(integer) => write!(f, "{integer}"),
            Value::Number(number) => write!(f, "{number}"),
            Value::Text(text) => f.write_str(text),
        }
    }
}
