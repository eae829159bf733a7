//! What a strategy may do, as a set of grants: one small type, read from words, joined with others, asked by whoever
//! answers a strategy.
//!
//! It owns which grants there are and what they are called. Each is enforced where the thing granted is: log, history and
//! plan in the sandbox, state and turn where the host keeps state and offers knobs.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use thiserror::Error;

use crate::KnobId;
use crate::knob::OfferedKnob;

/// How a grant of one knob begins.
const TURN_ONE: &str = "turn:";

/// One thing that a strategy may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grant {
    /// `log`: what it writes reaches the log; without, it is dropped.
    Log,
    /// `history`: queries of recorded windows are answered; without, with nothing.
    History,
    /// `state`: what it saved is handed to its next version and kept over restarts; without, each start is afresh.
    State,
    /// `plan`: it plans requests; without, the host's own plan serves.
    Plan,
    /// `turn`: it may turn every knob on offer.
    TurnAny,
    /// `turn:KNOB`: it may turn this knob.
    Turn(KnobId),
}

/// A set of grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grants(BTreeSet<Grant>);

/// A word that is no grant.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GrantError {
    /// Nothing of that name can be granted.
    #[error("{0:?} is no grant; there are log, history, state, plan, turn (every knob) and turn:KNOB")]
    Unknown(String),
    /// There is no such knob.
    #[error("{0:?} grants a knob that does not exist; there are {names}", names = knob_names())]
    UnknownKnob(String),
}

fn knob_names() -> String {
    KnobId::ALL.iter().map(|id| id.name()).collect::<Vec<_>>().join(", ")
}

impl Grants {
    /// All of them: what a strategy has for which nothing else is configured.
    pub fn everything() -> Self {
        Self([Grant::Log, Grant::History, Grant::State, Grant::Plan, Grant::TurnAny].into())
    }

    /// None of them.
    pub fn nothing() -> Self {
        Self(BTreeSet::new())
    }

    /// Reads words such as `log` and `turn:engine_slots`.
    ///
    /// # Errors
    /// [`GrantError`] for the first word that is no grant.
    pub fn parse<Word: AsRef<str>>(words: &[Word]) -> Result<Self, GrantError> {
        words.iter().map(|word| word.as_ref().parse()).collect::<Result<_, _>>().map(Self)
    }

    /// Whether `grant` is among them, by itself or through `turn`.
    pub fn allow(&self, grant: Grant) -> bool {
        self.0.contains(&grant) || (matches!(grant, Grant::Turn(_)) && self.0.contains(&Grant::TurnAny))
    }

    /// What both sets allow: effective grants are those of the host and of the strategy.
    pub fn both(&self, other: &Self) -> Self {
        let of_self = self.0.iter().filter(|grant| other.allow(**grant));
        let of_other = other.0.iter().filter(|grant| self.allow(**grant));
        Self(of_self.chain(of_other).copied().collect())
    }

    /// Those of the knobs on offer that may be turned.
    pub fn of_offered(&self, offered: &[OfferedKnob]) -> Vec<OfferedKnob> {
        offered.iter().filter(|offered| self.allow(Grant::Turn(offered.knob.id))).cloned().collect()
    }

    /// The words that [`Grants::parse`] reads.
    pub fn words(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}

impl Default for Grants {
    fn default() -> Self {
        Self::everything()
    }
}

impl fmt::Display for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&if self.0.is_empty() { "nothing".to_owned() } else { self.words().join(", ") })
    }
}

impl Serialize for Grants {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.words())
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Grant::Log => f.write_str("log"),
            Grant::History => f.write_str("history"),
            Grant::State => f.write_str("state"),
            Grant::Plan => f.write_str("plan"),
            Grant::TurnAny => f.write_str("turn"),
            Grant::Turn(knob) => write!(f, "{TURN_ONE}{}", knob.name()),
        }
    }
}

impl FromStr for Grant {
    type Err = GrantError;

    fn from_str(word: &str) -> Result<Self, GrantError> {
        match word {
            "log" => Ok(Grant::Log),
            "history" => Ok(Grant::History),
            "state" => Ok(Grant::State),
            "plan" => Ok(Grant::Plan),
            "turn" => Ok(Grant::TurnAny),
            _ => match word.strip_prefix(TURN_ONE) {
                Some(name) => {
                    KnobId::by_name(name).map(Grant::Turn).ok_or_else(|| GrantError::UnknownKnob(word.to_owned()))
                }
                None => Err(GrantError::Unknown(word.to_owned())),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scope;

    fn grants(words: &[&str]) -> Grants {
        Grants::parse(words).expect("known words")
    }

    #[test]
    fn words_are_read_and_written_alike() {
        let words = ["log", "history", "state", "plan", "turn", "turn:engine_slots"];
        assert_eq!(grants(&words).words(), words);
        assert_eq!(grants(&[]).to_string(), "nothing");
        assert_eq!(grants(&["state", "log"]).to_string(), "log, state");
    }

    #[test]
    fn what_is_no_grant_is_refused_with_what_is() {
        let refused = |word: &str| Grants::parse(&["log", word]).expect_err(word).to_string();
        assert!(refused("network").contains("\"network\" is no grant; there are log, history"));
        assert!(refused("engine_slots").contains("turn:KNOB"));
        assert!(refused("turn:speed").contains("there are concurrency_limit"));
        assert!(refused("turn:").contains("does not exist"));
    }

    #[test]
    fn one_knob_is_allowed_by_its_own_grant_or_by_that_of_every_knob() {
        let slots = Grant::Turn(KnobId::EngineSlots);
        assert!(grants(&["turn:engine_slots"]).allow(slots) && grants(&["turn"]).allow(slots));
        assert!(!grants(&["turn:retries"]).allow(slots) && !grants(&["turn:retries"]).allow(Grant::TurnAny));
        assert!(Grants::everything().allow(slots) && !Grants::nothing().allow(Grant::Log));
    }

    #[test]
    fn both_sides_must_allow_what_is_granted() {
        let (host, strategy) = (grants(&["log", "turn"]), grants(&["log", "plan", "turn:retries"]));
        for joined in [host.both(&strategy), strategy.both(&host)] {
            assert_eq!(joined, grants(&["log", "turn:retries"]));
        }
        assert_eq!(Grants::everything().both(&strategy), strategy);
        assert_eq!(Grants::nothing().both(&strategy), Grants::nothing());
    }

    #[test]
    fn knobs_that_are_not_granted_are_not_offered() {
        let offered: Vec<OfferedKnob> = [KnobId::Retries, KnobId::EngineSlots]
            .map(|id| OfferedKnob { at: Scope::global(), bounds_here: id.knob().bounds, knob: id.knob() })
            .into();
        let left = grants(&["turn:retries"]).of_offered(&offered);
        assert_eq!(left.iter().map(|one| one.knob.id).collect::<Vec<_>>(), [KnobId::Retries]);
        assert_eq!(Grants::everything().of_offered(&offered), offered);
    }
}
