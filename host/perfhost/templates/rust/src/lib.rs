//! From the contract's exports (wit/strategy.wit) to the policy and back. Holds one instance's state; decides nothing.

mod policy;

use std::cell::RefCell;

use exports::perfhost::strategy::{control, route};
use perfhost::strategy::types::{Fault, Knob, Observation, Proposal};
use policy::{Policy, PARAMETERS};

wit_bindgen::generate!({ path: "wit", world: "strategy" });

thread_local! {
    // A component instance is entered by one call at a time; this is its state between calls.
    static POLICY: RefCell<Policy> = RefCell::default();
}

struct Component;

impl control::Guest for Component {
    fn describe() -> control::Description {
        control::Description {
            name: "{{name}}".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "raises engine slots while requests wait, and sends each request to the least loaded provider"
                .into(),
            goal: "no request waits in an engine for a slot".into(),
            reads: vec!["engine_requests_deferred".into()],
            turns: vec!["engine_slots".into()],
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
        POLICY
            .with_borrow_mut(|policy| policy.configure(&parameters, knobs))
            .map_err(Fault::InvalidParameter)
    }

    fn propose(seen: Observation) -> Result<Vec<Proposal>, Fault> {
        Ok(POLICY.with_borrow_mut(|policy| policy.propose(&seen)).into_iter().collect())
    }

    fn learn(outcomes: Vec<control::Outcome>) {
        POLICY.with_borrow_mut(|policy| policy.learn(&outcomes));
    }

    fn save() -> Vec<u8> {
        POLICY.with_borrow(|policy| policy.save().into_bytes())
    }

    fn restore(state: Vec<u8>) -> Result<(), Fault> {
        let restored = String::from_utf8(state)
            .map_err(|error| error.to_string())
            .and_then(|text| POLICY.with_borrow_mut(|policy| policy.restore(&text)));
        restored.map_err(Fault::Unsupported)
    }
}

impl route::Guest for Component {
    // The policy ranks by numbers alone, so the names are not kept.
    fn fleet(_names: route::FleetNames) {}

    fn plan_request(asked: route::Request, candidates: Vec<route::Candidate>) -> route::Plan {
        route::Plan {
            order: policy::order(&candidates),
            cache_read: asked.deterministic,
            cache_write: asked.deterministic,
            // Zeros: the settings' own values.
            cache_ttl_ms: 0,
            first_byte_timeout_ms: 0,
            hedge_after_ms: 0,
            priority: asked.priority,
        }
    }
}

export!(Component);
