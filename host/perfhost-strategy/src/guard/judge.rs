//! The judging of proposals: which are applied, with which value, and why the others are not.

use super::cooldown::Turn;
use super::pending::{Pending, Rest, is_overlapping};
use super::reading::{Reading, most_requests};
use super::step::{step_words, within_step};
use super::{Guard, Judgement};
use crate::decision::{Decision, writable};
use crate::knob::{Bounds, OfferedKnob, Risk};
use crate::strategy::Identity;
use crate::{KnobId, Observation, Outcome, Proposal, Scope, Settings, Value, Verdict};

/// Most names that a message lists.
const MOST_NAMES: usize = 8;

/// How long a rest is remembered after it ended: as long as windows may reach back to what was before it.
const REST_MEMORY_MS: u64 = 600_000;

/// What a proposal comes to.
struct Accepted {
    knob: KnobId,
    before: Value,
    applied: Value,
    /// Why `applied` is not what was asked for.
    limit: Option<String>,
}

impl Guard {
    /// Judges one cycle's proposals in order, on what was seen and on the present settings; call [`Guard::review`] first
    /// in each cycle. Makes one decision and one outcome for each proposal.
    pub fn judge(
        &mut self,
        seen: &Observation,
        settings: &Settings,
        cycle: u64,
        strategy: &Identity,
        proposals: Vec<Proposal>,
    ) -> Judgement {
        self.rests.retain(|_, rest| rest.free_at_ms.saturating_add(REST_MEMORY_MS) > seen.now_ms);
        self.cooldowns.prune(&self.policy, seen.now_ms);
        self.cooldowns_aside.values_mut().for_each(|aside| aside.prune(&self.policy, seen.now_ms));
        let mut judgement = Judgement::default();
        for proposal in proposals {
            let id = self.next_decision_id;
            self.next_decision_id += 1;
            let present = judgement.settings.as_ref().unwrap_or(settings);
            let recorded = writable(&proposal);
            let (verdict, detail, before, applied) = match self.check(seen, present, &recorded) {
                Ok(accepted) => {
                    let pending = self.pending_of(id, &accepted, recorded.clone(), seen, present);
                    judgement.settings = Some(present.with(accepted.knob, &proposal.scope, accepted.applied.clone()));
                    let (verdict, detail) = (pending.verdict, pending.detail.clone());
                    self.pending.insert(proposal.scope.clone(), pending);
                    (verdict, detail, accepted.before, Some(accepted.applied))
                }
                Err(why) => {
                    let known = KnobId::by_name(&proposal.name);
                    let before = known.map_or(recorded.value.clone(), |id| present.value(id, &proposal.scope));
                    (Verdict::Refused, why, before, None)
                }
            };
            judgement.outcomes.push(Outcome {
                name: recorded.name.clone(),
                scope: recorded.scope.clone(),
                proposed: recorded.value.clone(),
                verdict,
                detail: detail.clone(),
                measured: None,
            });
            judgement.decisions.push(Decision {
                id,
                cycle,
                at_ms: seen.now_ms,
                strategy: format!("{}@{}", strategy.name, strategy.version),
                digest: strategy.digest.clone(),
                proposal: recorded,
                verdict,
                detail,
                before,
                applied,
                measured: None,
                guardrail: None,
            });
        }
        judgement
    }

    fn pending_of(
        &self,
        decision: u64,
        accepted: &Accepted,
        proposal: Proposal,
        seen: &Observation,
        settings: &Settings,
    ) -> Pending {
        let scope = &proposal.scope;
        let quiet_from_ms = self.rests_over(scope).map(|rest| rest.quiet_from_ms).max();
        // A longer window than since then might reach back to the change before, or to another's turn.
        let fits_ms = quiet_from_ms.map_or(u64::MAX, |from_ms| seen.now_ms.saturating_sub(from_ms));
        let expected = proposal.expected.as_ref().map(|expected| expected.metric.as_str());
        let baseline = Reading::take(&self.policy, seen, scope, fits_ms, expected);
        let mut had_own_value = settings.changed();
        let had_own_value = had_own_value.any(|(id, at, _)| id == accepted.knob && at == scope);
        let change = format!("{} of {scope} from {} to {}", proposal.name, accepted.before, accepted.applied);
        let (verdict, detail) = match &accepted.limit {
            None => (Verdict::Applied, change),
            Some(limit) => (Verdict::Clamped, format!("{change}, not {}: {limit}", proposal.value)),
        };
        Pending {
            decision,
            knob: accepted.knob,
            verdict,
            detail,
            before: accepted.before.clone(),
            had_own_value,
            applied: accepted.applied.clone(),
            applied_at_ms: seen.now_ms,
            effect_at_ms: (!accepted.knob.knob().reload).then_some(seen.now_ms),
            failure: None,
            baseline,
            is_orphan: false,
            proposal,
        }
    }

    fn check(&self, seen: &Observation, settings: &Settings, proposal: &Proposal) -> Result<Accepted, String> {
        let offered = self.offered(&proposal.name, &proposal.scope)?;
        check_claims(proposal)?;
        let (knob, scope) = (&offered.knob, &offered.at);
        let before = settings.value(knob.id, scope);
        let (applied, limit) = limited(offered, &before, &proposal.value)?;
        if applied == before {
            return Err(limit.map_or(format!("already {before}"), |limit| format!("already {before}: {limit}")));
        }
        self.check_free(seen.now_ms, knob.reload, scope)?;
        let turn = Turn::new(knob.id, scope, &before, &applied);
        self.cooldowns.reason(&turn, seen.now_ms).map_or(Ok(()), Err)?;
        let (requests, needed) = (most_requests(seen, scope), self.policy.evidence_count);
        if knob.risk == Risk::High && requests < needed {
            return Err(format!(
                "too little evidence for a knob of high risk: {requests} requests seen, {needed} needed"
            ));
        }
        Ok(Accepted { knob: knob.id, before, applied, limit })
    }

