//! The experiment's statistics: against published implementations, by property, and by simulation.

#![allow(clippy::expect_used, reason = "a test that cannot set up must fail")]

mod coverage;
mod properties;
#[path = "../simulation/proof/random.rs"]
mod random;
mod vectors;
