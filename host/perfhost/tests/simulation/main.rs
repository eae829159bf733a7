//! The simulation beside the real host: what is seen is what telemetry would show, and the built-in strategies behave in
//! it as they should; and the command that lets people see for themselves.

#![allow(clippy::unwrap_used, reason = "a test that cannot run must fail")]

mod command;
mod comparison;
mod observed;
mod strategies;
