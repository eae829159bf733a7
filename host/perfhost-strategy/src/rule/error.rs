//! What is wrong with a rule, and where.

use std::fmt;

use thiserror::Error;

/// A place in a text. Lines and columns count from 1, columns in characters; the column after the last one means that
/// something is missing at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Number of the rule, from 1; `None` in a text that is only a part of one.
    pub rule: Option<usize>,
    /// The rule's name, if it has one.
    pub name: Option<String>,
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Position {
    /// The place of byte `at` in `text`.
    pub(super) fn of(text: &str, at: usize) -> Self {
        let before = &text[..text.floor_char_boundary(at)];
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let (line, column) = (before.matches('\n').count() + 1, before[start..].chars().count() + 1);
        Self { rule: None, name: None, line, column }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(rule) = self.rule {
            write!(f, "rule {rule}")?;
            if let Some(name) = &self.name {
                write!(f, " ({name})")?;
            }
            write!(f, ", ")?;
        }
        if self.rule.is_some() || self.line > 1 {
            write!(f, "line {}, ", self.line)?;
        }
        write!(f, "column {}", self.column)
    }
}

/// A mistake in a rule: where, what was found, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{position}: {problem}")]
pub struct RuleError {
    /// Where.
    pub position: Position,
    /// What. In a box, to keep results small.
    pub problem: Box<Problem>,
}

impl RuleError {
    pub(super) fn new(position: Position, problem: Problem) -> Self {
        Self { position, problem: Box::new(problem) }
    }
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Problem {
    /// Something else belongs here.
    #[error("found {found}, expected {expected}")]
    Unexpected {
        /// What was found.
        found: String,
        /// What belongs here.
        expected: String,
    },
    /// A metric, knob or action that does not exist.
    #[error("no {kind} is called `{found}`; {hint}")]
    UnknownName {
        /// What it should be the name of.
        kind: &'static str,
        /// The name.
        found: String,
        /// The nearest known name, or all of them.
        hint: String,
    },
    /// A number with a unit that does not fit.
    #[error("`{found}` is not in a unit of {name}; allowed is {allowed}")]
    Unit {
        /// The number and its unit.
        found: String,
        /// What it is a value of.
        name: String,
        /// Units that fit.
        allowed: &'static str,
    },
    /// A value that a knob does not take.
    #[error("{knob}: {problem}")]
    Value {
        /// The knob.
        knob: &'static str,
        /// What was found and what is allowed.
        problem: String,
    },
    /// A condition that nothing can meet.
    #[error("this can never hold: {why}")]
    NeverHolds {
        /// Why.
        why: String,
    },
    /// The rule would clear while its trigger holds.
    #[error("`until` would hold while the trigger still does; {allowed}")]
    Overlap {
        /// Which threshold is allowed.
        allowed: String,
    },
    /// A provider where there can be none, or none where there must be one.
    #[error("{0}")]
    Scope(String),
    /// An option that is there already.
    #[error("`{option}` is given twice")]
    Twice {
        /// Which.
        option: &'static str,
    },
    /// The name or the whole text of another rule.
    #[error("it has the name or the text of rule {other}")]
    Alike {
        /// Number of the other rule.
        other: usize,
    },
    /// More rules than are allowed.
    #[error("too many rules; allowed are {allowed}")]
    TooMany {
        /// How many are.
        allowed: usize,
    },
    /// A line longer than is allowed.
    #[error("the rule is too long; allowed are {allowed} bytes")]
    TooLong {
        /// How many are.
        allowed: usize,
    },
}
