//! The data folder: made private, and locked so that a second host cannot write to the same history.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A locked data folder. The lock goes with the process, however it ends.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

/// Why a data folder cannot be used.
#[derive(Debug, Error)]
pub enum DataDirError {
    /// It cannot be made or opened.
    #[error("data folder {path}: {error}; name another with --data-dir")]
    Io {
        /// The folder.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Another host uses it.
    #[error(
        "data folder {path} is in use by the perfhost with process id {owner}; stop it, or name another folder with --data-dir"
    )]
    InUse {
        /// The folder.
        path: PathBuf,
        /// Process id of the other host, as it wrote it.
        owner: String,
    },
}

impl DataDir {
    /// Makes the folder (readable by its owner only) and takes its lock.
    pub fn lock(path: &Path) -> Result<Self, DataDirError> {
        let io = |error| DataDirError::Io { path: path.to_owned(), error };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)?;
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join("lock"))
            .map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                let _unreadable = lock.read_to_string(&mut owner);
                return Err(DataDirError::InUse { path: path.to_owned(), owner: owner.trim().to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        lock.set_len(0).and_then(|()| lock.rewind()).map_err(io)?;
        writeln!(lock, "{}", std::process::id()).map_err(io)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A folder inside it, private to perfhost.
    pub fn folder(&self, name: &str) -> Result<PathBuf, DataDirError> {
        let path = self.path.join(name);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(|error| DataDirError::Io { path: path.clone(), error })?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_host_is_refused_and_told_who_holds_the_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = DataDir::lock(folder.path()).expect("the first takes it");
        let error = DataDir::lock(folder.path()).expect_err("the second does not").to_string();
        assert!(error.contains(&std::process::id().to_string()) && error.contains("--data-dir"), "{error}");
        drop(first);
        assert!(DataDir::lock(folder.path()).is_ok());
    }
}
