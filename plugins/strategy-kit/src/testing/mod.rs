//! A world for policies to be tried in: a queueing model of one engine, a stand-in for the host's guard, and the loop
//! between them. Numbers come out the same on every run.

#![allow(clippy::expect_used)] // test code: an unexpected state must stop the test

pub mod guard;
pub mod requests;
pub mod run;
pub mod world;

pub use run::{Run, Turn};
pub use world::World;
