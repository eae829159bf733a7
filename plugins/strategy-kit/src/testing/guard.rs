//! A stand-in for the host's guard: one change per scope at a time, steps of at most a factor, time to settle, then a
//! measurement, and a roll-back where answers got much later, many more are refused, or a test asks for one. The
//! numbers are the defaults of the host's guard, which does more.

use super::world::World;
use crate::control::{Measurement, Outcome, Verdict};
use crate::seen::Seen;
use crate::types::{Observation, Proposal, Value};

/// Cycles from a change to its measurement.
const SETTLE_CYCLES: u32 = 4;
/// The time to first token may grow to this many times what it was.
const FIRST_TOKEN_GROWTH_MAX: f64 = 2.0;

#[derive(Debug)]
struct Pending {
    proposal: Proposal,
    from: i64,
    before: f64,
    refused_before: f64,
    first_token_before: f64,
    cycles_left: u32,
}

/// The stand-in.
#[derive(Debug)]
pub struct Guard {
    pending: Vec<Pending>,
    /// A value at or above which a knob's change is taken back, as if a guardrail had got worse.
    pub rolls_back_from: Option<(&'static str, i64)>,
    /// Share by which one change may let refused requests rise.
    pub refused_rise_max: f64,
    /// Proposals that were refused.
    pub refusals: usize,
}

impl Default for Guard {
    fn default() -> Self {
        Self { pending: Vec::new(), rolls_back_from: None, refused_rise_max: 0.1, refusals: 0 }
    }
}

impl Guard {
    /// Measures what has settled.
    pub fn review(&mut self, world: &mut World, seen: &Observation) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        self.pending.retain_mut(|pending| {
            pending.cycles_left -= 1;
            if pending.cycles_left > 0 {
                return true;
            }
            let after = measured(seen, &pending.proposal);
            let is_worse = level(seen, "rejected_rate") > pending.refused_before + self.refused_rise_max
                || (pending.first_token_before > 0.0
                    && level(seen, "time_to_first_token_ms")
                        > FIRST_TOKEN_GROWTH_MAX * pending.first_token_before + 50.0);
            let is_rolled_back = is_worse
                || matches!(
                    (self.rolls_back_from, &pending.proposal.value),
                    (Some((name, from)), Value::Integer(value)) if name == pending.proposal.name && *value >= from
                );
            if is_rolled_back {
                world.set(&pending.proposal.name, pending.from);
            }
            let verdict = if is_rolled_back { Verdict::RolledBack } else { Verdict::Applied };
            let metric = pending.proposal.expected.as_ref().expect("checked").metric.clone();
            let measured = Some(Measurement { metric, before: pending.before, after });
            outcomes.push(outcome(&pending.proposal, verdict, measured));
            false
        });
        outcomes
    }

    /// Judges proposals and applies what it may.
    pub fn judge(&mut self, world: &mut World, seen: &Observation, proposals: Vec<Proposal>) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for proposal in proposals {
            let Value::Integer(wanted) = proposal.value else { panic!("{proposal:?}") };
            // The host's scope overlaps with every other, so one at a time it is.
            if !self.pending.is_empty() {
                self.refusals += 1;
                outcomes.push(outcome(&proposal, Verdict::Refused, None));
                continue;
            }
            let from = world.setting(&proposal.name);
            let factor = if matches!(proposal.name.as_str(), "engine_slots" | "concurrency_limit") { 2 } else { 4 };
            let value = wanted.clamp(from / factor, from * factor);
            world.set(&proposal.name, value);
            let verdict = if value == wanted { Verdict::Applied } else { Verdict::Clamped };
            outcomes.push(outcome(&proposal, verdict, None));
            let before = measured(seen, &proposal);
            self.pending.push(Pending {
                proposal,
                from,
                before,
                refused_before: level(seen, "rejected_rate"),
                first_token_before: level(seen, "time_to_first_token_ms"),
                cycles_left: SETTLE_CYCLES,
            });
        }
        outcomes
    }
}

fn level(seen: &Observation, metric: &str) -> f64 {
    Seen::new(seen, 0).level(metric, "").unwrap_or(0.0)
}

/// The mean of the metric that a proposal is meant to move, over the recent window.
fn measured(seen: &Observation, proposal: &Proposal) -> f64 {
    let metric = &proposal.expected.as_ref().expect("built-in strategies always expect something").metric;
    let seen = Seen::new(seen, 0);
    seen.level(metric, &proposal.scope).or_else(|| seen.level(metric, "")).unwrap_or(0.0)
}

fn outcome(proposal: &Proposal, verdict: Verdict, measured: Option<Measurement>) -> Outcome {
    Outcome {
        name: proposal.name.clone(),
        scope: proposal.scope.clone(),
        proposed: proposal.value.clone(),
        verdict,
        detail: String::new(),
        measured,
    }
}
