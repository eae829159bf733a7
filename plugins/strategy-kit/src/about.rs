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
    /// Metrics it reads, by what it reads them for; the same one may be in several lists.
    pub reads: &'static [&'static [&'static str]],
    /// Knobs it may turn, in the same way.
    pub turns: &'static [&'static [&'static str]],
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
            reads: once(self.reads),
            turns: once(self.turns),
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

/// Every name of the lists, once.
fn once(lists: &[&[&str]]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in lists.iter().copied().flatten() {
        if !names.iter().any(|known| known == name) {
            names.push((*name).to_owned());
        }
    }
    names
}
