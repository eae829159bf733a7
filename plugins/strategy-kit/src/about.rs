//! What a strategy says of itself, as constants.

use crate::control::{Description, Parameter};
use crate::parameters::ParameterInfo;

/// The constant parts of a description.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// Name of the strategy.
    pub name: &'static str,
    /// Its semantic version.
    pub version: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// The goal in measurable terms.
    pub goal: &'static str,
    /// Metrics it reads.
    pub reads: &'static [&'static str],
    /// Knobs it may turn.
    pub turns: &'static [&'static str],
    /// What a user can set.
    pub parameters: &'static [ParameterInfo],
}

impl About {
    /// The contract's form of it.
    pub fn description(&self) -> Description {
        Description {
            name: self.name.to_owned(),
            version: self.version.to_owned(),
            summary: self.summary.to_owned(),
            goal: self.goal.to_owned(),
            reads: owned(self.reads),
            turns: owned(self.turns),
            parameters: self
                .parameters
                .iter()
                .map(|info| Parameter {
                    name: info.name.to_owned(),
                    unit: info.unit.to_owned(),
                    default: info.default_text(),
                    meaning: info.meaning.to_owned(),
                })
                .collect(),
        }
    }
}

/// Owned copies of constant names.
pub fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
