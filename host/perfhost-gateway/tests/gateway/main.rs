//! The gateway through its public surface: real sockets, scripted providers, strategies written in Rust.

#![allow(missing_docs)]

mod access;
mod admission;
mod api;
mod caching;
mod failures;
mod forwarding;
mod shutdown;
mod strategies;
mod support;
