//! Any strategy over a decision log: what it would have proposed in each recorded cycle, what the guard would have said,
//! and where that differs from what was recorded.
//!
//! A step function like the rest of the crate: cycles are handed in one by one, oldest first, with the decisions that
//! were made in them. Owns the order of calls and the comparison. Reading the log and loading strategies is the host's.
//!
//! # What is exact
//!
//! The strategy that made the log is told everything that it was told then ([`crate::journal`]), in the same order and
//! from the moment it was loaded or renewed. It answers the same, to the last bit: anything else is a bug or a strategy
//! that is not deterministic. Where the log does not reach back to that moment, [`ComparedCycle::is_from_start`] is false.
//!
//! Another strategy sees the same observations, in which its own changes never happened. It is told so: a change that
//! the recorded strategy made as well gets the recorded outcome, any other is refused. Its answers show what it would do
//! at each moment, not where it would have led.

mod figures;
mod referee;
mod subject;

use std::sync::Arc;

use serde::Serialize;

use crate::decision::{CycleRecord, Decision, writable};
use crate::{Proposal, Strategy, Value, Verdict};
use referee::Referee;
use subject::Subject;

pub use figures::{Figures, KnobFigures};
pub(crate) use subject::{fleet_in, offered_in};

/// One cycle of the log with what was decided in it.
#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize)]
pub struct LoggedCycle {
    /// The call and its surroundings.
    pub record: CycleRecord,
    /// The guard's answers to its proposals, in order. May lack those that the log no longer keeps.
    pub decisions: Vec<Decision>,
}

/// A replay under way.
pub struct Replay {
    subject: Subject,
    referee: Referee,
}

/// One cycle, recorded and replayed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ComparedCycle {
    /// [`CycleRecord::id`].
    pub cycle: u64,
    /// When it was, Unix time in milliseconds.
    pub at_ms: u64,
    /// Who was asked then, as `name@version`.
    pub recorded_by: String,
    /// The strategy that is replayed is the one that was asked then, with the parameters that it had.
    pub is_own: bool,
    /// The log holds all that the strategy was told since it was loaded or renewed.
    pub is_from_start: bool,
    /// How far the answers agree.
    pub agreement: Agreement,
    /// The answer then.
    pub recorded: Answer,
    /// The answer now.
    pub replayed: Answer,
    /// Verdicts of the log that the guard, asked again, gave again: of how many.
    pub verdicts_again: (u64, u64),
}

/// How far two answers agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Agreement {
    /// Equal to the last bit.
    Identical,
    /// The same knobs turned to the same values, for other reasons or with other expectations.
    SameChanges,
    /// Other changes, or only one of them failed.
    Different,
}

/// What one call of `propose` came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Answer {
    /// What was asked for, with the guard's answer.
    pub proposals: Vec<Judged>,
    /// How the call failed, if it did.
    pub failure: Option<String>,
}

/// One proposal with the guard's answer. Of a replayed one: what the guard would have said at that moment, with the
/// changes under way that really were.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// What was asked for, as records keep it.
    pub proposal: Proposal,
    /// The verdict; `None` where the log does not keep it any more.
    pub verdict: Option<Verdict>,
    /// Why, in words.
    pub detail: String,
    /// The value that was set, or would have been.
    pub applied: Option<Value>,
}

impl Replay {
    /// A replay of the strategy whose file has `digest` (SHA-256 in hexadecimal). `parameters` are used in place of the
    /// recorded ones; without them the strategy that made the log has those it had, and another one its defaults.
    pub fn new(digest: &str, parameters: Option<Vec<(String, String)>>) -> Self {
        Self { subject: Subject::new(digest, parameters), referee: Referee::new() }
    }

    /// Replays the next cycle. `load` makes a new instance of the strategy, to which nothing has been said.
    ///
    /// # Errors
    /// Those of `load`. A strategy that fails is no error: its failure is compared.
    pub fn cycle<E>(
        &mut self,
        logged: &LoggedCycle,
        load: &mut dyn FnMut() -> Result<Arc<dyn Strategy>, E>,
    ) -> Result<ComparedCycle, E> {
        let record = &logged.record;
        let answer = self.subject.ask(record, load)?;
        let (failure, proposals) = match answer {
            Ok(proposals) => (None, proposals.iter().map(writable).collect::<Vec<_>>()),
            Err(error) => (Some(error.to_string()), Vec::new()),
        };
        let agreement = agreement(record, &proposals, failure.is_some());
        let opinion = self.referee.judge(logged, proposals);
        self.subject.note_answer(record, &opinion.replayed);
        Ok(ComparedCycle {
            cycle: record.id,
            at_ms: record.at_ms,
            recorded_by: record.strategy.clone(),
            is_own: self.subject.is_own(),
            is_from_start: self.subject.is_from_start(),
            agreement,
            recorded: Answer { proposals: opinion.recorded, failure: record.failure.clone() },
            replayed: Answer { proposals: opinion.replayed, failure },
            verdicts_again: opinion.verdicts_again,
        })
    }
}

fn agreement(record: &CycleRecord, replayed: &[Proposal], has_failed: bool) -> Agreement {
    if record.failure.is_some() != has_failed {
        return Agreement::Different;
    }
    if record.proposals == replayed {
        return Agreement::Identical;
    }
    let has_same = |all: &[Proposal], one: &Proposal| all.iter().any(|other| is_same_change(one, other));
    let is_covered = record.proposals.iter().all(|one| has_same(replayed, one))
        && replayed.iter().all(|one| has_same(&record.proposals, one));
    if is_covered { Agreement::SameChanges } else { Agreement::Different }
}

/// Whether two proposals turn the same knob to the same value.
fn is_same_change(one: &Proposal, other: &Proposal) -> bool {
    one.name == other.name && one.scope == other.scope && one.value == other.value
}
