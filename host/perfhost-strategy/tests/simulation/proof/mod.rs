//! Simulated experiments and what they prove. Used at two sizes: by the tests beside it, and by
//! `examples/experiment_simulation.rs`, which `make bench` runs.
//!
//! [`traffic`] is what a host serves, [`trial`] one experiment on it, [`rules`] what others would conclude from the same
//! requests, [`rows`] the figures of many trials.

pub(crate) mod random;
pub(crate) mod rows;
pub(crate) mod rules;
pub(crate) mod traffic;
pub(crate) mod trial;
