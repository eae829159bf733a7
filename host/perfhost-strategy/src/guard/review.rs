//! The measuring of changes: which are kept, which are taken back, which nothing can be said of.

use super::compare::{Comparison, compare, short};
use super::pending::{Pending, Rest};
use super::reading::{Reading, windows};
use super::{Guard, GuardPolicy, Review};
use crate::decision::DecisionUpdate;
use crate::observation::metric;
use crate::proposal::Measurement;
use crate::{Observation, Outcome, Settings, Value};

/// Where a change stands.
enum Progress {
    /// Not known yet.
    Waiting,
    /// It stays; its last window began at `quiet_from_ms`.
    Kept { why: String, measured: Option<Measurement>, is_harmless: bool, quiet_from_ms: u64 },
    /// It is taken back.
    TakenBack { why: String, measured: Option<Measurement>, guardrail: Option<String> },
    /// Somebody else changed the knob; it is theirs now.
    Superseded { why: String },
}

impl Guard {
    /// Looks at every change that is pending: ends those that can be judged, takes back those that did harm. Call it
    /// first in each cycle, and whenever a reload failed.
    pub fn review(&mut self, seen: &Observation, settings: &Settings) -> Review {
        let mut review = Review::default();
        for (scope, pending) in std::mem::take(&mut self.pending) {
            let present = review.settings.as_ref().unwrap_or(settings);
            match progress(&self.policy, &pending, seen, &present.value(pending.knob, &scope)) {
                Progress::Waiting => {
                    self.pending.insert(scope, pending);
                }
                Progress::Kept { why, measured, is_harmless, quiet_from_ms } => {
                    if is_harmless {
                        self.cooldowns.forgive(&pending.turn());
                    }
                    self.rests.insert(scope, Rest::quiet_from(pending.decision, quiet_from_ms, seen.now_ms));
                    review.end(pending, &why, measured, None);
                }
                Progress::TakenBack { why, measured, guardrail } => {
                    review.settings = Some(pending.without(present));
                    self.cooldowns.start(&self.policy, pending.turn(), pending.decision, seen.now_ms);
                    self.rests.insert(scope, pending.rest_when_taken_back(&self.policy, seen.now_ms));
                    review.end(pending.taken_back(), &why, measured, guardrail);
                }
                Progress::Superseded { why } => {
                    let rest = Rest::after_disturbance(&self.policy, pending.decision, seen.now_ms);
                    self.rests.insert(scope, rest);
                    review.end(pending, &why, None, None);
                }
            }
        }
        review
    }
}

impl Review {
    pub(super) fn end(
        &mut self,
        pending: Pending,
        why: &str,
        measured: Option<Measurement>,
        guardrail: Option<String>,
    ) {
        let detail = format!("{}; {why}", pending.detail);
        if !pending.is_orphan {
            self.outcomes.push(Outcome {
                name: pending.proposal.name,
                scope: pending.proposal.scope,
                proposed: pending.proposal.value,
                verdict: pending.verdict,
                detail: detail.clone(),
                measured: measured.clone(),
            });
        }
        self.updates.push(DecisionUpdate {
            id: pending.decision,
            verdict: pending.verdict,
            detail,
            measured,
            guardrail,
        });
    }
}

