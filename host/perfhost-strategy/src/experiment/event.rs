//! What the host tells an experiment: batches of requests assigned, requests ended, scores given.
//!
//! Each source (a worker of a process) numbers its batches; a batch that comes a second time, after a retry or a restart,
//! changes nothing. Within one source an `Assigned` precedes its `Finished`.

use serde::{Deserialize, Serialize};

use super::outcome::Outcome;
use super::statistics::adjustment::MOST_COVARIATES;

/// Events of one source, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// Who speaks; a process that starts anew is a new source.
    pub source: u64,
    /// Rises with every batch of this source.
    pub sequence: u64,
    /// What happened.
    pub events: Vec<Event>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A request got its arm.
    Assigned(Assigned),
    /// A request ended.
    Finished {
        /// The request.
        id: u64,
        /// When, Unix time in milliseconds.
        at_ms: u64,
        /// How.
        outcome: Outcome,
    },
    /// Somebody scored a request that was counted, from 0 (bad) to 1 (good).
    Scored {
        /// The request.
        id: u64,
        /// Its arm.
        arm: usize,
        /// Its stage, from its [`super::Assignment`].
        epoch: u32,
        /// The score.
        score: f64,
    },
}

/// A request and its arm, from [`super::Allocation::assign`]. Report those that are counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assigned {
    /// The request: unlike any other of the experiment.
    pub id: u64,
    /// What was drawn: the request's id, or a hash of its session or user.
    pub unit: u64,
    /// Its arm.
    pub arm: usize,
    /// Its stage.
    pub epoch: u32,
    /// Its block, in a switchback.
    pub block: Option<u64>,
    /// When it arrived, Unix time in milliseconds.
    pub at_ms: u64,
    /// What is known of it whichever arm serves it (see [`super::statistics::adjustment`]); zeros for nothing.
    #[serde(default)]
    pub covariates: [f64; MOST_COVARIATES],
}
