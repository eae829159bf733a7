//! A strategy runs the host: the decision loop of the real one (perfhost's `service::tuner`), with the same guard,
//! supervisor and knobs, in simulated time.

use std::sync::Arc;

use perfhost_strategy::strategy::World;
use perfhost_strategy::supervisor::Action;
use perfhost_strategy::{
    Candidate, Decision, Guard, GuardPolicy, KnobId, Observation, Outcome, Plan, PlanRequest, Proposal, Settings,
    Strategy, StrategyError, Supervisor, Verdict,
};
use serde::Serialize;

use super::{Beginning, Direction, Operator, STARTS_AT_MS, unix_ms};
use crate::moment::Moment;

/// Decisions and failures of one run that are kept; later ones are counted.
const MOST_KEPT: usize = 10_000;

/// Plan calls that are looked back on, and how many bad ones among them demote a strategy: as the gateway does.
const LOOK_BACK: u32 = 100;
const MOST_BAD_CALLS: u32 = 50;
/// Plan failures that count as one failure of the strategy.
const PLAN_FAILURES_THAT_COUNT: u64 = 3;

/// Runs a host as one strategy says.
pub struct StrategyOperator {
    strategy: Arc<dyn Strategy>,
    parameters: Vec<(String, String)>,
    guard: Guard,
    supervisor: Supervisor,
    settings: Arc<Settings>,
    /// Decisions that wait for the engine.
    awaiting_engine: Vec<u64>,
    is_planning: bool,
    /// One bit a plan call, newest lowest; set when it failed.
    bad_calls: u128,
    plan_failures_counted: u64,
    now_ms: u64,
    account: Account,
}

/// What a strategy did in a run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Account {
    /// Every proposal, with the guard's verdict and the effect measured.
    pub decisions: Vec<Decision>,
    /// Calls that failed.
    pub failures: Vec<Failure>,
    /// Decisions and failures past the bound on what is kept.
    pub dropped: u64,
    /// Calls of `propose`.
    pub propose_calls: u64,
    /// Calls of `plan`: one for each request, none is sampled.
    pub plan_calls: u64,
    /// Of these, the ones that failed; the host's own plan served.
    pub plan_failures: u64,
    /// The strategy failed so often that the host took it out of service, at the end of the run or before.
    pub is_retired: bool,
    /// So many plans failed that the host stopped asking for any.
    pub is_demoted: bool,
}

/// One call that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Unix time in milliseconds.
    pub at_ms: u64,
    /// How it failed.
    pub error: String,
}

impl StrategyOperator {
    /// A strategy that is new to the host, with its parameters. One that was run before keeps what it learned.
    pub fn new(strategy: Arc<dyn Strategy>, parameters: Vec<(String, String)>, policy: GuardPolicy) -> Self {
        Self {
            is_planning: strategy.identity().world == World::Strategy,
            strategy,
            parameters,
            guard: Guard::new(policy, 1),
            supervisor: Supervisor::default(),
            settings: Arc::default(),
            awaiting_engine: Vec::new(),
            bad_calls: 0,
            plan_failures_counted: 0,
            now_ms: STARTS_AT_MS,
            account: Account::default(),
        }
    }

    /// What it did.
    pub fn into_account(self) -> Account {
        Account { is_retired: self.supervisor.retry_at_ms().is_some(), ..self.account }
    }

    fn failed(&mut self, error: &StrategyError) {
        self.note_failure(error.to_string());
        if let Action::Retire { .. } = self.supervisor.failed(self.now_ms) {
            self.guard.forget_pending();
        }
    }

    fn note_failure(&mut self, error: String) {
        let is_kept = self.account.failures.len() < MOST_KEPT;
        if is_kept {
            self.account.failures.push(Failure { at_ms: self.now_ms, error });
        }
        self.account.dropped += u64::from(!is_kept);
    }

    /// Out of service after repeated failure, and not yet to be tried again.
    fn is_resting(&self) -> bool {
        self.supervisor.retry_at_ms().is_some() && !self.supervisor.is_retry_due(self.now_ms)
    }

    fn keep(&mut self, decisions: Vec<Decision>) {
        for decision in decisions {
            let is_reload = KnobId::by_name(&decision.proposal.name).is_some_and(|id| id.knob().reload);
            if is_reload && decision.applied.is_some() {
                self.awaiting_engine.push(decision.id);
            }
            let is_kept = self.account.decisions.len() < MOST_KEPT;
            if is_kept {
                self.account.decisions.push(decision);
            }
            self.account.dropped += u64::from(!is_kept);
        }
    }

