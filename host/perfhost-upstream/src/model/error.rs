//! What can go wrong with a model file: each says what, where, and what to do.

use std::path::{Path, PathBuf};

/// Why a model could not be fetched or read.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The name is neither in the catalogue nor a URL.
    #[error("no model {name:?} in the catalogue; it has {known}, and any https:// address of a .gguf file works too")]
    UnknownModel {
        /// What was asked for.
        name: String,
        /// The catalogue's names.
        known: String,
    },
    /// The address cannot be used.
    #[error("cannot pull from {url:?}: {why}")]
    BadUrl {
        /// What was asked for.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The package index does not have a part.
    #[error("resolve: {file} of package {package} is not on the index {index}; set another index")]
    NotOnIndex {
        /// The package.
        package: String,
        /// The file that is missing.
        file: String,
        /// The index asked.
        index: String,
    },
    /// The server answered with a refusal.
    #[error("download: {url} answered with status {status}")]
    Status {
        /// The address.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// No answer, or one that broke off too often. Pulling again goes on from what is there.
    #[error("download: {url} failed after {attempts} attempts; pull again to go on from where it stopped: {why}")]
    Network {
        /// The address.
        url: String,
        /// Attempts in a row that brought nothing.
        attempts: u32,
        /// The last failure.
        why: String,
    },
    /// The bytes are not the ones that the catalogue, the index or the caller named.
    #[error("verify: {what} has SHA-256 {found} instead of {expected}; it was deleted, pull again or report it")]
    Hash {
        /// The file.
        what: String,
        /// 64 hex digits.
        expected: String,
        /// 64 hex digits.
        found: String,
    },
    /// The server sent fewer or more bytes than it should have.
    #[error("verify: {what} has {found} bytes instead of {expected}")]
    Size {
        /// The file.
        what: String,
        /// Bytes.
        expected: u64,
        /// Bytes.
        found: u64,
    },
    /// The disk is too full. Checked before the first byte.
    #[error("{} has {} MB free and the pull needs {}; free some or use another data directory", path.display(), free_bytes / 1_000_000, needed_bytes / 1_000_000)]
    NoSpace {
        /// The folder.
        path: PathBuf,
        /// Bytes still to be written.
        needed_bytes: u64,
        /// Bytes free for this user.
        free_bytes: u64,
    },
    /// A fetched archive does not hold what it should.
    #[error("assemble: {}: {why}", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Not a GGUF file, or one that is cut short or nonsensical.
    #[error("{} is not a usable GGUF model: {why}", path.display())]
    NotAModel {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
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

impl ModelError {
    /// Turns an I/O error into one that names the file.
    pub(super) fn file(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { doing, path, source }
    }
}