fn progress(policy: &GuardPolicy, pending: &Pending, seen: &Observation, present: &Value) -> Progress {
    if *present != pending.applied {
        let why = format!("superseded before it was measured: it was set to {present} from outside");
        return Progress::Superseded { why };
    }
    if let Some(failure) = &pending.failure {
        return taken_back(format!("rolled back, it could not take effect: {failure}"));
    }
    let Some(effect_at_ms) = pending.effect_at_ms else {
        let waited_ms = seen.now_ms.saturating_sub(pending.applied_at_ms);
        if waited_ms < policy.reload_timeout_ms {
            return Progress::Waiting;
        }
        return taken_back(format!("rolled back, it did not take effect within {} s", waited_ms / 1_000));
    };
    let quiet_from_ms = effect_at_ms.saturating_add(pending.settle_ms(policy));
    let elapsed_ms = seen.now_ms.saturating_sub(quiet_from_ms);
    if elapsed_ms < policy.measure_ms {
        return Progress::Waiting;
    }
    let kept = |why: String, measured, is_harmless| Progress::Kept { why, measured, is_harmless, quiet_from_ms };
    let Some(before) = pending.baseline.as_ref().filter(|before| before.requests >= policy.minimum_count) else {
        return kept("kept, not enough traffic before it to measure its effect".to_owned(), None, false);
    };
    let expected = pending.proposal.expected.as_ref().map(|expected| expected.metric.as_str());
    // Nothing can be said before the shortest window on offer fits in, however late that is.
    let at_most_ms = policy.measure_at_most_ms.max(windows(seen).first().map_or(0, |window| u64::from(*window)));
    let is_last_chance = elapsed_ms >= at_most_ms;
    let Some(after) = Reading::take(policy, seen, pending.scope(), elapsed_ms, expected) else {
        return if is_last_chance { kept(not_enough(), None, false) } else { Progress::Waiting };
    };
    let measured = measurement(expected, before, &after);
    match compare(policy, before, &after) {
        Comparison::Worse { metric, detail } => {
            let guardrail = Some(metric);
            Progress::TakenBack { why: format!("rolled back: {detail}"), measured, guardrail }
        }
        Comparison::NoWorse => kept(effect_words(pending, measured.as_ref()), measured, true),
        Comparison::OtherLoad(detail) => kept(format!("kept, not comparable: {detail}"), None, false),
        Comparison::TooFew if !is_last_chance => Progress::Waiting,
        Comparison::TooFew if has_stalled(policy, before, &after) => {
            let guardrail = Some(metric::REQUESTS_PER_SECOND.to_owned());
            let why = format!("rolled back: no request finished in the last {} s", after.window_ms / 1_000);
            Progress::TakenBack { why, measured, guardrail }
        }
        Comparison::TooFew => kept(not_enough(), None, false),
    }
}

/// Requests are under way, none finished, and at the pace of before enough would have.
fn has_stalled(policy: &GuardPolicy, before: &Reading, after: &Reading) -> bool {
    let windows = f64::from(after.window_ms) / f64::from(before.window_ms.max(1));
    let usual = before.requests as f64 * windows;
    after.requests == 0 && usual >= policy.minimum_count as f64 && after.load.is_some_and(|load| load >= 1.0)
}

fn not_enough() -> String {
    "kept, not enough traffic after it to measure its effect".to_owned()
}

fn taken_back(why: String) -> Progress {
    Progress::TakenBack { why, measured: None, guardrail: None }
}

/// The metric that the strategy expected to move; response time where it named none that is measured.
fn measurement(expected: Option<&str>, before: &Reading, after: &Reading) -> Option<Measurement> {
    let both = |name: &str| {
        let (before, after) = (before.value(name)?, after.value(name)?);
        let measurement = Measurement { metric: name.to_owned(), before: before.mean, after: after.mean };
        (before.count > 0 && after.count > 0).then_some(measurement)
    };
    expected.and_then(both).or_else(|| both(metric::RESPONSE_TIME))
}

fn effect_words(pending: &Pending, measured: Option<&Measurement>) -> String {
    let Some(Measurement { metric, before, after }) = measured else {
        return "kept, no guardrail got worse".to_owned();
    };
    let expected = pending.proposal.expected.as_ref().filter(|expected| expected.metric == *metric);
    let expected = expected.map(|expected| format!(", expected was {} times that", short(expected.ratio)));
    let (before, after) = (short(*before), short(*after));
    format!("kept, no guardrail got worse: {metric} went from {before} to {after}{}", expected.unwrap_or_default())
}
