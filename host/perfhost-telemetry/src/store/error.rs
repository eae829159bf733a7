//! How the store fails.

use std::path::PathBuf;

use thiserror::Error;

/// An error of the store. Failed writes after the start are logged and counted instead, since nobody waits for them.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The directory or a file in it cannot be used.
    #[error("{doing} {path} failed: {source}")]
    File {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// SQLite failed.
    #[error("{doing} {what} in the store failed: {source}")]
    Database {
        /// What was tried.
        doing: &'static str,
        /// On what.
        what: &'static str,
        /// Why it failed.
        source: rusqlite::Error,
    },
    /// A stored record cannot be read.
    #[error("a stored {what} cannot be read: {source}")]
    Record {
        /// Which kind.
        what: &'static str,
        /// Why.
        source: serde_json::Error,
    },
    /// The file was written by a newer perfhost.
    #[error(
        "{path} has schema {found}, this perfhost knows up to {known}; use the newer perfhost or another data directory"
    )]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest known.
        known: i64,
    },
    /// The file is to be read only, and was written by an older version of perfhost.
    #[error("{path} has schema {found}, this perfhost reads {known}; serve with it once, which brings it up to date")]
    OlderSchema {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The one that can be read.
        known: i64,
    },
    /// The range ends before it begins.
    #[error("history from {from_ms} to {to_ms}: the range ends before it begins")]
    EmptyRange {
        /// Asked for.
        from_ms: u64,
        /// Asked for.
        to_ms: u64,
    },
    /// The answer would be too long.
    #[error(
        "history of {points} points asked for, at most {most} are given; a step of {allowed_step_ms} ms is allowed"
    )]
    TooManyPoints {
        /// Points that the range has at that step.
        points: u64,
        /// Most that are given.
        most: u64,
        /// Smallest step that is allowed for the range.
        allowed_step_ms: u64,
    },
}
