//! The folder of compiled code: who may own and write what in it, whole writes, bounded size.
//!
//! The folder and every file in it must belong to this user and be closed to all others; links are never followed.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::OFlags;

use crate::cache::CacheError;

/// Ending of entries' names.
pub(super) const EXTENSION: &str = "code";
const KEY_FILE: &str = "key";
const KEY_BYTES: usize = 32;

pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Self, CacheError> {
        let what = path.display().to_string();
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io_error(&what))?;
        let metadata = fs::symlink_metadata(path).map_err(io_error(&what))?;
        if !metadata.is_dir() {
            return Err(CacheError::Refused { what, reason: "it is not a folder" });
        }
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(CacheError::Refused { what, reason: "it belongs to another user" });
        }
        let folder = Self { path: path.to_owned() };
        if metadata.mode() & 0o077 != 0 {
            // Others could have put files here or read the key: start afresh.
            tracing::warn!(folder = what, "was open to other users; it is closed and emptied");
            fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(io_error(&what))?;
            folder.remove(KEY_FILE);
            folder.shrink(0);
        }
        Ok(folder)
    }

    /// The folder's secret; made when there is none that can be trusted, which makes every entry worthless.
    pub(super) fn key(&self) -> Result<[u8; KEY_BYTES], CacheError> {
        match self.open_file(KEY_FILE) {
            Ok(Some((mut file, size))) => {
                let mut key = [0; KEY_BYTES];
                if size == KEY_BYTES as u64 && file.read_exact(&mut key).is_ok() {
                    return Ok(key);
                }
                tracing::warn!("the key for compiled code has the wrong length and is made anew");
            }
            Ok(None) => {}
            Err(error) => tracing::warn!("the key for compiled code is made anew: {error}"),
        }
        self.remove(KEY_FILE);
        let mut key = [0; KEY_BYTES];
        File::open("/dev/urandom")
            .and_then(|mut source| source.read_exact(&mut key))
            .map_err(io_error("/dev/urandom"))?;
        self.write(KEY_FILE, &[&key])?;
        Ok(key)
    }

    /// A file, open for reading, and its size; `None` when there is no such file.
    pub(super) fn open_file(&self, name: &str) -> Result<Option<(File, u64)>, CacheError> {
        let flags = (OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK).bits() as i32;
        let file = match OpenOptions::new().read(true).custom_flags(flags).open(self.path.join(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error(name)(error)),
        };
        // Asked of the open file, so that what is checked is what is read.
        let metadata = file.metadata().map_err(io_error(name))?;
        if let Some(reason) = distrust(&metadata) {
            return Err(CacheError::Refused { what: name.to_owned(), reason });
        }
        Ok(Some((file, metadata.len())))
    }

    /// A path by which this very file can be opened again, whatever has its name by now. Where the system has no such
    /// paths it is the name: only this user can give that to another file.
    pub(super) fn path_of(&self, file: &File, name: &str) -> PathBuf {
        let own = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        if own.exists() { own } else { self.path.join(name) }
    }

    /// Writes a file as a whole: it appears under its name complete or not at all.
    pub(super) fn write(&self, name: &str, parts: &[&[u8]]) -> Result<(), CacheError> {
        let temporary = self.path.join(format!("{name}.{}.tmp", std::process::id()));
        let _ = fs::remove_file(&temporary);
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .and_then(|mut file| {
                parts.iter().try_for_each(|part| file.write_all(part))?;
                file.sync_data()
            })
            .and_then(|()| fs::rename(&temporary, self.path.join(name)));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written.map_err(io_error(name))
    }

    /// Removes a file or link; a folder of that name is left, and keeps being refused.
    pub(super) fn remove(&self, name: &str) {
        if let Err(error) = fs::remove_file(self.path.join(name))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(file = name, "could not be removed: {error}");
        }
    }

    /// Removes the entries used longest ago until at most `capacity_bytes` are left, and what broken writes left behind.
    pub(super) fn shrink(&self, capacity_bytes: u64) {
        let Ok(entries) = fs::read_dir(&self.path) else { return };
        let mut files: Vec<(SystemTime, u64, String)> = Vec::new();
        for entry in entries.flatten() {
            let (Ok(metadata), Ok(name)) = (entry.metadata(), entry.file_name().into_string()) else { continue };
            let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let is_old = used.elapsed().is_ok_and(|age| age.as_secs() > 3_600);
            if name.ends_with(".tmp") && is_old {
                self.remove(&name);
            } else if name.ends_with(EXTENSION) {
                files.push((used, metadata.len(), name));
            }
        }
        files.sort();
        let mut total: u64 = files.iter().map(|(_, size, _)| size).sum();
        for (_, size, name) in files {
            if total <= capacity_bytes {
                return;
            }
            self.remove(&name);
            total -= size;
        }
    }
}

/// Notes that an entry was used, for [`Folder::shrink`].
pub(super) fn touch(file: &File) {
    let _ = file.set_modified(SystemTime::now());
}

fn distrust(metadata: &Metadata) -> Option<&'static str> {
    if !metadata.is_file() {
        Some("it is not a plain file")
    } else if metadata.uid() != rustix::process::geteuid().as_raw() {
        Some("it belongs to another user")
    } else if metadata.mode() & 0o077 != 0 {
        Some("other users may read or write it")
    } else if metadata.nlink() != 1 {
        Some("it has a second name")
    } else {
        None
    }
}

fn io_error(what: &str) -> impl FnOnce(io::Error) -> CacheError {
    let what = what.to_owned();
    move |error| CacheError::Io { what, error }
}
