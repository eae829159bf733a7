//! Asking the strategy for a request's plan, and serving without it when it fails, is slow, or has none.
//!
//! A strategy cannot fail a request: every answer of its is checked, and the host's own plan is always at hand. One that
//! is over its budget or fails in most of its calls is no longer asked (demoted) and keeps tuning through knobs.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use perfhost_strategy::plan::PlanRequest;
use perfhost_strategy::{Candidate, Plan};
use perfhost_upstream::{FleetView, ProviderKind, TargetRef};

use crate::protocol::openai::Asked;
use crate::worker::View;

/// How many calls are looked back on.
const LOOK_BACK: u32 = 100;

/// More bad calls than this among the last [`LOOK_BACK`] demote a strategy.
const MOST_BAD_CALLS: u32 = 50;

/// A generation's last plan calls on one worker, and room for the candidates of the next.
#[derive(Default)]
pub(crate) struct Watch {
    /// One bit a call, newest lowest; set when the call was over its budget or failed.
    bad_calls: Cell<u128>,
    calls: Cell<u32>,
    candidates: RefCell<Vec<Candidate>>,
}

/// What a plan is asked with: the request as numbers.
pub(crate) fn plan_request(asked: &Asked, fleet: &FleetView, was_seen_before: bool) -> PlanRequest {
    PlanRequest {
        operation: asked.operation,
        model: fleet.model_index(&asked.model).unwrap_or(FleetView::UNLISTED_MODEL),
        is_streaming: asked.is_streaming,
        is_deterministic: asked.is_deterministic,
        prompt_bytes: asked.prompt_bytes,
        max_tokens: asked.max_tokens,
        priority: asked.priority,
        deadline_ms: 0,
        key: asked.key.short(),
        session: asked.session,
        was_seen_before,
    }
}

/// The plan for one request; its order names at least one target and only ones that exist. `timed` returns the
/// nanoseconds since the phase before ended, and so ends the phase.
pub(crate) fn plan(view: &View, request: &PlanRequest, targets: &[TargetRef], timed: impl FnOnce() -> u64) -> Plan {
    let mut candidates = view.watch.candidates.borrow_mut();
    candidates.clear();
    candidates.extend(targets.iter().map(|target| candidate(view, *target)));
    let generation = &view.generation;
    if generation.planning.is_demoted() {
        let plan = Plan::default_for(request, &candidates);
        timed();
        return plan;
    }
    let asked = generation.strategy.plan(request, &candidates);
    let nanoseconds = timed();
    let checked = asked.map_err(|error| error.to_string()).and_then(|plan| match plan.defect(candidates.len()) {
        None => Ok(plan),
        Some(defect) => Err(format!("plan gave an invalid answer: {defect}")),
    });
    let budget = generation.planning.budget(view.settings.plan_budget);
    let is_overrun = Duration::from_nanos(nanoseconds) > budget;
    generation.planning.count(nanoseconds, checked.is_err(), is_overrun);
    if view.watch.note(checked.is_err() || is_overrun) && !generation.planning.is_demoted() {
        generation.planning.demote();
        tracing::warn!(
            strategy = ?view.strategy,
            ?budget,
            "most of the last {LOOK_BACK} plan calls failed or were over the budget; requests follow the host's own plan"
        );
    }
    checked.unwrap_or_else(|error| {
        // Powers of two, so that a strategy that fails on every request does not fill the log.
        let failures = generation.planning.read().failures;
        if failures.is_power_of_two() {
            tracing::warn!(strategy = ?view.strategy, %error, failures, "no plan; the host's own serves");
        }
        Plan::default_for(request, &candidates)
    })
}

fn candidate(view: &View, target: TargetRef) -> Candidate {
    let base = Candidate { target: target.target, ..Candidate::default() };
    let Some(provider) = view.fleet.providers.get(target.provider) else { return base };
    let recent = provider.recent();
    Candidate {
        in_flight: provider.in_flight(),
        queued: provider.queued(),
        // These two load a model when it is asked for, and do not say for free whether they have.
        is_resident: !matches!(provider.kind(), ProviderKind::Ollama | ProviderKind::LmStudio),
        latency_p50_ms: recent.latency_p50_ms,
        ttft_p50_ms: recent.ttft_p50_ms,
        error_rate: recent.error_rate,
        weight: view.providers.get(target.provider).map_or(1.0, |provider| provider.settings.weight),
        ..base
    }
}

impl Watch {
    /// Notes one call; whether most of the last ones were bad.
    fn note(&self, is_bad: bool) -> bool {
        let kept = (1 << LOOK_BACK) - 1;
        let bad_calls = (self.bad_calls.get() << 1 | u128::from(is_bad)) & kept;
        self.bad_calls.set(bad_calls);
        self.calls.set(self.calls.get().saturating_add(1));
        self.calls.get() >= LOOK_BACK && bad_calls.count_ones() > MOST_BAD_CALLS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_of_the_last_hundred_calls_must_be_bad() {
        let watch = Watch::default();
        assert!((0..99).all(|_| !watch.note(true)), "too few calls to judge");
        assert!(watch.note(true));

        let watch = Watch::default();
        assert!((0..1_000).all(|call| !watch.note(call % 2 == 0)), "half is not most");
        assert!((0..50).any(|_| watch.note(true)));
    }

    #[test]
    fn old_calls_are_forgotten() {
        let watch = Watch::default();
        (0..200).for_each(|_| {
            watch.note(true);
        });
        let verdicts: Vec<_> = (0..50).map(|_| watch.note(false)).collect();
        assert_eq!((verdicts.first(), verdicts.last()), (Some(&true), Some(&false)));
    }
}
