//! Long runs: whether memory goes on growing. An instance may grow while it warms up; one that grows in every part of a
//! long run will reach its limit.

use super::cases::{Case, fleet, ordinary};
use super::finding::Severity::Warning;
use super::planning::plan_once;
use super::requests;
use super::trial::Trial;
use crate::Outcome;
use crate::Verdict;
use crate::strategy::World;

/// Proposals for each generated case.
const PROPOSALS_PER_CASE: u64 = 5;

/// Plans for each generated case.
const PLANS_PER_CASE: u64 = 50;

/// Parts of a run in which memory is looked at. The first is the warm-up.
const PARTS: u64 = 5;

/// Growth in one part that counts.
const GROWTH_BYTES: u64 = 64 << 10;

pub(super) fn check<E>(trial: &mut Trial<'_, E>) -> Result<(), E> {
    let base = ordinary(&mut trial.numbers, 0);
    of_proposals(trial, &base)?;
    trial.begin_part();
    of_plans(trial, base)
}

fn of_proposals<E>(trial: &mut Trial<'_, E>, base: &Case) -> Result<(), E> {
    let cases: Vec<Case> = (0..20).map(|at| ordinary(&mut trial.numbers, at)).collect();
    let strategy = trial.told(base)?;
    let proposals = u64::from(trial.options.cases) * PROPOSALS_PER_CASE;
    let mut grown = Grown::default();
    for call in 0..proposals {
        if trial.is_given_up() {
            return Ok(());
        }
        let case = &cases[call as usize % cases.len()];
        let mut case = case.clone();
        // Time goes on, or a strategy that waits would wait for ever.
        case.observation.now_ms += call * 5_000;
        if let Ok(proposals) = trial.propose(strategy.as_ref(), &case) {
            let refused = |one: crate::Proposal| Outcome {
                name: one.name,
                scope: one.scope,
                proposed: one.value,
                verdict: Verdict::Refused,
                detail: "a long run".to_owned(),
                measured: None,
            };
            let outcomes: Vec<Outcome> = proposals.into_iter().map(refused).collect();
            let learned = strategy.learn(&outcomes);
            trial.passed(learned, "a long run");
        }
        grown.look(strategy.memory().control_bytes, call * PARTS / proposals.max(1));
    }
    trial.figures.control_bytes = strategy.memory().control_bytes;
    report(trial, &grown, "propose", proposals);
    Ok(())
}

fn of_plans<E>(trial: &mut Trial<'_, E>, base: Case) -> Result<(), E> {
    let strategy = trial.told(&Case { fleet: fleet(10), ..base })?;
    if strategy.identity().world != World::Strategy {
        return Ok(());
    }
    let plans = u64::from(trial.options.cases) * PLANS_PER_CASE;
    let mut grown = Grown::default();
    for call in 0..plans {
        if trial.is_given_up() {
            return Ok(());
        }
        let request = requests::ordinary(&mut trial.numbers);
        let candidates = requests::candidates(&mut trial.numbers, 3, 10);
        plan_once(trial, &strategy, &request, &candidates);
        grown.look(strategy.memory().planning_bytes, call * PARTS / plans.max(1));
    }
    trial.figures.planning_bytes = strategy.memory().planning_bytes;
    report(trial, &grown, "plan-request", plans);
    Ok(())
}

/// Growth of memory in each part of a run. A new instance in an old one's place is smaller: that is no growth, and what
/// the old one had grown by still counts.
#[derive(Default)]
struct Grown {
    last: u64,
    by_part: [u64; PARTS as usize],
}

impl Grown {
    fn look(&mut self, bytes: u64, part: u64) {
        // Nothing idle to be seen: the instance was retired, and the next one's first size is no growth.
        if self.last > 0
            && let Some(grown) = self.by_part.get_mut(part as usize)
        {
            *grown += bytes.saturating_sub(self.last);
        }
        self.last = bytes;
    }
}

fn report<E>(trial: &mut Trial<'_, E>, grown: &Grown, call: &str, calls: u64) {
    let after_warm_up = &grown.by_part[1..];
    if !after_warm_up.iter().all(|bytes| *bytes >= GROWTH_BYTES) {
        return;
    }
    let calls_seen = (calls * (PARTS - 1) / PARTS).max(1);
    let bytes: u64 = after_warm_up.iter().sum();
    let says = format!(
        "its memory grows by {} KiB for every 1,000 calls of {call}, and does not stop",
        bytes * 1_000 / calls_seen / 1_024
    );
    let fix = "bound every list and map, and give back what a call has used; an instance that reaches its memory limit is lost with \
               what it has not saved";
    trial.findings.add(Warning, "memory-grows", call, (format!("{call}, a long run of {calls} calls"), says, fix));
}
