//! Instances on trial: made fresh, called with every call counted and timed, failures turned into findings.

use std::sync::Arc;
use std::time::Duration;

use super::cases::Case;
use super::finding::{Findings, Severity};
use super::numbers::Numbers;
use super::{Figures, Options, Report};
use crate::strategy::World;
use crate::{Candidate, Plan, PlanRequest, Proposal, Strategy, StrategyError};

/// Failed calls after which a phase, or a part of one, is given up: each may take the whole time limit of a call.
const MOST_FAILURES: u64 = 10;

/// Times that are kept of each kind of call.
const MOST_TIMES: usize = 4_096;

/// Everything that the phases work with.
pub(super) struct Trial<'a, E> {
    load: &'a mut dyn FnMut() -> Result<Arc<dyn Strategy>, E>,
    pub(super) options: &'a Options<'a>,
    pub(super) numbers: Numbers,
    pub(super) findings: Findings,
    pub(super) figures: Figures,
    propose_times: Vec<Duration>,
    plan_times: Vec<Duration>,
    /// Calls of this phase that failed otherwise than in the strategy's own words.
    failures: u64,
    /// Such failures of each function of the contract, in all phases.
    by_call: Vec<(&'static str, u64)>,
}

impl<'a, E> Trial<'a, E> {
    pub(super) fn new(load: &'a mut dyn FnMut() -> Result<Arc<dyn Strategy>, E>, options: &'a Options<'a>) -> Self {
        Self {
            load,
            options,
            numbers: Numbers::new(options.seed),
            findings: Findings::default(),
            figures: Figures::default(),
            propose_times: Vec::new(),
            plan_times: Vec::new(),
            failures: 0,
            by_call: Vec::new(),
        }
    }

    /// A new phase begins; what failed in earlier ones does not count against it.
    pub(super) fn begin(&mut self, phase: &str) {
        self.begin_part();
        (self.options.progress)(phase);
    }

    /// A part of a phase begins that can tell something even where the one before was given up.
    pub(super) fn begin_part(&mut self) {
        self.failures = 0;
    }

    /// An instance to which nothing has been said.
    pub(super) fn bare(&mut self) -> Result<Arc<dyn Strategy>, E> {
        self.figures.instances += 1;
        (self.load)()
    }

    /// An instance that was told what a host with this case tells it.
    pub(super) fn told(&mut self, case: &Case) -> Result<Arc<dyn Strategy>, E> {
        let strategy = self.bare()?;
        self.tell(strategy.as_ref(), case);
        Ok(strategy)
    }

    /// Configuration and fleet of a case. Whether both were taken.
    pub(super) fn tell(&mut self, strategy: &dyn Strategy, case: &Case) -> bool {
        let place = format!("case {:?}", case.name);
        let configured = strategy.configure(&self.options.parameters, &case.knobs);
        let is_configured = self.passed(configured, &place).is_some();
        if strategy.identity().world != World::Strategy {
            return is_configured;
        }
        let known = strategy.fleet(&case.fleet);
        self.passed(known, &place).is_some() && is_configured
    }

    /// Asks for proposals.
    pub(super) fn propose(&mut self, strategy: &dyn Strategy, case: &Case) -> Result<Vec<Proposal>, StrategyError> {
        let started = (self.options.clock)();
        let answer = strategy.propose(&case.observation);
        keep(&mut self.propose_times, (self.options.clock)() - started);
        self.figures.calls += 1;
        self.count(&answer);
        answer
    }

    /// Asks for a plan.
    pub(super) fn plan(
        &mut self,
        strategy: &dyn Strategy,
        asked: &PlanRequest,
        candidates: &[Candidate],
    ) -> Result<Plan, StrategyError> {
        self.figures.calls += 1;
        self.figures.plans += 1;
        let answer = strategy.plan(asked, candidates);
        self.count(&answer);
        answer
    }

    /// Notes how long plans took.
    pub(super) fn keep_plan_time(&mut self, time: Duration) {
        keep(&mut self.plan_times, time);
    }

    /// The answer of a call that must succeed; a failure becomes a finding.
    pub(super) fn passed<T>(&mut self, answer: Result<T, StrategyError>, place: &str) -> Option<T> {
        self.figures.calls += 1;
        self.count(&answer);
        answer.map_err(|error| self.failed(&error, place)).ok()
    }

    /// Counts an answer that may be none. A function that made a phase be given up ends each later one at its first failure.
    pub(super) fn count<T>(&mut self, answer: &Result<T, StrategyError>) {
        let Err(error) = answer else { return };
        if !is_lost(answer) {
            return;
        }
        self.failures += 1;
        match self.by_call.iter_mut().find(|(call, _)| *call == error.call()) {
            Some((_, failures)) if *failures >= MOST_FAILURES => self.failures = MOST_FAILURES,
            Some((_, failures)) => *failures += 1,
            None => self.by_call.push((error.call(), 1)),
        }
    }

    /// Notes a call that failed. A fault in the strategy's own words is an answer, though not one that helps anybody.
    pub(super) fn failed(&mut self, error: &StrategyError, place: &str) {
        let severity = match error {
            StrategyError::Fault { .. } => Severity::Warning,
            _ => Severity::Error,
        };
        let (code, call) = (error.code(), error.call());
        let said = (format!("{call}, {place}"), error.to_string(), error.fix());
        // Other failures say all there is to say.
        let is_silent = !matches!(error, StrategyError::Trap { .. } | StrategyError::OutOfMemory { .. });
        self.findings
            .add_with_log(severity, code, call, said, || if is_silent { Vec::new() } else { (self.options.log)() });
    }

    /// Whether so many calls of this phase failed that more would only cost time.
    pub(super) fn is_given_up(&self) -> bool {
        self.failures >= MOST_FAILURES
    }

    /// The middle of the plan times so far.
    pub(super) fn plan_p50(&self) -> Duration {
        middle(&self.plan_times)
    }

    pub(super) fn report(mut self) -> Report {
        self.figures.propose_p50_us = middle(&self.propose_times).as_secs_f64() * 1e6;
        self.figures.plan_p50_us = middle(&self.plan_times).as_secs_f64() * 1e6;
        Report { findings: self.findings.sorted(), figures: self.figures }
    }
}

/// Whether the instance is lost, or may be, with what it had in memory.
pub(super) fn is_lost<T>(answer: &Result<T, StrategyError>) -> bool {
    matches!(answer, Err(error) if !matches!(error, StrategyError::Fault { .. }))
}

fn keep(times: &mut Vec<Duration>, time: Duration) {
    if times.len() < MOST_TIMES {
        times.push(time);
    }
}

fn middle(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
