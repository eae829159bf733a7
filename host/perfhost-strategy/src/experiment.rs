//! wip
pub mod statistics;
