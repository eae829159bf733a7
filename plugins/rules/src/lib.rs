//! Tuning without programming: what is written as "when this is measured for so long, do that" is done, and undone when
//! it no longer holds.
//!
//! Owns the component's exports. The language is `perfhost_strategy::rule`; here is what becomes of rules over time: when
//! each fires ([`course`]), what its actions mean for the knobs on offer ([`goals`]), and what was changed by whom and has
//! to go back ([`ledger`]).

#![cfg_attr(target_arch = "wasm32", allow(unsafe_code))] // generated: the exports of the component

pub mod course;
pub mod defaults;
pub mod goals;
pub mod ledger;
pub mod sight;
pub mod state;
pub mod strategy;
pub mod wording;

pub use strategy::Rules;

#[cfg(target_arch = "wasm32")]
strategy_kit::export_strategy!(Rules);

#[cfg(test)]
mod tests;
