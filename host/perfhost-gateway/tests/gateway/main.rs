//! The gateway through its public surface: real sockets, scripted providers, strategies written in Rust.

#![allow(missing_docs)]
// The exemption for tests reaches test functions only, not what they are written with.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod access;
mod admission;
mod analysis;
mod api;
mod caching;
mod experiments;
mod failures;
mod forwarding;
mod shutdown;
mod strategies;
mod support;
mod telemetry;
