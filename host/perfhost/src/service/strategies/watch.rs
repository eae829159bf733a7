//! Reloads a plugin when its file changes. A file that is still being written is never loaded, and one that does not load
//! leaves everything as it was.
//!
//! Looks instead of being told: that works on every file system, through renames, links and folders that come and go, and
//! the few files that strategies come from cost nothing to look at.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use perfhost_gateway::{Shutdown, Stage};
use tracing::{debug, info};

use super::Strategies;
use crate::config::Config;
use crate::plugin_source::beside;

/// Time between two looks at a file. One that is the same in two looks in a row is taken to be whole.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Watches the files that strategies were loaded from, while the configuration in force says so.
pub struct Watcher {
    strategies: Arc<Strategies>,
    in_force: Arc<Mutex<Arc<Config>>>,
    /// One for each file that a strategy in memory came from.
    files: BTreeMap<PathBuf, File>,
}

/// What a plugin and its signature were at one look. A signature may come after its plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    plugin: Entry,
    signature: Option<Entry>,
}

/// What tells one content of a path from another without reading it. The time of the last change of the file's data can be
/// set by anybody, the one of its entry (`changed`) by nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// One file between looks.
#[derive(Debug, Default)]
struct File {
    /// As it was read last.
    read: Option<Stamp>,
    /// As it was at the look before, if it has to be read when it stays like that.
    unsettled: Option<Stamp>,
}

impl Watcher {
    /// Watches nothing yet.
    pub fn new(strategies: Arc<Strategies>, in_force: Arc<Mutex<Arc<Config>>>) -> Self {
        Self { strategies, in_force, files: BTreeMap::new() }
    }

    /// Runs until the host stops.
    pub async fn run(mut self, mut shutdown: Shutdown) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = shutdown.reached(Stage::Draining) => return,
            }
            let look = move || {
                self.look();
                self
            };
            self = match tokio::task::spawn_blocking(look).await {
                Ok(watcher) => watcher,
                Err(_) => return,
            };
        }
    }

    fn look(&mut self) {
        if !self.in_force.lock().watch {
            self.files.clear();
            return;
        }
        let watched = self.strategies.files();
        let most_bytes = self.strategies.intake().limits().max_file_bytes;
        self.files.retain(|path, _| watched.contains(path));
        for path in watched {
            let file = self.files.entry(path.clone()).or_insert_with(|| {
                info!(file = %path.display(), "watching the plugin's file");
                File::default()
            });
            if file.look(stamp(&path))
                && let Some(bytes) = file.read(&path, most_bytes)
            {
                self.strategies.file_changed(&path, bytes);
            }
        }
    }
}

impl File {
    /// Takes a look: whether the file is to be read now. `None`: there is no file at the moment; it may be on its way.
    fn look(&mut self, now: Option<Stamp>) -> bool {
        if now.is_none() || now == self.read {
            self.unsettled = None;
            return false;
        }
        if now != self.unsettled {
            self.unsettled = now;
            return false;
        }
        self.read = self.unsettled.take();
        true
    }

    /// The whole content, or a byte more than is allowed of it; `None` when it changed meanwhile, and is looked at again.
    fn read(&mut self, path: &Path, most_bytes: u64) -> Option<Vec<u8>> {
        let bytes =
            read(path, most_bytes + 1).inspect_err(|error| debug!(file = %path.display(), %error, "not read")).ok();
        let is_the_same = stamp(path) == self.read;
        if !is_the_same || bytes.is_none() {
            self.read = None;
        }
        bytes.filter(|_| is_the_same)
    }
}

fn read(path: &Path, most_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(most_bytes).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn stamp(path: &Path) -> Option<Stamp> {
    Some(Stamp { plugin: entry(path)?, signature: entry(&beside(path)) })
}

fn entry(path: &Path) -> Option<Entry> {
    let metadata: Metadata = std::fs::metadata(path).ok().filter(Metadata::is_file)?;
    Some(Entry {
        device: metadata.dev(),
        inode: metadata.ino(),
        length: metadata.len(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(content: u64) -> Option<Stamp> {
        let plugin = Entry { device: 1, inode: 1, length: content, modified: (0, 0), changed: (0, 0) };
        Some(Stamp { plugin, signature: None })
    }

    /// In which of these looks the file is read.
    fn reads(looks: &[Option<Stamp>]) -> Vec<usize> {
        let mut file = File::default();
        looks.iter().enumerate().filter(|(_, stamp)| file.look(**stamp)).map(|(at, _)| at).collect()
    }

    #[test]
    fn a_file_is_read_once_it_stays_as_it_is() {
        assert_eq!(reads(&[of(1), of(1), of(1), of(1)]), [1]);
        assert_eq!(reads(&[of(1), of(1), of(2), of(3), of(4), of(4), of(4)]), [1, 5]);
    }

    #[test]
    fn a_file_that_goes_and_comes_back_is_read_if_it_is_another() {
        assert_eq!(reads(&[of(1), of(1), None, None, of(1), of(1)]), [1]);
        assert_eq!(reads(&[of(1), of(1), None, of(2), None, of(2), of(2)]), [1, 6]);
    }

    #[test]
    fn a_file_that_never_rests_is_never_read() {
        let looks: Vec<Option<Stamp>> = (0..100).map(of).collect();
        assert_eq!(reads(&looks), [0; 0]);
    }

    #[test]
    fn a_content_that_came_back_with_its_old_times_is_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wasm");
        std::fs::write(&path, "one").unwrap();
        let (before, modified) = (stamp(&path), path.metadata().unwrap().modified().unwrap());
        let other = folder.path().join("b.wasm");
        std::fs::write(&other, "two").unwrap();
        std::fs::File::open(&other).unwrap().set_modified(modified).unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_ne!(stamp(&path), before);
    }

    #[test]
    fn a_signature_that_comes_after_its_plugin_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wasm");
        std::fs::write(&path, "one").unwrap();
        let before = stamp(&path);
        std::fs::write(folder.path().join("a.wasm.sig"), "signed").unwrap();
        assert!(before.is_some() && stamp(&path) != before);
    }

    #[test]
    fn of_a_file_that_is_too_large_one_byte_too_many_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wasm");
        std::fs::write(&path, [0; 1_000]).unwrap();
        let mut file = File { read: stamp(&path), unsettled: None };
        assert_eq!(file.read(&path, 10).map(|bytes| bytes.len()), Some(11));
    }

    #[test]
    fn what_changes_while_it_is_read_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wasm");
        std::fs::write(&path, "one").unwrap();
        let mut file = File::default();
        let before = stamp(&path);
        assert!(!file.look(before) && file.look(before));
        std::fs::write(&path, "longer").unwrap();
        assert_eq!(file.read(&path, 100), None);
        assert!(!file.look(stamp(&path)) && file.look(stamp(&path)));
        assert_eq!(file.read(&path, 100).as_deref(), Some(&b"longer"[..]));
    }
}
