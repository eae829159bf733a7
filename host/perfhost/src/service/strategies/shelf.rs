//! The files of strategies that were loaded, by their digests, in the data folder: what a rollback loads after a restart.
//!
//! Owns the folder, its bounds and that a file is what its name says. What was used longest ago goes first.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use parking_lot::Mutex;
use perfhost_strategy::strategy::Identity;
use perfhost_wasm::PluginSource;
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::plugin_source::Plugin;
use crate::plugin_source::provenance::Provenance;

/// Files that are kept at most.
const MOST_FILES: usize = 32;

/// Bytes of all files at most. A Python guest with its interpreter is about 20 MiB.
const MOST_BYTES: u64 = 256 << 20;

const PLUGIN: &str = "wasm";
const LABEL: &str = "json";

/// What is known of a kept file without loading it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// SHA-256 of the file, in hexadecimal; also its name.
    pub digest: String,
    /// The strategy's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where it came from, as its identity says.
    pub source: String,
    /// The file that it was read from, which may hold something else by now.
    pub path: Option<PathBuf>,
    /// What vouched for it when it came.
    pub provenance: Provenance,
    /// Size of the file.
    pub bytes: u64,
}

/// The folder.
pub(super) struct Shelf {
    folder: PathBuf,
    most_files: usize,
    most_bytes: u64,
    /// Used longest ago first.
    labels: Mutex<Vec<Label>>,
}

impl Shelf {
    /// What is in the folder, which must be this user's own. Files without a label, and labels without a file, are removed.
    pub(super) fn open(folder: PathBuf) -> io::Result<Self> {
        let mut found: Vec<(SystemTime, Label)> = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let label = path.with_extension(LABEL);
            let is_plugin = path.extension().is_some_and(|ending| ending == PLUGIN);
            match (is_plugin, read_label(&label)) {
                (true, Some(label)) => found.push((used(&path), label)),
                (false, Some(_)) if path.with_extension(PLUGIN).is_file() => {}
                _ => remove(&path),
            }
        }
        found.sort_by_key(|(used, _)| *used);
        let labels = Mutex::new(found.into_iter().map(|(_, label)| label).collect());
        Ok(Self { folder, most_files: MOST_FILES, most_bytes: MOST_BYTES, labels })
    }

    /// Keeps a strategy's file, and how it came last. What was used longest ago makes room, but nothing of `needed`
    /// (digests). That it cannot be kept is a warning: the strategy works, only a rollback to it after a restart will not.
    pub(super) fn keep(&self, identity: &Identity, plugin: &Plugin, needed: &[String]) {
        let label = Label {
            digest: identity.digest.clone(),
            name: identity.name.clone(),
            version: identity.version.clone(),
            source: plugin.source.name.clone(),
            path: plugin.path.clone(),
            provenance: plugin.provenance.clone(),
            bytes: plugin.source.bytes.len() as u64,
        };
        let mut labels = self.labels.lock();
        let at = labels.iter().position(|known| known.digest == label.digest);
        let written = match at.map(|at| labels.remove(at)) {
            Some(known) => {
                touch(&self.file(&known.digest, PLUGIN));
                if known == label { Ok(()) } else { self.write_label(&label) }
            }
            None => self.write(&label, &plugin.source.bytes),
        };
        if let Err(error) = written {
            warn!(strategy = label.name, %error, "its file was not kept; there is no way back to it after a restart");
            return;
        }
        labels.push(label);
        self.make_room(&mut labels, needed);
    }

    /// The plugin of this digest, as it came last; `None` when it is not kept, or not what it was.
    pub(super) fn read(&self, digest: &str) -> Option<Plugin> {
        let label = self.labels.lock().iter().find(|label| label.digest == digest)?.clone();
        let path = self.file(digest, PLUGIN);
        let bytes = fs::read(&path).inspect_err(|error| warn!(%error, digest, "a kept plugin cannot be read")).ok()?;
        let source = PluginSource { name: label.source, bytes };
        if source.digest() != digest {
            warn!(digest, "a kept plugin is not what it was, and is removed");
            let mut labels = self.labels.lock();
            labels.retain(|label| label.digest != digest);
            self.remove(digest);
            return None;
        }
        touch(&path);
        Some(Plugin { source, path: label.path, provenance: label.provenance })
    }

    /// What is kept; what was used last comes last.
    pub(super) fn labels(&self) -> Vec<Label> {
        self.labels.lock().clone()
    }

    fn make_room(&self, labels: &mut Vec<Label>, needed: &[String]) {
        let newest = labels.last().map(|label| label.digest.clone());
        let is_needed = |label: &Label| needed.contains(&label.digest) || newest.as_ref() == Some(&label.digest);
        while labels.len() > self.most_files || labels.iter().map(|label| label.bytes).sum::<u64>() > self.most_bytes {
            let Some(at) = labels.iter().position(|label| !is_needed(label)) else { return };
            let gone = labels.remove(at);
            self.remove(&gone.digest);
        }
    }

    /// The label first: a plugin without one would be removed at the next start.
    fn write(&self, label: &Label, bytes: &[u8]) -> io::Result<()> {
        self.write_label(label)?;
        write_whole(&self.file(&label.digest, PLUGIN), bytes)
    }

    fn write_label(&self, label: &Label) -> io::Result<()> {
        write_whole(&self.file(&label.digest, LABEL), &serde_json::to_vec(label)?)
    }

    fn remove(&self, digest: &str) {
        remove(&self.file(digest, PLUGIN));
        remove(&self.file(digest, LABEL));
    }

    fn file(&self, digest: &str, ending: &str) -> PathBuf {
        self.folder.join(format!("{digest}.{ending}"))
    }
}