    /// What became of earlier changes; returns what the strategy is to learn of them.
    fn review(&mut self, seen: &Observation) -> Vec<Outcome> {
        let review = self.guard.review(seen, &self.settings);
        if let Some(settings) = review.settings {
            self.settings = Arc::new(settings);
            let taken_back = review.updates.iter().filter(|update| update.verdict == Verdict::RolledBack);
            self.awaiting_engine.extend(taken_back.map(|update| update.id));
        }
        for update in &review.updates {
            // Ids are given in order, one for each decision.
            let at = self.account.decisions.binary_search_by_key(&update.id, |decision| decision.id);
            if let Some(decision) = at.ok().and_then(|at| self.account.decisions.get_mut(at)) {
                decision.update(update);
            }
        }
        review.outcomes
    }

    fn judge(&mut self, seen: &Observation, proposals: Vec<Proposal>) -> Vec<Outcome> {
        if proposals.is_empty() {
            return Vec::new();
        }
        let cycle = self.account.propose_calls;
        let judgement = self.guard.judge(seen, &self.settings, cycle, self.strategy.identity(), proposals);
        if let Some(settings) = judgement.settings {
            self.settings = Arc::new(settings);
        }
        self.keep(judgement.decisions);
        judgement.outcomes
    }

    fn note_plan(&mut self, is_bad: bool) {
        let kept = (1 << LOOK_BACK) - 1;
        self.bad_calls = (self.bad_calls << 1 | u128::from(is_bad)) & kept;
        self.account.plan_calls += 1;
        self.account.plan_failures += u64::from(is_bad);
        let is_judged = self.account.plan_calls >= u64::from(LOOK_BACK);
        if is_judged && self.bad_calls.count_ones() > MOST_BAD_CALLS {
            self.is_planning = false;
            self.account.is_demoted = true;
        }
    }
}

impl Operator for StrategyOperator {
    fn begin(&mut self, beginning: &Beginning<'_>) -> Result<(), StrategyError> {
        self.settings = beginning.settings.clone();
        self.guard.offer(beginning.offered.to_vec());
        self.strategy.configure(&self.parameters, beginning.offered)?;
        if self.is_planning { self.strategy.fleet(beginning.fleet) } else { Ok(()) }
    }

    fn direct(&mut self, asked: &PlanRequest, candidates: &[Candidate]) -> Direction {
        let mut plan = None;
        if self.is_planning && !self.is_resting() {
            let call = self.strategy.plan(asked, candidates).and_then(|plan| match plan.defect(candidates.len()) {
                None => Ok(plan),
                Some(message) => Err(StrategyError::InvalidAnswer { call: "plan-request", message }),
            });
            self.note_plan(call.is_err());
            match call {
                Ok(planned) => plan = Some(planned),
                // Told like every other failure, at powers of two so that the first ones are not all there is to see.
                Err(error) if self.account.plan_failures.is_power_of_two() => self.note_failure(error.to_string()),
                Err(_) => {}
            }
        }
        let plan = plan.unwrap_or_else(|| Plan::default_for(asked, candidates));
        Direction { plan, settings: self.settings.clone(), arm: 0 }
    }

    fn look(&mut self, seen: &Observation) -> Option<Arc<Settings>> {
        self.now_ms = seen.now_ms;
        let before = self.settings.version;
        let mut outcomes = self.review(seen);
        if self.account.plan_failures >= self.plan_failures_counted + PLAN_FAILURES_THAT_COUNT {
            self.plan_failures_counted = self.account.plan_failures;
            if let Action::Retire { .. } = self.supervisor.failed(self.now_ms) {
                self.guard.forget_pending();
            }
        }
        if !self.is_resting() {
            self.account.propose_calls += 1;
            match self.strategy.propose(seen) {
                Ok(proposals) => {
                    if self.account.plan_failures == self.plan_failures_counted {
                        self.supervisor.succeeded();
                    }
                    outcomes.extend(self.judge(seen, proposals));
                    if !outcomes.is_empty()
                        && let Err(error) = self.strategy.learn(&outcomes)
                    {
                        self.note_failure(error.to_string());
                    }
                }
                Err(error) => self.failed(&error),
            }
        }
        (self.settings.version != before).then(|| self.settings.clone())
    }

    fn engine_changed(&mut self, now: Moment, result: Result<(), &str>) {
        for decision in std::mem::take(&mut self.awaiting_engine) {
            match result {
                Ok(()) => self.guard.took_effect(decision, unix_ms(now)),
                Err(why) => self.guard.failed_to_apply(decision, why),
            }
        }
    }
}
