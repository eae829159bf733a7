//! Turning a wish into a proposal: only what is offered, within bounds, different from what is, and not ruled out by
//! what was learned.

use crate::knobs::Knobs;
use crate::seen::Seen;
use crate::trials::{Effect, Trials};
use crate::types::{Effect as Expected, Observation, Proposal, Value};

/// A change of a knob that takes whole numbers.
#[derive(Debug)]
pub struct Change<'a> {
    /// The knob.
    pub name: &'a str,
    /// Where.
    pub scope: &'a str,
    /// The value wanted; brought within the knob's bounds.
    pub value: i64,
    /// One sentence with the numbers that led here.
    pub reason: String,
    /// The metric that should move.
    pub metric: &'a str,
    /// Its expected value over its present one.
    pub ratio: f64,
    /// 0 to 1.
    pub confidence: f64,
}

/// The knobs on offer and what was learned by turning them.
#[derive(Debug, Clone, Default)]
pub struct Tuning {
    /// What may be turned.
    pub knobs: Knobs,
    /// What was tried.
    pub trials: Trials,
}

impl Tuning {
    /// Begins a look at `observation`.
    pub fn begin<'a>(&mut self, observation: &'a Observation) -> Seen<'a> {
        let seen = Seen::new(observation, 0);
        self.trials.begin(observation.now_ms, seen.inside(), |name, scope| seen.integer(name, scope));
        Seen::new(observation, self.trials.changed_ms())
    }

    /// The first of `values` that was not taken back lately. The host takes back large steps sooner than small ones, also
    /// for a wait that was rising by itself: the next smaller step is then worth a try.
    pub fn first_open(&self, name: &str, scope: &str, values: impl IntoIterator<Item = i64>) -> Option<i64> {
        values.into_iter().find(|value| !self.trials.did_harm(name, scope, *value))
    }

    /// The proposal for a change, if it is one that can be made now.
    pub fn ask(&mut self, seen: &Seen<'_>, change: Change<'_>) -> Option<Proposal> {
        let value = self.knobs.nearest(change.name, change.scope, change.value)?;
        if self.trials.is_ruled_out(change.name, change.scope, value) {
            return None;
        }
        self.propose(seen, Change { value, ..change }, false)
    }

    /// The proposal that takes back a knob's last change, if that change was measured and not worth it:
    /// `also_without_gain` counts "same" as well as "worse". `reason` makes the sentence from the present value and the
    /// one to go back to.
    pub fn take_back(
        &mut self,
        seen: &Seen<'_>,
        (name, scope): (&str, &str),
        metric: &str,
        also_without_gain: bool,
        reason: impl Fn(i64, i64) -> String,
    ) -> Option<Proposal> {
        let present = seen.integer(name, scope)?;
        let tried = self.trials.to_take_back(name, scope, present)?;
        if tried.effect == Effect::Same && !also_without_gain {
            return None;
        }
        self.go_back(seen, (name, scope), metric, reason)
    }

    /// The proposal that takes back a knob's last change, whatever came of it.
    pub fn go_back(
        &mut self,
        seen: &Seen<'_>,
        (name, scope): (&str, &str),
        metric: &str,
        reason: impl Fn(i64, i64) -> String,
    ) -> Option<Proposal> {
        let present = seen.integer(name, scope)?;
        let from = self.trials.last_step(name, scope, present)?.from;
        let value = self.knobs.nearest(name, scope, from)?;
        let reason = reason(present, value);
        let change = Change { name, scope, value, reason, metric, ratio: 1.0, confidence: 0.8 };
        let proposal = self.propose(seen, change, true)?;
        self.trials.dismiss(name, scope, present);
        Some(proposal)
    }

    fn propose(&mut self, seen: &Seen<'_>, change: Change<'_>, is_return: bool) -> Option<Proposal> {
        let Change { name, scope, value, reason, metric, ratio, confidence } = change;
        let present = seen.integer(name, scope)?;
        if value == present || !ratio.is_finite() || !self.trials.is_open(scope) {
            return None;
        }
        self.trials.asked(name, scope, present, value, is_return);
        Some(Proposal {
            name: name.to_owned(),
            scope: scope.to_owned(),
            value: Value::Integer(value),
            reason,
            expected: Some(Expected { metric: metric.to_owned(), ratio }),
            confidence: confidence.clamp(0.0, 1.0),
        })
    }
}
