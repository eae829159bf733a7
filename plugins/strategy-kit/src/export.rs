//! From a strategy to the exports of the contract: what an instance must answer, and the instance that a [`Policy`] makes.

use crate::about::About;
use crate::control::{Description, Outcome};
use crate::knobs::Knobs;
use crate::parameters::Parameters;
use crate::route::{Candidate, Plan, Request};
use crate::seen::Seen;
use crate::tuning::Tuning;
use crate::types::{Fault, Knob, Observation, Proposal};

/// One instance of a strategy with what it was given and has learned. `default` has every parameter at its default and
/// nothing to turn.
pub trait Instance: Default {
    /// `control.describe`.
    fn describe() -> Description;
    /// `control.configure`. A wrong parameter leaves everything as it was.
    ///
    /// # Errors
    /// `invalid-parameter`, which names the parameter and what is allowed.
    fn configure(&mut self, given: &[(String, String)], offered: Vec<Knob>) -> Result<(), Fault>;
    /// `control.propose`.
    fn propose(&mut self, observation: &Observation) -> Vec<Proposal>;
    /// `control.learn`.
    fn learn(&mut self, outcomes: &[Outcome]);
    /// `control.save`.
    fn save(&self) -> Vec<u8>;
    /// `control.restore`.
    ///
    /// # Errors
    /// `unsupported` for state of another form.
    fn restore(&mut self, state: &[u8]) -> Result<(), Fault>;
    /// `route.plan-request`.
    fn plan(&self, asked: &Request, candidates: &[Candidate]) -> Plan;
}

/// A strategy's own part: its goal, when it turns which knob, and how it plans a request.
pub trait Policy: Default {
    /// What it says of itself.
    const ABOUT: About;
    /// Takes its parameters; called before anything else, and again when they change.
    fn configure(&mut self, parameters: &Parameters, tuning: &mut Tuning);
    /// What to change now.
    fn propose(&mut self, seen: &Seen<'_>, tuning: &mut Tuning) -> Vec<Proposal>;
    /// How to serve one request. `candidates` is never empty; nothing but the order may be allocated.
    fn plan(&self, asked: &Request, candidates: &[Candidate]) -> Plan;
}

/// The instance of a policy: keeps what was tried, and asks for nothing while nothing could be judged.
#[derive(Debug)]
pub struct Strategy<P> {
    policy: P,
    tuning: Tuning,
}

impl<P: Policy> Default for Strategy<P> {
    fn default() -> Self {
        let mut strategy = Self { policy: P::default(), tuning: Tuning::default() };
        strategy.policy.configure(&Parameters::defaults(P::ABOUT.parameters), &mut strategy.tuning);
        strategy
    }
}

impl<P: Policy> Instance for Strategy<P> {
    fn describe() -> Description {
        P::ABOUT.description()
    }

    fn configure(&mut self, given: &[(String, String)], offered: Vec<Knob>) -> Result<(), Fault> {
        let parameters = Parameters::read(P::ABOUT.parameters, given)?;
        self.tuning.knobs = Knobs::new(offered);
        self.policy.configure(&parameters, &mut self.tuning);
        Ok(())
    }

    /// While a queue is building up nothing is asked for: no change could be judged fairly.
    fn propose(&mut self, observation: &Observation) -> Vec<Proposal> {
        let seen = self.tuning.begin(observation);
        if seen.is_building_up() {
            return Vec::new();
        }
        self.policy.propose(&seen, &mut self.tuning)
    }

    fn learn(&mut self, outcomes: &[Outcome]) {
        self.tuning.trials.learn(outcomes);
    }

    fn save(&self) -> Vec<u8> {
        self.tuning.trials.save()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), Fault> {
        self.tuning.trials.restore(state)
    }

    fn plan(&self, asked: &Request, candidates: &[Candidate]) -> Plan {
        self.policy.plan(asked, candidates)
    }
}

/// Exports an [`Instance`] as a component of the world `strategy`.
#[macro_export]
macro_rules! export_strategy {
    ($instance:ty) => {
        std::thread_local! {
            // A component instance is entered by one call at a time; this is its state between calls.
            static STRATEGY: std::cell::RefCell<$instance> =
                std::cell::RefCell::new(Default::default());
        }

        struct Component;

        impl $crate::control::Guest for Component {
            fn describe() -> $crate::control::Description {
                <$instance as $crate::Instance>::describe()
            }
            fn configure(
                parameters: Vec<(String, String)>,
                knobs: Vec<$crate::types::Knob>,
            ) -> Result<(), $crate::types::Fault> {
                STRATEGY.with_borrow_mut(|strategy| $crate::Instance::configure(strategy, &parameters, knobs))
            }
            fn propose(
                seen: $crate::types::Observation,
            ) -> Result<Vec<$crate::types::Proposal>, $crate::types::Fault> {
                Ok(STRATEGY.with_borrow_mut(|strategy| $crate::Instance::propose(strategy, &seen)))
            }
            fn learn(outcomes: Vec<$crate::control::Outcome>) {
                STRATEGY.with_borrow_mut(|strategy| $crate::Instance::learn(strategy, &outcomes));
            }
            fn save() -> Vec<u8> {
                STRATEGY.with_borrow(|strategy| $crate::Instance::save(strategy))
            }
            fn restore(state: Vec<u8>) -> Result<(), $crate::types::Fault> {
                STRATEGY.with_borrow_mut(|strategy| $crate::Instance::restore(strategy, &state))
            }
        }

        impl $crate::route::Guest for Component {
            // The policies rank by numbers alone, so names are not kept.
            fn fleet(_names: $crate::route::FleetNames) {}
            fn plan_request(
                asked: $crate::route::Request,
                candidates: Vec<$crate::route::Candidate>,
            ) -> $crate::route::Plan {
                STRATEGY.with_borrow(|strategy| $crate::Instance::plan(strategy, &asked, &candidates))
            }
        }

        $crate::bindings::export_strategy_world!(Component with_types_in $crate::bindings);
    };
}