    fn offered(&self, name: &str, scope: &Scope) -> Result<&OfferedKnob, String> {
        if let Some(offered) = self.offered.iter().find(|offered| offered.knob.name == name && offered.at == *scope) {
            return Ok(offered);
        }
        let mut here = self.offered.iter().filter(|offered| offered.at == *scope).map(|offered| offered.knob.name);
        let mut elsewhere = self.offered.iter().filter(|offered| offered.knob.name == name).map(|offered| &offered.at);
        Err(if KnobId::by_name(name).is_none() {
            format!("no knob is called {:?}; offered for {scope}: {}", shortened(name), listed(&mut here))
        } else {
            let others = listed(&mut elsewhere);
            format!("{name} is not offered for {:?}; it is for: {others}", shortened(&scope.to_string()))
        })
    }

    /// Whether a change in `scope` could be told from all others under way.
    fn check_free(&self, now_ms: u64, is_reload: bool, scope: &Scope) -> Result<(), String> {
        let settling = |pending: &Pending| {
            let seconds = now_ms.saturating_sub(pending.applied_at_ms) / 1_000;
            format!("settling for {seconds} s because of decision {} ({})", pending.decision, pending.words())
        };
        if let Some(pending) = self.pending.values().find(|pending| is_overlapping(pending.scope(), scope)) {
            return Err(settling(pending));
        }
        let has_reload = |pending: &&Pending| is_reload && pending.is_reload();
        if let Some(pending) = self.pending.values().find(has_reload) {
            return Err(format!("only one engine at a time is replaced: {}", settling(pending)));
        }
        let rests = self.rests.iter().filter(|(_, rest)| now_ms < rest.free_at_ms);
        let mut rests = rests.filter(|(at, rest)| is_overlapping(at, scope) || (is_reload && rest.is_reload));
        if let Some((at, rest)) = rests.next() {
            let seconds = (rest.free_at_ms - now_ms).div_ceil(1_000);
            return Err(format!("{at} comes to rest for {seconds} s after the end of decision {}", rest.decision));
        }
        Ok(())
    }

    fn rests_over(&self, scope: &Scope) -> impl Iterator<Item = &Rest> {
        self.rests.iter().filter(move |(at, _)| is_overlapping(at, scope)).map(|(_, rest)| rest)
    }
}

fn check_claims(proposal: &Proposal) -> Result<(), String> {
    if !(0.0..=1.0).contains(&proposal.confidence) {
        return Err(format!("confidence is {}, allowed is 0 to 1", proposal.confidence));
    }
    match &proposal.expected {
        Some(expected) if !(expected.ratio.is_finite() && expected.ratio >= 0.0) => {
            Err(format!("expected ratio is {}, allowed is a number from 0", expected.ratio))
        }
        _ => Ok(()),
    }
}

/// The value nearest to the one wanted that step and bounds allow, and which of them limited it. Bounds are applied
/// last: they hold even where the present value lies outside and the step alone would not lead back inside.
fn limited(offered: &OfferedKnob, before: &Value, wanted: &Value) -> Result<(Value, Option<String>), String> {
    let bounds = &offered.bounds_here;
    let not_allowed = || match wanted {
        Value::Text(text) if text.parse().is_ok_and(|number: f64| !number.is_finite()) => {
            format!("{text} is not a finite number; allowed is {}", bounds.expected())
        }
        _ => bounds.check(wanted).err().unwrap_or_else(|| format!("allowed is {}", bounds.expected())),
    };
    let inside = bounds.clamp(wanted).ok_or_else(not_allowed)?;
    let stepped = within_step(&offered.knob, before, &inside);
    let applied = bounds.clamp(&stepped).ok_or_else(not_allowed)?;
    let limit = if applied == *wanted {
        None
    } else if applied != inside && applied == stepped {
        Some(step_words(offered.knob.step))
    } else {
        Some(bound_words(bounds, &applied))
    };
    Ok((applied, limit))
}

fn bound_words(bounds: &Bounds, applied: &Value) -> String {
    let is_lowest = match (bounds, applied) {
        (Bounds::IntegerRange(lowest, _), Value::Integer(applied)) => applied == lowest,
        (Bounds::NumberRange(lowest, _), Value::Number(applied)) => applied == lowest,
        _ => return format!("allowed is {}", bounds.expected()),
    };
    format!("the {} allowed here is {applied}", if is_lowest { "lowest" } else { "highest" })
}

fn listed<T: std::fmt::Display>(names: &mut impl Iterator<Item = T>) -> String {
    let first: Vec<String> = names.take(MOST_NAMES).map(|name| name.to_string()).collect();
    let more = names.count();
    match (first.is_empty(), more) {
        (true, _) => "nothing".to_owned(),
        (false, 0) => first.join(", "),
        (false, more) => format!("{} and {more} more", first.join(", ")),
    }
}

/// A name from a strategy, short enough for a message.
fn shortened(name: &str) -> String {
    name.chars().take(80).collect()
}
