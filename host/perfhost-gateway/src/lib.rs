//! The HTTP surface of perfhost: one listener for the models' API (`/v1`), the host's own (`/api`) and `/metrics`.
//!
//! [`run`] takes a bound listener and everything the gateway works with as [`Services`]; it opens no socket, reads no
//! environment and decides nothing about knobs. Only HTTP/1.1 is spoken to clients. Map of the crate:
//!
//! - [`run`] in `server`, `connection`: listener, worker threads, connections, draining
//! - [`Shutdown`] in `shutdown`: draining, then stopping
//! - `worker`: what one worker thread owns; nothing on the path of a request is shared but counters
//! - `router`: which path is answered by whom; `models`: the list of models
//! - `pipeline`: the life of a request, all phases in one function
//! - `receive`: a request's body, whole and within bounds
//! - `headers`: what the gateway adds and what it keeps to itself
//! - `planning`: asking the strategy, and what happens when it fails or is slow
//! - [`admission`]: the concurrency limit and the queue
//! - `attempt`: sending upstream: order, retries, hedging, time limits
//! - `caching`, `sharing`: answers from the cache, and one answer for many equal requests
//! - `answer`, `relay`: the body of an answer, streamed as it arrives
//! - [`experiment`]: which arm of a running experiment serves a request, and the report of how it ended
//! - `ledger`: what a request cost by phase and how it ended, recorded exactly once
//! - `failure`: every error of a request, and the one place that turns it into HTTP
//! - `feed`: how the host stands, once a second, to everybody who reads along
//! - [`protocol`]: the wire protocols
//! - [`access`]: keys, tokens, and what browsers may not do
//! - `dashboard`: the page for people, and its files
//! - `api`, [`control`]: the host's own API and what it asks of the process around it; [`moment`]: times as people write
//!   them

pub mod access;
pub mod admission;
mod answer;
mod api;
mod attempt;
mod caching;
mod client_io;
mod connection;
pub mod control;
mod dashboard;
pub mod experiment;
mod failure;
mod feed;
mod headers;
mod ledger;
mod models;
pub mod moment;
mod pipeline;
mod planning;
pub mod protocol;
mod receive;
mod relay;
mod router;
mod server;
mod services;
mod sharing;
mod shutdown;
mod worker;

pub use access::AccessPolicy;
pub use admission::Admission;
pub use api::{Period, report_on};
pub use control::{
    AlertTarget, AlertsAsk, Control, ControlError, ExperimentControl, Firing, ReportFormat, StrategySource,
};
pub use server::run;
pub use services::{Limits, Services};
pub use shutdown::{Shutdown, ShutdownTrigger, Stage, shutdown_channel};
