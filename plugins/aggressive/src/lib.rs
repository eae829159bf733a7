//! Throughput first: more engine slots while tokens per second still rise.
//!
//! Owns the component's exports. The decisions are in [`policy`], the plan of one request in [`plan`].

#![cfg_attr(target_arch = "wasm32", allow(unsafe_code))] // generated: the exports of the component

pub mod cache;
pub mod plan;
pub mod policy;

pub use policy::Aggressive;

#[cfg(target_arch = "wasm32")]
strategy_kit::export_strategy!(strategy_kit::Strategy<Aggressive>);

#[cfg(test)]
mod tests;
