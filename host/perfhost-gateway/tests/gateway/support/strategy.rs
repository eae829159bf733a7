//! A strategy written in Rust, whose plan is the test's.

use std::time::Duration;

use perfhost_strategy::advice::{Advice, Choice};
use perfhost_strategy::knob::OfferedKnob;
use perfhost_strategy::observation::Hardware;
use perfhost_strategy::plan::FleetNames;
use perfhost_strategy::strategy::{Allowance, Description, Identity, World};
use perfhost_strategy::{Candidate, Observation, Outcome, Plan, PlanRequest, Proposal, Strategy, StrategyError};

type Planner = Box<dyn Fn(&PlanRequest, &[Candidate]) -> Result<Plan, StrategyError> + Send + Sync>;

pub(crate) struct Double {
    identity: Identity,
    description: Description,
    allowance: Allowance,
    plan: Planner,
}

impl Double {
    /// Plans as the host itself would.
    pub(crate) fn plain() -> Self {
        Self::planning(|asked, candidates| Ok(Plan::default_for(asked, candidates)))
    }

    pub(crate) fn planning(
        plan: impl Fn(&PlanRequest, &[Candidate]) -> Result<Plan, StrategyError> + Send + Sync + 'static,
    ) -> Self {
        let identity = Identity {
            name: "double".to_owned(),
            version: "1.2.3".to_owned(),
            digest: "0".repeat(64),
            world: World::Strategy,
            source: "built-in".to_owned(),
        };
        Self { identity, description: Description::default(), allowance: Allowance::default(), plan: Box::new(plan) }
    }

    /// With a budget of its own.
    pub(crate) fn within(mut self, plan_budget: Duration) -> Self {
        self.allowance.plan_budget = Some(plan_budget);
        self
    }

    /// The host's plan, changed.
    pub(crate) fn changing(change: impl Fn(&mut Plan) + Send + Sync + 'static) -> Self {
        Self::planning(move |asked, candidates| {
            let mut plan = Plan::default_for(asked, candidates);
            change(&mut plan);
            Ok(plan)
        })
    }
}

impl Strategy for Double {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn description(&self) -> &Description {
        &self.description
    }

    fn allowance(&self) -> &Allowance {
        &self.allowance
    }

    fn configure(&self, _: &[(String, String)], _: &[OfferedKnob]) -> Result<(), StrategyError> {
        Ok(())
    }

    fn propose(&self, _: &Observation) -> Result<Vec<Proposal>, StrategyError> {
        Ok(Vec::new())
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
        Err(StrategyError::NotExported { call: "advise" })
    }
}
