//! Conversion between the contract's generated types and the words of perfhost-strategy.

pub(crate) mod from_guest;
pub(crate) mod to_guest;