fn read_label(path: &Path) -> Option<Label> {
    let label: Label = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    (path.file_stem()? == label.digest.as_str()).then_some(label)
}

/// The file appears under its name complete or not at all.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("part");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    drop(file);
    fs::rename(&temporary, path)
}

fn used(path: &Path) -> SystemTime {
    path.metadata().and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
}

fn touch(path: &Path) {
    if let Err(error) = File::open(path).and_then(|file| file.set_modified(SystemTime::now())) {
        warn!(%error, file = %path.display(), "the use of a kept plugin could not be noted");
    }
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        warn!(%error, file = %path.display(), "could not be removed");
    }
}

#[cfg(test)]
mod tests {
    use perfhost_strategy::strategy::World;

    use super::*;
    use crate::plugin_source::digest::Digest;
    use crate::plugin_source::kind::Kind;
    use crate::plugin_source::provenance::SignatureState;

    fn plugin(bytes: &[u8], kind: Kind) -> Plugin {
        let (pinned, digest, signature) = (None, Digest::of(bytes), SignatureState::NotChecked);
        Plugin {
            source: PluginSource { name: "test".to_owned(), bytes: bytes.to_vec() },
            path: (kind == Kind::Path).then(|| PathBuf::from("/somewhere/one.wasm")),
            provenance: Provenance { kind, pinned, digest, signature },
        }
    }

    fn keep_from(shelf: &Shelf, bytes: &[u8], kind: Kind, needed: &[String]) -> String {
        let plugin = plugin(bytes, kind);
        let identity = Identity {
            name: "one".to_owned(),
            version: "1.0.0".to_owned(),
            digest: plugin.source.digest(),
            world: World::Tuner,
            source: plugin.source.name.clone(),
        };
        shelf.keep(&identity, &plugin, needed);
        identity.digest
    }

    fn keep(shelf: &Shelf, bytes: &[u8], needed: &[String]) -> String {
        keep_from(shelf, bytes, Kind::Path, needed)
    }

    fn digests(shelf: &Shelf) -> Vec<String> {
        shelf.labels().into_iter().map(|label| label.digest).collect()
    }

    #[test]
    fn what_is_kept_is_there_after_a_restart_with_where_it_came_from() {
        let folder = tempfile::tempdir().unwrap();
        for kind in [Kind::Path, Kind::BuiltIn, Kind::Oci] {
            let digest = keep_from(&Shelf::open(folder.path().to_owned()).unwrap(), b"bytes", kind, &[]);
            let shelf = Shelf::open(folder.path().to_owned()).unwrap();
            let (found, expected) = (shelf.read(&digest).unwrap(), plugin(b"bytes", kind));
            assert_eq!((found.source.name, found.source.bytes), (expected.source.name, expected.source.bytes));
            assert_eq!((found.path, found.provenance), (expected.path, expected.provenance), "the last way it came");
            assert_eq!(shelf.labels()[0].name, "one");
        }
    }

    #[test]
    fn the_oldest_makes_room_unless_it_is_needed() {
        let folder = tempfile::tempdir().unwrap();
        let mut shelf = Shelf::open(folder.path().to_owned()).unwrap();
        (shelf.most_files, shelf.most_bytes) = (3, 100);
        let [first, second] = [b"1", b"2"].map(|bytes| keep(&shelf, bytes, &[]));
        keep(&shelf, b"3", &[]);
        // Used again: the second is the oldest now.
        keep(&shelf, b"1", &[]);
        keep(&shelf, b"4", &[]);
        assert!(!digests(&shelf).contains(&second) && digests(&shelf).contains(&first));
        let large = keep(&shelf, &[b'x'; 99], std::slice::from_ref(&first));
        assert_eq!(digests(&shelf), [first.clone(), large.clone()]);
        assert!(shelf.read(&second).is_none() && shelf.read(&first).is_some());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
    }

    #[test]
    fn a_file_that_is_not_what_it_was_is_not_given() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(folder.path().to_owned()).unwrap();
        let digest = keep(&shelf, b"bytes", &[]);
        fs::write(folder.path().join(format!("{digest}.wasm")), b"other").unwrap();
        assert!(shelf.read(&digest).is_none());
        assert!(digests(&shelf).is_empty() && fs::read_dir(folder.path()).unwrap().count() == 0);
    }

    #[test]
    fn what_a_killed_host_left_half_done_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let digest = keep(&Shelf::open(folder.path().to_owned()).unwrap(), b"bytes", &[]);
        fs::write(folder.path().join("abc.part"), b"half").unwrap();
        fs::write(folder.path().join("abc.wasm"), b"without a label").unwrap();
        fs::copy(folder.path().join(format!("{digest}.json")), folder.path().join("other.json")).unwrap();
        let shelf = Shelf::open(folder.path().to_owned()).unwrap();
        assert_eq!((digests(&shelf), fs::read_dir(folder.path()).unwrap().count()), (vec![digest], 2));
    }
}
