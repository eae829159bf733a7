//! Asking the strategy for a request's plan, and serving without it when it fails, is slow, or has none.
//!
//! A strategy cannot fail a request: every answer of its is checked, and the host's own plan is always at hand. One that
//! is over its budget or fails in most of its calls is no longer asked (demoted) and keeps tuning through knobs.
//!
//! The budget is one of processor time, like the limits of the sandbox: an engine that keeps all cores busy takes the
//! processor away in the midst of a plan, and that is not the strategy's doing.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use perfhost_strategy::generation::Demotion;
use perfhost_strategy::plan::PlanRequest;
use perfhost_strategy::{Candidate, Plan, StrategyError};
use perfhost_upstream::{ProviderKind, TargetRef};
use rustix::time::{ClockId, clock_gettime};

use crate::protocol::openai::Asked;
use crate::worker::View;

/// How many calls are looked back on.
const LOOK_BACK: u32 = 100;

/// More failures, or more calls over the budget, than this among the last [`LOOK_BACK`] demote a strategy. Half of them: one
/// that is at the budget's edge, or was kept off the processor a few times, is not worth losing.
const MOST_BAD_CALLS: u32 = 50;

/// A generation's last plan calls on one worker, and room for the candidates of the next.
#[derive(Default)]
pub(crate) struct Watch {
    /// One bit a call, newest lowest; set when the call was over its budget.
    overruns: Cell<u128>,
    /// Likewise for calls that failed.
    failures: Cell<u128>,
    calls: Cell<u32>,
    /// The budget by which overruns were judged.
    budget: Cell<Duration>,
    candidates: RefCell<Vec<Candidate>>,
}

/// What a plan is asked with: the request as numbers. `model` is its index in the fleet.
pub(crate) fn plan_request(asked: &Asked, model: u32, was_seen_before: bool) -> PlanRequest {
    PlanRequest {
        operation: asked.operation,
        model,
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
    let budget = generation.planning.budget(view.settings.plan_budget);
    if generation.planning.is_demoted() && !is_asked_again(view) {
        let plan = Plan::default_for(request, &candidates);
        timed();
        return plan;
    }
    let since = view.watch.is_unsure().then(processor_time);
    let asked = generation.strategy.plan(request, &candidates);
    let used = since.map(|since| processor_time().saturating_sub(since));
    let nanoseconds = timed();
    let is_busy = matches!(asked, Err(StrategyError::Busy { .. }));
    let checked = asked.map_err(|error| error.to_string()).and_then(|plan| match plan.defect(candidates.len()) {
        None => Ok(plan),
        Some(defect) => Err(format!("plan gave an invalid answer: {defect}")),
    });
    let is_overrun = Duration::from_nanos(nanoseconds).min(used.unwrap_or(Duration::MAX)) > budget;
    let is_failure = checked.is_err() && !is_busy;
    generation.planning.count(nanoseconds, is_failure, is_overrun);
    if let Some(why) = view.watch.note(is_failure, is_overrun, budget)
        && generation.planning.demote(why)
    {
        tracing::warn!(
            strategy = ?view.strategy,
            "demoted to tuning only: {why}; requests follow the host's own plan"
        );
    }
    checked.unwrap_or_else(|error| {
        // Powers of two, so that a strategy that fails on every request does not fill the log.
        let failures = generation.planning.read().failures;
        if is_failure && failures.is_power_of_two() {
            tracing::warn!(strategy = ?view.strategy, %error, failures, "no plan; the host's own serves");
        }
        Plan::default_for(request, &candidates)
    })
}

/// Whether the budget has risen above the one for which the strategy was too slow.
#[cold]
fn is_asked_again(view: &View) -> bool {
    let budget = view.generation.planning.budget(view.settings.plan_budget);
    let is_asked_again = view.generation.planning.reconsider(budget);
    if is_asked_again {
        tracing::info!(strategy = ?view.strategy, ?budget, "the budget was raised; the strategy is asked for plans again");
    }
    is_asked_again
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
        tokens_per_second: recent.tokens_per_second,
        ..base
    }
}

/// Processor time that this thread has used.
fn processor_time() -> Duration {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(used.tv_sec.unsigned_abs(), used.tv_nsec.unsigned_abs() as u32)
}

impl Watch {
    /// Whether a call was over the budget lately. Only then is processor time asked for: twice that costs about as much as
    /// a plan, and what takes no time on the wall takes none of the processor's.
    fn is_unsure(&self) -> bool {
        self.overruns.get() != 0
    }

    /// Notes one call; why the strategy should be demoted, if it should.
    fn note(&self, is_failure: bool, is_overrun: bool, budget: Duration) -> Option<Demotion> {
        if self.budget.replace(budget) != budget {
            self.overruns.set(0);
            self.failures.set(0);
            self.calls.set(0);
        }
        self.calls.set(self.calls.get().saturating_add(1));
        let is_failing = Self::are_most(&self.failures, is_failure);
        let is_slow = Self::are_most(&self.overruns, is_overrun);
        if self.calls.get() < LOOK_BACK {
            return None;
        }
        let budget_us = u64::try_from(budget.as_micros()).unwrap_or(u64::MAX);
        let why = if is_failing { Demotion::Failing } else { Demotion::TooSlow { budget_us } };
        (is_failing || is_slow).then_some(why)
    }

    fn are_most(bits: &Cell<u128>, is_set: bool) -> bool {
        let kept = (1 << LOOK_BACK) - 1;
        bits.set((bits.get() << 1 | u128::from(is_set)) & kept);
        bits.get().count_ones() > MOST_BAD_CALLS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Duration = Duration::from_micros(50);
    const SLOW: Option<Demotion> = Some(Demotion::TooSlow { budget_us: 50 });

    fn overrun(watch: &Watch, is_overrun: bool) -> Option<Demotion> {
        watch.note(false, is_overrun, BUDGET)
    }

    #[test]
    fn most_of_the_last_hundred_calls_must_be_bad() {
        let watch = Watch::default();
        assert!((0..99).all(|_| overrun(&watch, true).is_none()), "too few calls to judge");
        assert_eq!(overrun(&watch, true), SLOW);

        let watch = Watch::default();
        assert!((0..1_000).all(|call| overrun(&watch, call % 2 == 0).is_none()), "half is not most");
        assert!((0..50).any(|_| overrun(&watch, true) == SLOW));
    }

    #[test]
    fn old_calls_are_forgotten() {
        let watch = Watch::default();
        assert_eq!((0..200).filter_map(|_| overrun(&watch, true)).count(), 101);
        let verdicts: Vec<_> = (0..50).map(|_| overrun(&watch, false)).collect();
        assert_eq!((verdicts.first(), verdicts.last()), (Some(&SLOW), Some(&None)));
    }

    #[test]
    fn failures_are_told_apart_from_overruns() {
        let watch = Watch::default();
        let verdict = (0..100).filter_map(|_| watch.note(true, false, BUDGET)).next();
        assert_eq!(verdict, Some(Demotion::Failing));
        let watch = Watch::default();
        assert!((0..200).all(|call| watch.note(call % 2 == 0, call % 2 == 1, BUDGET).is_none()), "neither is most");
    }

    #[test]
    fn another_budget_is_judged_afresh() {
        let watch = Watch::default();
        assert_eq!((0..100).filter_map(|_| overrun(&watch, true)).count(), 1);
        assert!((0..99).all(|_| watch.note(false, true, BUDGET * 2).is_none()));
        assert_eq!(watch.note(false, true, BUDGET * 2), Some(Demotion::TooSlow { budget_us: 100 }));
    }
}
