//! The component: answers each call of the contract from one instance's state.

#![allow(unreachable_pub)] // generated: exported functions are public in a private module

use std::cell::RefCell;

use strategy_kit::types::{Fault, Hardware, Knob, Observation, Proposal};
use strategy_kit::{Knobs, Seen};

use crate::advice::{Weights, recommend};
use crate::bindings::advise::{self, Advice, Choice};
use crate::bindings::control::{self, Description, Outcome, Parameter};
use crate::parameters::ABOUT;
use crate::policy::Advisor;

std::thread_local! {
    // A component instance is entered by one call at a time; this is its state between calls.
    static ADVISOR: RefCell<Advisor> = RefCell::new(Advisor::default());
}

struct Component;

impl control::Guest for Component {
    fn describe() -> Description {
        // The same record of another world.
        let about = ABOUT.description();
        let parameters = about.parameters.into_iter().map(|one| Parameter {
            name: one.name,
            unit: one.unit,
            default: one.default,
            meaning: one.meaning,
        });
        Description {
            name: about.name,
            version: about.version,
            summary: about.summary,
            goal: about.goal,
            reads: about.reads,
            turns: about.turns,
            parameters: parameters.collect(),
        }
    }

    fn configure(parameters: Vec<(String, String)>, knobs: Vec<Knob>) -> Result<(), Fault> {
        ADVISOR.with_borrow_mut(|advisor| advisor.configure(&parameters, Knobs::new(knobs)))
    }

    fn propose(seen: Observation) -> Result<Vec<Proposal>, Fault> {
        Ok(ADVISOR.with_borrow_mut(|advisor| advisor.propose(&Seen::new(&seen, 0))))
    }

    fn learn(outcomes: Vec<Outcome>) {
        ADVISOR.with_borrow_mut(|advisor| advisor.learn(&outcomes));
    }

    fn save() -> Vec<u8> {
        ADVISOR.with_borrow(Advisor::save)
    }

    fn restore(state: Vec<u8>) -> Result<(), Fault> {
        ADVISOR.with_borrow_mut(|advisor| advisor.restore(state))
    }
}

impl advise::Guest for Component {
    fn recommend(on: Hardware, context: u32, parallel: u32, choices: Vec<Choice>) -> Result<Vec<Advice>, Fault> {
        let weights = ADVISOR.with_borrow(|advisor| Weights::new(&advisor.parameters));
        Ok(recommend(&on, context, parallel, &choices, weights))
    }
}

crate::bindings::export_advisor_world!(Component with_types_in crate::bindings);
