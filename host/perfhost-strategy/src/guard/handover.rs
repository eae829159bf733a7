//! Arms of an experiment that take turns behind one guard: what came of one arm's turn says nothing about another.

use serde::{Deserialize, Serialize};

use super::pending::{Pending, Rest};
use super::{Guard, Review};
use crate::{Scope, Settings};

/// Outside of experiments the cooldowns are this arm's: the incumbent's before one, and after it those of the arm that stays.
const HOST: u32 = 0;

/// The rest after a turn's beginning is nobody's decision.
const NO_DECISION: u64 = 0;

/// When the guard is handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Occasion {
    /// An experiment begins, with what is settled.
    Begins,
    /// An arm's turn begins.
    Turn,
    /// The experiment is over; an arm stays.
    Ends,
}

/// A turn that begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handover {
    /// Unix time in milliseconds.
    pub at_ms: u64,
    /// When in the experiment.
    pub occasion: Occasion,
    /// The arm whose turn begins, or that stays; 0 is the incumbent.
    pub to: u32,
    /// The settings in force are exchanged, so that windows which reach back to before show another's traffic. Not so
    /// where arms serve at the same time.
    pub is_exchange: bool,
}

impl Guard {
    /// Passes the guard on. What is pending ends: what an arm turned and took effect stays with its settings, without a
    /// verdict; the rest is taken back. Cooldowns wait for the next turn of the arm that has earned them. The arm that is
    /// at its turn when it stays goes on as it was. The review's settings, where it has some, are those to come back to.
    pub fn hand_over(&mut self, handover: &Handover, settings: &Settings) -> Review {
        let mut review = Review::default();
        let goes_on = handover.occasion == Occasion::Ends && handover.to == self.arm;
        if !goes_on {
            for (scope, pending) in std::mem::take(&mut self.pending) {
                self.end_turn_of(handover, settings, scope, pending, &mut review);
            }
        }
        if handover.is_exchange {
            self.rests.clear();
            self.rests.insert(Scope::global(), self.rest_of_turn(handover.at_ms, self.policy.settle_ms));
        }
        let left = std::mem::replace(&mut self.arm, handover.to);
        self.cooldowns_aside.insert(left, std::mem::take(&mut self.cooldowns));
        self.cooldowns = self.cooldowns_aside.remove(&handover.to).unwrap_or_default();
        if handover.occasion == Occasion::Ends {
            self.cooldowns_aside.clear();
            self.arm = HOST;
        }
        review
    }

    /// The engine runs with the settings of the turn that began earlier: from here on windows may show it.
    pub fn turn_took_effect(&mut self, at_ms: u64) {
        self.rests.insert(Scope::global(), self.rest_of_turn(at_ms, self.policy.reload_settle_ms));
    }

    fn rest_of_turn(&self, at_ms: u64, settle_ms: u64) -> Rest {
        Rest::quiet_from(NO_DECISION, at_ms.saturating_add(settle_ms), at_ms)
    }

    fn end_turn_of(
        &mut self,
        handover: &Handover,
        settings: &Settings,
        scope: Scope,
        pending: Pending,
        review: &mut Review,
    ) {
        let effect_at_ms = pending.effect_at_ms.filter(|_| handover.occasion != Occasion::Begins);
        if let Some(effect_at_ms) = effect_at_ms {
            let quiet_from_ms = effect_at_ms.saturating_add(pending.settle_ms(&self.policy));
            self.rests.insert(scope, Rest::quiet_from(pending.decision, quiet_from_ms, handover.at_ms));
            review.end(pending, "not measured: its turn in an experiment ended", None, None);
            return;
        }
        let why = match &pending.failure {
            Some(failure) => format!("rolled back, it could not take effect: {failure}"),
            None if handover.occasion == Occasion::Begins => {
                "rolled back: an experiment began before it was measured".to_owned()
            }
            None => "rolled back: it had not taken effect when its turn in an experiment ended".to_owned(),
        };
        if pending.failure.is_some() {
            self.cooldowns.start(&self.policy, pending.turn(), pending.decision, handover.at_ms);
        }
        let rest = pending.rest_when_taken_back(&self.policy, handover.at_ms);
        self.rests.insert(scope.clone(), rest);
        let present = review.settings.as_ref().unwrap_or(settings);
        if present.value(pending.knob, &scope) == pending.applied {
            review.settings = Some(pending.without(present));
        }
        review.end(pending.taken_back(), &why, None, None);
    }
}
