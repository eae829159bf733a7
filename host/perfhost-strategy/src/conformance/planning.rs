//! Planning: for every set of candidates a plan that the host can follow, the same from equal instances, in time.

use std::sync::Arc;

use super::cases::{Case, fleet, ordinary};
use super::finding::Severity::{Error, Note, Warning};
use super::trial::Trial;
use super::{finding, requests};
use crate::{Candidate, Plan, PlanRequest, Strategy, StrategyError};

/// Sizes of the sets of candidates, the fleet with them.
const SIZES: [u32; 6] = [1, 2, 3, 10, 100, 1_000];

/// More are rare: a plan that then takes too long costs some requests the strategy's own order, and no more.
const FEW_CANDIDATES: usize = 10;

/// Ordinary requests for each size.
const ORDINARY: u64 = 10;

/// Plans that are timed.
const TIMED: u64 = 1_000;

/// The number of candidates for which a plan is timed.
const TIMED_CANDIDATES: u32 = 3;

pub(super) fn check<E>(trial: &mut Trial<'_, E>) -> Result<(), E> {
    let base = ordinary(&mut trial.numbers, 0);
    for size in SIZES {
        trial.begin_part();
        let case = Case { name: format!("{size} candidates"), fleet: fleet(size), ..base.clone() };
        let (one, other) = (trial.told(&case)?, trial.told(&case)?);
        let mut asked = requests::extremes(&mut trial.numbers, size, size);
        for _ in 0..ORDINARY {
            let request = requests::ordinary(&mut trial.numbers);
            asked.push(("an ordinary request", request, requests::candidates(&mut trial.numbers, size, size)));
        }
        let mut first_answers = Vec::new();
        for (name, request, candidates) in &asked {
            if trial.is_given_up() {
                break;
            }
            let place = format!("{name}, {size} candidates");
            let (plan, again) =
                (trial.plan(one.as_ref(), request, candidates), trial.plan(other.as_ref(), request, candidates));
            judge(trial, &plan, candidates, &place);
            if plan.is_ok() && again.is_ok() && plan != again {
                let says = format!("two fresh instances plan differently: {} and {}", words(&plan), words(&again));
                let fix = "let a plan follow from the request, the candidates, parameters and saved state alone";
                trial.findings.add(
                    Error,
                    "not-deterministic",
                    "plan-request",
                    (format!("plan-request, {place}"), says, fix),
                );
            }
            first_answers.push(plan);
        }
        for ((name, request, candidates), before) in asked.iter().zip(&first_answers) {
            let now = trial.plan(one.as_ref(), request, candidates);
            if now.is_ok() && before.is_ok() && now != *before {
                let place = format!("plan-request, {name}, {size} candidates");
                let says = "the same request is planned otherwise after other requests";
                let fix = "do not count on it: each request may come to another instance, and instances are made anew at any time";
                trial.findings.add(Note, "plans-depend-on-calls", "plan-request", (place, says, fix));
            }
        }
    }
    trial.begin_part();
    changing_fleets(trial, &base)?;
    trial.begin_part();
    timing(trial, &base)
}

fn judge<E>(trial: &mut Trial<'_, E>, plan: &Result<Plan, StrategyError>, candidates: &[Candidate], place: &str) {
    match plan {
        Err(StrategyError::Timeout { call, limit_ms }) if candidates.len() > FEW_CANDIDATES => {
            let says =
                format!("a plan over {} candidates takes longer than the limit of {limit_ms} ms", candidates.len());
            let fix = "do less for each candidate, or look at the first hundred only; a request whose plan is not there in time \
                       follows the host's own plan";
            trial.findings.add(Warning, "slow-with-many", call, (format!("{call}, {place}"), says, fix));
        }
        Err(error) => trial.failed(error, place),
        Ok(plan) => {
            if let Some(defect) = plan.defect(candidates.len()) {
                let fix = "name each candidate of this call at most once, by its place in the list, and at least one";
                trial.findings.add(
                    Error,
                    "invalid-plan",
                    "plan-request",
                    (format!("plan-request, {place}"), defect, fix),
                );
            }
        }
    }
}

fn words(plan: &Result<Plan, StrategyError>) -> String {
    plan.as_ref().map_or_else(ToString::to_string, |plan| finding::shortened(&format!("{plan:?}")))
}

/// A fleet that shrinks and grows between calls: indexes of the old one must be forgotten.
fn changing_fleets<E>(trial: &mut Trial<'_, E>, base: &Case) -> Result<(), E> {
    let strategy = trial.told(base)?;
    for size in [100, 1, 10, 1_000, 2] {
        let known = strategy.fleet(&fleet(size));
        if trial.passed(known, "a fleet that changes").is_none() {
            continue;
        }
        let request = requests::ordinary(&mut trial.numbers);
        let candidates = requests::candidates(&mut trial.numbers, size, size);
        let plan = trial.plan(strategy.as_ref(), &request, &candidates);
        judge(trial, &plan, &candidates, &format!("a fleet that changes to {size} targets"));
    }
    let empty = strategy.fleet(&crate::plan::FleetNames::default());
    trial.passed(empty, "a fleet of nothing");
    Ok(())
}

fn timing<E>(trial: &mut Trial<'_, E>, base: &Case) -> Result<(), E> {
    let case = Case { fleet: fleet(TIMED_CANDIDATES), ..base.clone() };
    let strategy = trial.told(&case)?;
    let mut slow = 0;
    let asked: Vec<(PlanRequest, Vec<Candidate>)> = (0..10)
        .map(|_| {
            let request = requests::ordinary(&mut trial.numbers);
            (request, requests::candidates(&mut trial.numbers, TIMED_CANDIDATES, TIMED_CANDIDATES))
        })
        .collect();
    for at in 0..TIMED {
        if trial.is_given_up() {
            return Ok(());
        }
        let (request, candidates) = &asked[at as usize % asked.len()];
        let started = (trial.options.clock)();
        let plan = trial.plan(strategy.as_ref(), request, candidates);
        let time = (trial.options.clock)() - started;
        judge(trial, &plan, candidates, "one call after another");
        // The first calls find cold caches.
        if at >= TIMED / 10 {
            trial.keep_plan_time(time);
            slow += u64::from(time > trial.options.plan_budget);
        }
    }
    let budget = trial.options.plan_budget;
    let share = 100 * slow / (TIMED - TIMED / 10);
    if share > 50 {
        let says = format!(
            "{share} % of its plans take longer than the budget of {budget:?}; the median is {:?}",
            trial.plan_p50()
        );
        let fix = "plan with less work for each request, or raise plan_budget_us; a host stops asking a strategy whose plans are \
                   mostly late, and lets it tune only";
        trial.findings.add(Warning, "over-plan-budget", "plan-request", ("plan-request, 3 candidates", says, fix));
    }
    Ok(())
}

/// Plans again and again, for whoever looks at memory.
pub(super) fn plan_once<E>(
    trial: &mut Trial<'_, E>,
    strategy: &Arc<dyn Strategy>,
    request: &PlanRequest,
    candidates: &[Candidate],
) {
    let plan = trial.plan(strategy.as_ref(), request, candidates);
    judge(trial, &plan, candidates, "a long run");
}
