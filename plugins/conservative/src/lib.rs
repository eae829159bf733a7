//! Latency first: holds the p95 time to first token at or under a target.
//!
//! Owns the component's exports. The decisions are in [`policy`], the plan of one request in [`plan`].

#![cfg_attr(target_arch = "wasm32", allow(unsafe_code))] // generated: the exports of the component

pub mod plan;
pub mod policy;

pub use policy::Conservative;

#[cfg(target_arch = "wasm32")]
strategy_kit::export_strategy!(strategy_kit::Strategy<Conservative>);

#[cfg(test)]
mod tests;
