//! Goodput under a service-level objective: as much as possible, with first tokens and token times within limits.
//!
//! Owns the component's exports. The decisions are in [`policy`], the plan of one request in [`plan`].

#![cfg_attr(target_arch = "wasm32", allow(unsafe_code))] // generated: the exports of the component

pub mod goodput;
pub mod plan;
pub mod policy;

pub use policy::Balanced;

#[cfg(target_arch = "wasm32")]
strategy_kit::export_strategy!(strategy_kit::Strategy<Balanced>);

#[cfg(test)]
mod tests;
