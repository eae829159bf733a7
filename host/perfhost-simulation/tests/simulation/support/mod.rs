//! Strategies and operators made of closures, and short cuts to scenarios.

use std::sync::Arc;

use perfhost_simulation::operator::{Beginning, Direction};
use perfhost_simulation::scenario::{Amount, CloudSpec, EngineSpec, Generation, ProviderSpec};
use perfhost_simulation::{Account, Operator, RequestEnd, Run, Scenario, StrategyOperator, simulate};
use perfhost_strategy::advice::{Advice, Choice};
use perfhost_strategy::knob::OfferedKnob;
use perfhost_strategy::observation::Hardware;
use perfhost_strategy::plan::FleetNames;
use perfhost_strategy::strategy::{Description, Identity, World};
use perfhost_strategy::{
    Candidate, GuardPolicy, Observation, Outcome, Plan, PlanRequest, Proposal, Scope, Settings, Strategy,
    StrategyError, Value,
};

type Propose = dyn Fn(&Observation) -> Result<Vec<Proposal>, StrategyError> + Send + Sync;
type PlanOne = dyn Fn(&PlanRequest, &[Candidate]) -> Result<Plan, StrategyError> + Send + Sync;

/// A strategy made of two closures.
pub(crate) struct Native {
    identity: Identity,
    description: Description,
    propose: Box<Propose>,
    plan: Box<PlanOne>,
}

impl Native {
    /// Proposes nothing and plans as the host itself does.
    pub(crate) fn new() -> Self {
        Self {
            identity: Identity {
                name: "native".to_owned(),
                version: "1.0.0".to_owned(),
                digest: "0".repeat(64),
                world: World::Strategy,
                source: "test".to_owned(),
            },
            description: Description::default(),
            propose: Box::new(|_| Ok(Vec::new())),
            plan: Box::new(|asked, candidates| Ok(Plan::default_for(asked, candidates))),
        }
    }

    pub(crate) fn proposing(
        mut self,
        propose: impl Fn(&Observation) -> Result<Vec<Proposal>, StrategyError> + Send + Sync + 'static,
    ) -> Self {
        self.propose = Box::new(propose);
        self
    }

    pub(crate) fn planning(
        mut self,
        plan: impl Fn(&PlanRequest, &[Candidate]) -> Result<Plan, StrategyError> + Send + Sync + 'static,
    ) -> Self {
        self.plan = Box::new(plan);
        self
    }

    /// Lets it run a scenario.
    pub(crate) fn run(self, scenario: &Scenario, seed: u64) -> (Run, Account) {
        let operator = StrategyOperator::new(Arc::new(self), Vec::new(), GuardPolicy::default());
        let (run, operator) = simulate(scenario, seed, operator).unwrap();
        (run, operator.into_account())
    }
}

impl Strategy for Native {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn description(&self) -> &Description {
        &self.description
    }

    fn configure(&self, _: &[(String, String)], _: &[OfferedKnob]) -> Result<(), StrategyError> {
        Ok(())
    }

    fn propose(&self, seen: &Observation) -> Result<Vec<Proposal>, StrategyError> {
        (self.propose)(seen)
    }

    fn learn(&self, _: &[Outcome]) -> Result<(), StrategyError> {
        Ok(())
    }

    fn save(&self) -> Result<Vec<u8>, StrategyError> {
        Ok(Vec::new())
    }

    fn restore(&self, _: &[u8]) -> Result<(), StrategyError> {
        Ok(())
    }

    fn fleet(&self, _: &FleetNames) -> Result<(), StrategyError> {
        Ok(())
    }

    fn plan(&self, asked: &PlanRequest, candidates: &[Candidate]) -> Result<Plan, StrategyError> {
        (self.plan)(asked, candidates)
    }

    fn advise(&self, _: &Hardware, _: u32, _: u32, _: &[Choice]) -> Result<Vec<Advice>, StrategyError> {
        Err(StrategyError::NotExported { call: "recommend" })
    }
}

/// An operator that keeps every request's end and every observation, and turns what a closure says.
pub(crate) struct Witness<F> {
    pub(crate) ends: Vec<RequestEnd>,
    pub(crate) seen: Vec<Observation>,
    settings: Arc<Settings>,
    turn: F,
}

impl<F: FnMut(&Observation, &Settings) -> Option<Settings>> Witness<F> {
    pub(crate) fn new(turn: F) -> Self {
        Self { ends: Vec::new(), seen: Vec::new(), settings: Arc::default(), turn }
    }
}

/// One that turns nothing.
pub(crate) fn witness() -> Witness<impl FnMut(&Observation, &Settings) -> Option<Settings>> {
    Witness::new(|_, _| None)
}

impl<F: FnMut(&Observation, &Settings) -> Option<Settings>> Operator for Witness<F> {
    fn begin(&mut self, beginning: &Beginning<'_>) -> Result<(), StrategyError> {
        self.settings = beginning.settings.clone();
        Ok(())
    }

    fn direct(&mut self, asked: &PlanRequest, candidates: &[Candidate]) -> Direction {
        Direction { plan: Plan::default_for(asked, candidates), settings: self.settings.clone(), arm: 7 }
    }

    fn look(&mut self, seen: &Observation) -> Option<Arc<Settings>> {
        self.seen.push(seen.clone());
        self.settings = Arc::new((self.turn)(seen, &self.settings)?);
        Some(self.settings.clone())
    }

    fn finished(&mut self, end: &RequestEnd) {
        self.ends.push(*end);
    }
}

/// A proposal for a whole number.
pub(crate) fn proposal(name: &str, scope: &str, value: i64) -> Proposal {
    Proposal {
        name: name.to_owned(),
        scope: Scope::parse(scope),
        value: Value::Integer(value),
        reason: "the test says so".to_owned(),
        expected: None,
        confidence: 0.5,
    }
}

/// Start values of knobs that take whole numbers.
pub(crate) fn knobs(values: &[(&str, i64)]) -> std::collections::BTreeMap<String, Value> {
    values.iter().map(|(name, value)| ((*name).to_owned(), Value::Integer(*value))).collect()
}

/// A managed engine whose speed for all requests together is the same however many there are, and whose prompts take no
/// time: an answer of n tokens is (n - 1) / 100 seconds of work.
pub(crate) fn plain_engine() -> ProviderSpec {
    ProviderSpec::Engine(EngineSpec {
        prompt_tokens_per_second: 1e12,
        generation: vec![Generation { requests: 1, tokens_per_second: 100.0 }],
        ..EngineSpec::default()
    })
}

/// A service with fixed times.
pub(crate) fn plain_cloud(name: &str, first_token_ms: f64, failing: f64) -> ProviderSpec {
    ProviderSpec::Cloud(CloudSpec {
        name: name.to_owned(),
        first_token_ms: Amount::Fixed(first_token_ms),
        token_ms: Amount::Fixed(10.0),
        failing,
        ..CloudSpec::default()
    })
}

/// Whether two numbers are within a share of the second.
pub(crate) fn is_near(found: f64, expected: f64, share: f64) -> bool {
    (found - expected).abs() <= share * expected.abs()
}
