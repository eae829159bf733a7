//! Arms of an experiment that take turns behind one guard: what was learned in one arm's turn says nothing about another.

use serde::{Deserialize, Serialize};

use super::pending::Rest;
use super::{Guard, Review};
use crate::{Scope, Settings};

/// A turn that begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handover {
    /// Unix time in milliseconds.
    pub at_ms: u64,
    /// The generation whose turn ends.
    pub from: u64,
    /// The generation whose turn begins.
    pub to: u64,
    /// The settings in force are exchanged, so that windows which reach back to before show another's traffic. Not so
    /// where arms serve at the same time.
    pub is_exchange: bool,
}

impl Guard {
    /// Passes the guard on to the next turn. What is pending ends: what took effect stays with the settings of whoever
    /// asked for it, without a verdict, and what did not is taken back. Cooldowns wait for the next turn of whoever has
    /// earned them. The review's settings, where it has some, are those to come back to.
    pub fn hand_over(&mut self, handover: &Handover, settings: &Settings) -> Review {
        let mut review = Review::default();
        for (scope, pending) in std::mem::take(&mut self.pending) {
            if pending.effect_at_ms.is_some() {
                review.end(pending, "not measured: its turn in an experiment ended", None, None);
                continue;
            }
            if pending.failure.is_some() {
                self.cooldowns.start(&self.policy, pending.turn(), pending.decision, handover.at_ms);
            }
            let why = pending.failure.as_deref().map_or_else(
                || "rolled back: it had not taken effect when its turn in an experiment ended".to_owned(),
                |failure| format!("rolled back, it could not take effect: {failure}"),
            );
            let present = review.settings.as_ref().unwrap_or(settings);
            if present.value(pending.knob, &scope) == pending.applied {
                review.settings = Some(pending.without(present));
            }
            review.end(pending.taken_back(), &why, None, None);
        }
        if handover.is_exchange {
            self.rests.insert(Scope::global(), Rest::of_turn(&self.policy, handover.at_ms));
        }
        self.cooldowns_aside.insert(handover.from, std::mem::take(&mut self.cooldowns));
        self.cooldowns = self.cooldowns_aside.remove(&handover.to).unwrap_or_default();
        review
    }
}
