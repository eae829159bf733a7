//! From the contract's exports (the world `tuner`) to the policy and back. Holds one instance's state; decides nothing.

mod policy;

use std::cell::RefCell;

use exports::perfhost::strategy::control;
use perfhost::strategy::types::{Fault, Knob, Observation, Proposal};
use policy::{Policy, PARAMETERS};

wit_bindgen::generate!({ path: "../../../wit/v0.1.0", world: "tuner" });

thread_local! {
    // A component instance is entered by one call at a time; this is its state between calls.
    static POLICY: RefCell<Policy> = RefCell::default();
}

struct Component;

impl control::Guest for Component {
    fn describe() -> control::Description {
        control::Description {
            name: "gradient-limit".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "a concurrency limit that follows the time to first token behind it".into(),
            goal: "providers start answers within `tolerance` times the best they can do".into(),
            reads: ["time_to_first_token_ms", "queue_wait_ms", "in_flight", "queue_length"].map(String::from).to_vec(),
            turns: vec!["concurrency_limit".into()],
            parameters: PARAMETERS
                .iter()
                .map(|(name, unit, default, meaning)| control::Parameter {
                    name: (*name).into(),
                    unit: (*unit).into(),
                    default: default.to_string(),
                    meaning: (*meaning).into(),
                })
                .collect(),
        }
    }

    fn configure(parameters: Vec<(String, String)>, knobs: Vec<Knob>) -> Result<(), Fault> {
        POLICY.with_borrow_mut(|policy| policy.configure(&parameters, &knobs)).map_err(Fault::InvalidParameter)
    }

    fn propose(seen: Observation) -> Result<Vec<Proposal>, Fault> {
        Ok(POLICY.with_borrow_mut(|policy| policy.propose(&seen)).into_iter().collect())
    }

    // Nothing to remember: a limit that was rolled back is found wrong again by the same measurement.
    fn learn(_outcomes: Vec<control::Outcome>) {}

    fn save() -> Vec<u8> {
        POLICY.with_borrow(Policy::save)
    }

    fn restore(state: Vec<u8>) -> Result<(), Fault> {
        POLICY.with_borrow_mut(|policy| policy.restore(&state)).map_err(Fault::Unsupported)
    }
}

export!(Component);
