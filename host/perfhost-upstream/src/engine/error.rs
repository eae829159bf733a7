//! What can go wrong with an engine: each says at which stage, with what, and what to do.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::EndpointError;

/// Why an engine could not be set up or run.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A step of the installation failed.
    #[error("install: {step} failed: {why}")]
    Install {
        /// What was tried.
        step: &'static str,
        /// What it said, and what to do.
        why: String,
    },
    /// The program could not be started.
    #[error("start: cannot run {}: {source}", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// The refusal.
        source: std::io::Error,
    },
    /// The process ended before it answered, or while it served.
    #[error("the engine ended with {how}; its log {} ends with:\n{last_lines}", log.display())]
    Ended {
        /// Exit status or signal.
        how: String,
        /// The log.
        log: PathBuf,
        /// The end of the log.
        last_lines: String,
    },
    /// The process runs but did not become ready.
    #[error("start: the engine was not ready after {after:?}; its log {} ends with:\n{last_lines}", log.display())]
    NotReady {
        /// The limit, which grows with the model's size.
        after: Duration,
        /// The log.
        log: PathBuf,
        /// The end of the log.
        last_lines: String,
    },
    /// The process runs but has stopped answering.
    #[error("the engine has not answered for {after:?}")]
    Silent {
        /// For how long.
        after: Duration,
    },
    /// There is no room for a second process beside the first.
    #[error(
        "replace: not enough memory to run the old and the new engine together: {} MB needed, {} MB available",
        needed_bytes / 1_000_000, available_bytes / 1_000_000
    )]
    NotEnoughMemory {
        /// What the new one is estimated to need, with a margin.
        needed_bytes: u64,
        /// What the operating system has to give.
        available_bytes: u64,
    },
    /// The engine's own address was refused.
    #[error("start: {0}")]
    Address(#[from] EndpointError),
    /// No free port on loopback.
    #[error("start: no free port on 127.0.0.1: {0}")]
    Port(std::io::Error),
    /// The file system refused.
    #[error("cannot {doing} {}: {source}", path.display())]
    File {
        /// A verb.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The refusal.
        source: std::io::Error,
    },
}

impl EngineError {
    /// Turns an I/O error into one that names the file.
    pub(super) fn file(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { doing, path, source }
    }
}
