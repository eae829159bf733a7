//! How far a whole replay agrees with its log, in numbers.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Agreement, ComparedCycle, is_same_change};

/// Counts over all compared cycles.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Cycles compared.
    pub cycles: u64,
    /// Answers that were equal to the last bit.
    pub identical: u64,
    /// Answers that turned the same knobs to the same values, but are not identical.
    pub same_changes: u64,
    /// All others.
    pub different: u64,
    /// Cycles in which the log's strategy, or the replayed one, proposed something or failed.
    pub with_proposals: u64,
    /// Of these, the identical ones.
    pub with_proposals_identical: u64,
    /// Cycles that the replayed strategy had decided itself, with the same parameters.
    pub own: u64,
    /// Of these, the ones for which the log holds everything since the strategy was loaded: here anything but identical
    /// is a strategy that is not deterministic.
    pub own_from_start: u64,
    /// Of these, the identical ones.
    pub own_from_start_identical: u64,
    /// Failed calls in the log.
    pub recorded_failures: u64,
    /// Failed calls in the replay.
    pub replayed_failures: u64,
    /// Verdicts that the log holds.
    pub verdicts: u64,
    /// Of these, the ones that the guard gave again.
    pub verdicts_again: u64,
    /// Proposals by knob.
    pub knobs: BTreeMap<String, KnobFigures>,
}

/// Proposals for one knob.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct KnobFigures {
    /// In the log.
    pub recorded: u64,
    /// In the replay.
    pub replayed: u64,
    /// In both, in the same cycle, with the same value in the same scope.
    pub common: u64,
}

impl Figures {
    /// Counts one cycle.
    pub fn count(&mut self, cycle: &ComparedCycle) {
        let is_identical = u64::from(cycle.agreement == Agreement::Identical);
        let (recorded, replayed) = (&cycle.recorded, &cycle.replayed);
        self.cycles += 1;
        self.identical += is_identical;
        self.same_changes += u64::from(cycle.agreement == Agreement::SameChanges);
        self.different += u64::from(cycle.agreement == Agreement::Different);
        let is_quiet = |answer: &super::Answer| answer.proposals.is_empty() && answer.failure.is_none();
        if !is_quiet(recorded) || !is_quiet(replayed) {
            self.with_proposals += 1;
            self.with_proposals_identical += is_identical;
        }
        if cycle.is_own {
            self.own += 1;
            self.own_from_start += u64::from(cycle.is_from_start);
            self.own_from_start_identical += if cycle.is_from_start { is_identical } else { 0 };
        }
        self.recorded_failures += u64::from(recorded.failure.is_some());
        self.replayed_failures += u64::from(replayed.failure.is_some());
        self.verdicts_again += cycle.verdicts_again.0;
        self.verdicts += cycle.verdicts_again.1;
        for judged in &recorded.proposals {
            let knob = self.knobs.entry(judged.proposal.name.clone()).or_default();
            knob.recorded += 1;
            let is_common = replayed.proposals.iter().any(|other| is_same_change(&other.proposal, &judged.proposal));
            knob.common += u64::from(is_common);
        }
        for judged in &replayed.proposals {
            self.knobs.entry(judged.proposal.name.clone()).or_default().replayed += 1;
        }
    }

    /// Share of identical answers, 0 to 1; 1 when nothing was compared.
    pub fn agreement(&self) -> f64 {
        if self.cycles == 0 { 1.0 } else { self.identical as f64 / self.cycles as f64 }
    }
}
