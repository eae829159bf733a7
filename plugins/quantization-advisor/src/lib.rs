//! Advice on which variant of a model to run on a machine, and a smaller KV cache where memory runs short.
//!
//! Owns the component's exports. The ranking is in [`advice`], what it predicts with in [`quality`] and [`speed`], the
//! one knob it turns in [`policy`].

#![cfg_attr(target_arch = "wasm32", allow(unsafe_code))] // generated: the exports of the component

pub mod advice;
pub mod bindings;
#[cfg(target_arch = "wasm32")]
mod component;
pub mod parameters;
pub mod policy;
pub mod quality;
pub mod speed;

#[cfg(test)]
mod tests;
