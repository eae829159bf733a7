//! What perfhost measures: recording, windows, sketches, the store, resources and exports.
//!
//! Binds no socket and starts no clock: the caller says when a second has passed. Map of the crate, in the order of a
//! measurement's life:
//!
//! - [`phase`], [`record`], [`series`]: the words of what is recorded
//! - [`shard`]: where a worker records, at a fraction of a microsecond
//! - `tally`, [`sketch`], `histogram`: what is added up, per series
//! - [`telemetry`]: the tick that gathers all shards
//! - [`totals`]: sums over a stretch of time that somebody else bounds
//! - [`counter`]: what history counts by cause
//! - [`profile`]: single requests by phase
//! - [`window`], [`gauge`]: the last two minutes, per scope and strategy
//! - [`store`]: history, decisions and state, in SQLite
//! - [`resources`]: the machine, this process and its engines
//! - [`prometheus`]: the text that scrapers read
//! - [`otlp`]: what an OpenTelemetry collector is sent

pub mod counter;
pub mod gauge;
mod histogram;
pub mod otlp;
pub mod phase;
pub mod profile;
pub mod prometheus;
pub mod record;
pub mod resources;
pub mod series;
pub mod shard;
pub mod sketch;
pub mod store;
mod tally;
pub mod telemetry;
pub mod totals;
pub mod window;

pub use counter::Counter;
pub use phase::Phase;
pub use profile::Profile;
pub use prometheus::{ExtraKind, ExtraMetric};
pub use record::{CacheStatus, RequestOutcome, RequestRecord};
pub use resources::{GpuResources, ResourceSampler, ResourceSnapshot};
pub use series::{SeriesId, SeriesNames};
pub use shard::Recorder;
pub use store::{
    AlertQuery, CycleListQuery, CycleQuery, CycleSpan, DecisionQuery, History, HistoryPoint, HistoryQuery,
    LearnedState, NextIds, ReadOnlyStore, Retention, RetentionError, Store, StoreError, StoredExperiment,
};
pub use telemetry::Telemetry;
pub use totals::Totals;
