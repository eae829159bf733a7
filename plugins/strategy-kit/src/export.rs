//! From a policy to the exports of the contract: keeps the state of one instance and answers each call from it.

use crate::about::About;
use crate::control::{Description, Outcome};
use crate::knobs::Knobs;
use crate::parameters::Parameters;
use crate::route::{Candidate, Plan, Request};
use crate::seen::Seen;
use crate::tuning::Tuning;
use crate::types::{Fault, Knob, Observation, Proposal};

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

/// One instance of a policy with what it was given and has learned.
#[derive(Debug, Default)]
pub struct Strategy<P> {
    policy: P,
    tuning: Tuning,
}

impl<P: Policy> Strategy<P> {
    /// An instance with every parameter at its default and nothing to turn.
    pub fn new() -> Self {
        let mut strategy = Self { policy: P::default(), tuning: Tuning::default() };
        strategy.policy.configure(&Parameters::defaults(P::ABOUT.parameters), &mut strategy.tuning);
        strategy
    }

    /// `control.describe`.
    pub fn describe() -> Description {
        P::ABOUT.description()
    }

    /// `control.configure`. A wrong parameter leaves everything as it was.
    ///
    /// # Errors
    /// `invalid-parameter`, as [`Parameters::read`].
    pub fn configure(&mut self, given: &[(String, String)], offered: Vec<Knob>) -> Result<(), Fault> {
        let parameters = Parameters::read(P::ABOUT.parameters, given)?;
        self.tuning.knobs = Knobs::new(offered);
        self.policy.configure(&parameters, &mut self.tuning);
        Ok(())
    }

    /// `control.propose`. While a queue is building up nothing is asked for: no change could be judged fairly.
    pub fn propose(&mut self, observation: &Observation) -> Vec<Proposal> {
        let seen = self.tuning.begin(observation);
        if seen.is_building_up() {
            return Vec::new();
        }
        self.policy.propose(&seen, &mut self.tuning)
    }

    /// `control.learn`.
    pub fn learn(&mut self, outcomes: &[Outcome]) {
        self.tuning.trials.learn(outcomes);
    }

    /// `control.save`.
    pub fn save(&self) -> Vec<u8> {
        self.tuning.trials.save()
    }

    /// `control.restore`.
    ///
    /// # Errors
    /// `unsupported` for state of another form.
    pub fn restore(&mut self, state: &[u8]) -> Result<(), Fault> {
        self.tuning.trials.restore(state)
    }

    /// `route.plan-request`.
    pub fn plan(&self, asked: &Request, candidates: &[Candidate]) -> Plan {
        self.policy.plan(asked, candidates)
    }
}

/// Exports a [`Policy`] as a component of the world `strategy`.
#[macro_export]
macro_rules! export_strategy {
    ($policy:ty) => {
        std::thread_local! {
            // A component instance is entered by one call at a time; this is its state between calls.
            static STRATEGY: std::cell::RefCell<$crate::Strategy<$policy>> =
                std::cell::RefCell::new($crate::Strategy::new());
        }

        struct Component;

        impl $crate::control::Guest for Component {
            fn describe() -> $crate::control::Description {
                $crate::Strategy::<$policy>::describe()
            }
            fn configure(
                parameters: Vec<(String, String)>,
                knobs: Vec<$crate::types::Knob>,
            ) -> Result<(), $crate::types::Fault> {
                STRATEGY.with_borrow_mut(|strategy| strategy.configure(&parameters, knobs))
            }
            fn propose(
                seen: $crate::types::Observation,
            ) -> Result<Vec<$crate::types::Proposal>, $crate::types::Fault> {
                Ok(STRATEGY.with_borrow_mut(|strategy| strategy.propose(&seen)))
            }
            fn learn(outcomes: Vec<$crate::control::Outcome>) {
                STRATEGY.with_borrow_mut(|strategy| strategy.learn(&outcomes));
            }
            fn save() -> Vec<u8> {
                STRATEGY.with_borrow(|strategy| strategy.save())
            }
            fn restore(state: Vec<u8>) -> Result<(), $crate::types::Fault> {
                STRATEGY.with_borrow_mut(|strategy| strategy.restore(&state))
            }
        }

        impl $crate::route::Guest for Component {
            // The policies rank by numbers alone, so names are not kept.
            fn fleet(_names: $crate::route::FleetNames) {}
            fn plan_request(
                asked: $crate::route::Request,
                candidates: Vec<$crate::route::Candidate>,
            ) -> $crate::route::Plan {
                STRATEGY.with_borrow(|strategy| strategy.plan(&asked, &candidates))
            }
        }

        $crate::bindings::export_strategy_world!(Component with_types_in $crate::bindings);
    };
}
