//! How far a long piece of work has come, as the command line shows it: model pulls and engine installation.

use serde::Serialize;

/// One step forward.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// What kind of work is under way.
    pub stage: Stage,
    /// The thing worked on, for a person to read: a file, a package, a model.
    pub what: String,
    /// Bytes done in this stage; 0 where the stage is not counted in bytes.
    pub done_bytes: u64,
    /// Bytes in all, where known.
    pub total_bytes: Option<u64>,
}

/// A kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Waiting for the same work done by another process.
    Waiting,
    /// Finding out where the files are.
    Resolving,
    /// Fetching bytes.
    Downloading,
    /// Computing checksums.
    Verifying,
    /// Putting parts together.
    Assembling,
    /// Setting up an environment and its packages.
    Installing,
    /// Trying out what was installed.
    Testing,
}

impl Progress {
    /// A step that is not counted in bytes.
    pub fn of(stage: Stage, what: impl Into<String>) -> Self {
        Self { stage, what: what.into(), done_bytes: 0, total_bytes: None }
    }
}
