//! The guard beside the replay. It lives through what really happened, so that at each moment it can say of other
//! proposals what it would have said then.

use super::{Judged, LoggedCycle, offered_in};
use crate::alert::author;
use crate::guard::{Guard, GuardPolicy};
use crate::journal::{Call, GuardCall};
use crate::knob::OfferedKnob;
use crate::strategy::{Identity, World};
use crate::{Decision, KnobId, Proposal, Settings};

pub(super) struct Referee {
    guard: Guard,
    offered: Option<Vec<OfferedKnob>>,
}

/// What the guard says of one cycle.
pub(super) struct Opinion {
    pub(super) recorded: Vec<Judged>,
    pub(super) replayed: Vec<Judged>,
    /// Verdicts given again, of how many.
    pub(super) verdicts_again: (u64, u64),
}

impl Referee {
    pub(super) fn new() -> Self {
        Self { guard: Guard::new(GuardPolicy::default(), 1), offered: None }
    }

    /// Brings the guard to this cycle, asks it about the replayed proposals, and then lets it decide as it did.
    pub(super) fn judge(&mut self, logged: &LoggedCycle, replayed: Vec<Proposal>) -> Opinion {
        let record = &logged.record;
        for call in &record.guard {
            self.hear(call);
        }
        let configured = record.told.calls.iter().rev().find_map(|call| match call {
            Call::Configured { knobs, .. } => Some(knobs.iter().filter_map(|offer| offer.offered()).collect()),
            _ => None,
        });
        if configured.is_some() || self.offered.is_none() {
            let offered = configured.unwrap_or_else(|| offered_in(&record.observation));
            self.guard.offer(offered.clone());
            self.offered = Some(offered);
        }
        if let Some(first) = logged.decisions.first() {
            self.guard.continue_at(first.id);
        }
        let seen = &record.observation;
        let mut settings = Settings::of(&seen.settings);
        let review = self.guard.review(seen, &settings);
        settings = review.settings.unwrap_or(settings);

        // The host's own proposals came first, and so did their decisions.
        let mut before = 0;
        for call in &record.guard {
            if let GuardCall::Judged(proposals) = call {
                let decisions = logged.decisions.get(before..).unwrap_or_default();
                self.guard.offer(self.offered_to_host(proposals, decisions));
                let judged = self.guard.judge(seen, &settings, record.id, &author(), proposals.clone());
                settings = judged.settings.unwrap_or(settings);
                before += judged.decisions.len();
                self.guard.offer(self.offered.clone().unwrap_or_default());
            }
        }
        let decisions = logged.decisions.get(before..).unwrap_or_default();

        let identity = Identity {
            name: record.strategy.clone(),
            version: String::new(),
            digest: record.digest.clone(),
            world: World::Tuner,
            source: String::new(),
        };
        let opinion = self.guard.clone().judge(seen, &settings, record.id, &identity, replayed);
        let again = self.guard.judge(seen, &settings, record.id, &identity, record.proposals.clone());
        let of_log = |at: usize| decisions.get(at);
        let given = again.decisions.iter().enumerate().filter(|(at, again)| {
            of_log(*at).is_some_and(|logged| logged.applied == again.applied && logged.before == again.before)
        });
        Opinion {
            verdicts_again: (given.count() as u64, decisions.len() as u64),
            recorded: record
                .proposals
                .iter()
                .enumerate()
                .map(|(at, proposal)| recorded(proposal, of_log(at)))
                .collect(),
            replayed: opinion.decisions.into_iter().map(judged).collect(),
        }
    }

    /// What the host could turn itself: what the strategy can, whose grants do not bind the host, and what the log says that
    /// it did turn.
    fn offered_to_host(&self, proposals: &[Proposal], decisions: &[Decision]) -> Vec<OfferedKnob> {
        let mut offered = self.offered.clone().unwrap_or_default();
        for (proposal, _) in proposals.iter().zip(decisions).filter(|(_, decision)| decision.applied.is_some()) {
            let is_known = offered.iter().any(|one| one.knob.name == proposal.name && one.at == proposal.scope);
            if let Some(id) = KnobId::by_name(&proposal.name).filter(|_| !is_known) {
                let (knob, at) = (id.knob(), proposal.scope.clone());
                offered.push(OfferedKnob { bounds_here: knob.bounds.clone(), knob, at });
            }
        }
        offered
    }

    fn hear(&mut self, call: &GuardCall) {
        match call {
            GuardCall::Started(policy) => {
                self.guard = Guard::new(policy.clone(), self.guard.next_decision_id());
                self.guard.offer(self.offered.clone().unwrap_or_default());
            }
            GuardCall::Policy(policy) => self.guard.set_policy(policy.clone()),
            GuardCall::TookEffect { decision, at_ms } => self.guard.took_effect(*decision, *at_ms),
            GuardCall::FailedToApply { decision, why } => self.guard.failed_to_apply(*decision, why),
            GuardCall::Forgot => self.guard.forget_pending(),
            // What it took back, the settings that were seen lack.
            GuardCall::HandedOver(handover) => drop(self.guard.hand_over(handover, &Settings::default())),
            GuardCall::TurnTookEffect { at_ms } => self.guard.turn_took_effect(*at_ms),
            // Their turn is after the review.
            GuardCall::Judged(_) => {}
        }
    }
}

fn recorded(proposal: &Proposal, decision: Option<&Decision>) -> Judged {
    Judged {
        proposal: proposal.clone(),
        verdict: decision.map(|decision| decision.verdict),
        detail: decision.map(|decision| decision.detail.clone()).unwrap_or_default(),
        applied: decision.and_then(|decision| decision.applied.clone()),
    }
}

fn judged(decision: Decision) -> Judged {
    Judged {
        proposal: decision.proposal,
        verdict: Some(decision.verdict),
        detail: decision.detail,
        applied: decision.applied,
    }
}
