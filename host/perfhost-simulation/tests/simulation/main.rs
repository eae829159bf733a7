//! The simulated host against what is known: measured figures, queueing theory, and the rules of the real one.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot run must fail")]

mod attempts;
mod cache;
mod conservation;
mod decisions;
mod determinism;
mod figures;
mod observations;
mod queueing;
mod scenarios;
mod support;
