//! Answers kept for equal requests, and equal requests that share one answer while it is made.
//!
//! Knows nothing of HTTP or of any wire protocol: it is handed keys, whole answers and chunks of answers under way.
//! Map of the crate:
//!
//! - [`key`]: what makes two requests equal
//! - [`entry`]: one whole, successful answer
//! - [`cache`]: the bounded store of entries, with admission by frequency and a time to live for each
//! - [`stats`]: what the cache did and saved, by model
//! - [`pages`]: chunks of an answer in memory of their own
//! - [`recency`]: whether an equal request was seen not long ago
//! - [`flight`]: single flight: one request leads, equal ones that arrive meanwhile follow

pub mod cache;
pub mod entry;
pub mod flight;
pub mod key;
pub mod pages;
pub mod recency;
pub mod stats;

pub use cache::Cache;
pub use entry::{Entry, EntryError, Form, Origin};
pub use flight::{Aborted, Flights, Follower, Head, Join, Leader};
pub use key::{Key, KeyBuilder};
pub use pages::Pages;
pub use stats::{CacheStats, ModelSavings};
