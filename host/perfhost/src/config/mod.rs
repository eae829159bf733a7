//! Configuration: where it comes from, what it may say, and what it means.
//!
//! Two types: [`raw::Raw`] is what a person wrote, every key optional; [`checked::Config`] is what the host runs with.
//! Files first, then `PERFHOST_*` variables, then flags; each overrides what came before.

pub mod alerts;
pub mod checked;
mod history;
mod knobs;
pub mod load;
mod position;
pub mod raw;
mod rules;
pub mod sandbox;
mod telemetry;
pub mod trust;
mod upstreams;

pub use checked::{AutoPolicy, Config, OtlpConfig, pairs};
pub use load::{ConfigError, Sources, load};
