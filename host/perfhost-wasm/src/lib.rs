//! The sandbox: loads strategies that are WebAssembly components and runs them within limits. The only crate that knows
//! wasmtime.
//!
//! The rest of perfhost sees a [`perfhost_strategy::Strategy`]. No strategy, however broken, can fail a request, hold it
//! up beyond its time limit, or reach anything outside: a call that goes wrong ends in a typed error and costs the
//! instance it ran on.
//!
//! Map, from the outside in:
//!
//! - [`runtime`]: the sandbox of one process; `ticker` and `deadline`: time limits
//! - [`limits`]: what strategies may use; [`terms`]: what one of them is granted, and where it may use less
//! - [`load`]: from a file to a strategy, stage by stage; [`error`]: how that fails; [`inspect`]: what it shows
//! - `background`: the threads on which a strategy is loaded while requests are served
//! - `cache`: compiled code on disk, in a folder that only perfhost writes
//! - `strategy`: a loaded component as a `Strategy`; `pool`: its warm planning instances; `keeper`: the
//!   thread that replaces them; `setup`: what each of them is told before it works
//! - `instance`: one instance and its calls; `guest`: what the host keeps for it; `failure`: what its failures mean
//! - [`host`]: the contract's imports; `wasi`: WASI with nothing granted
//! - `bindings`: types generated from `wit/`, which never leave this crate; `convert`: to and from perfhost-strategy's
//!
//! Guest code runs on the calling thread, which needs [`Limits::stack_bytes`] of stack to spare. No call waits for
//! anything but guest code and, for control calls, the control call before it.

mod background;
mod bindings;
mod cache;
mod convert;
mod deadline;
mod failure;
mod guest;
mod instance;
mod keeper;
mod pool;
mod setup;
mod strategy;
mod ticker;
mod wasi;

pub mod error;
pub mod host;
pub mod inspect;
pub mod limits;
pub mod load;
pub mod runtime;
pub mod terms;

pub use error::{LoadError, LoadFailure, Stage};
pub use host::history::{History, HistoryPoint, NoHistory};
pub use host::log::{LogLevel, LogLine};
pub use inspect::{ImportReport, Inspection};
pub use limits::{LimitInForce, LimitKey, Limits};
pub use load::StageReport;
pub use load::component::Answer;
pub use runtime::{PluginSource, Runtime, RuntimeConfig};
pub use terms::{Terms, TermsOf};
