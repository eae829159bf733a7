//! The contract's imports, one file an interface: what a strategy may call.

pub mod history;
pub mod log;
