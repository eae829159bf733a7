//! Fetched plugins on disk, found by their content, so that a restart needs no network. In the library folder, shared by
//! all hosts of this user.
//!
//! Content is checked against its digest whenever it is read: nothing here needs to be trusted. What cannot be found by
//! its content (which manifest a tag meant, a file's signature) is a *note*, found by what it is about.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::digest::Digest;

/// Bytes kept in all; beyond that, what was not used for longest goes first.
const MOST_BYTES: u64 = 1 << 30;
/// Bytes of one note.
const NOTE_BYTES: u64 = 64 << 10;

/// The folder.
pub(super) struct Store {
    folder: PathBuf,
}

/// What a note is about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Note<'a> {
    /// Which manifest a tag meant when it was last asked for: `registry/repository:tag`.
    Tag(&'a str),
    /// The signature that was fetched with a file.
    Signature(&'a Digest),
}

impl Store {
    /// The store in a library folder. Nothing is made before something is kept.
    pub(super) fn in_library(library: &Path) -> Self {
        Self { folder: library.join("plugins") }
    }

    /// The content with this digest. What was changed since it was kept is removed, and not there.
    pub(super) fn content(&self, digest: &Digest) -> Option<Vec<u8>> {
        let path = self.folder.join(content_name(digest));
        let bytes = std::fs::read(&path).ok()?;
        if Digest::of(&bytes) != *digest {
            tracing::warn!(file = %path.display(), "a kept plugin was changed; it is removed and fetched again");
            let _gone = std::fs::remove_file(&path);
            return None;
        }
        // What is used stays longest. A folder that is read-only works all the same.
        let _touched =
            std::fs::File::options().append(true).open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        Some(bytes)
    }

    /// Keeps content. A disk that does not take it costs a fetch at the next start, nothing more.
    pub(super) fn keep(&self, digest: &Digest, bytes: &[u8]) {
        self.write(&content_name(digest), bytes);
    }

    /// A note as it was written last.
    pub(super) fn note(&self, about: Note<'_>) -> Option<String> {
        let path = self.folder.join(note_name(about));
        let is_small = std::fs::metadata(&path).is_ok_and(|data| data.len() <= NOTE_BYTES);
        is_small.then(|| std::fs::read_to_string(&path).ok()).flatten()
    }

    /// Writes a note over the one before.
    pub(super) fn write_note(&self, about: Note<'_>, text: &str) {
        if text.len() as u64 <= NOTE_BYTES {
            self.write(&note_name(about), text.as_bytes());
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        if let Err(error) = self.put(name, bytes) {
            tracing::warn!(folder = %self.folder.display(), %error, "a fetched plugin is not kept on disk");
        }
        self.make_room(name);
    }

    fn put(&self, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        // Whole or not at all: another host may read at any time.
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(self.folder.join(name)).map(|_| ()).map_err(|error| error.error)
    }

    fn make_room(&self, just_written: &str) {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return };
        let mut files: Vec<(SystemTime, u64, PathBuf)> = entries
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let data = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
                Some((data.modified().ok()?, data.len(), entry.path()))
            })
            .collect();
        let mut total: u64 = files.iter().map(|(_, length, _)| length).sum();
        files.sort();
        for (_, length, path) in files {
            if total <= MOST_BYTES {
                return;
            }
            if !path.ends_with(just_written) && std::fs::remove_file(&path).is_ok() {
                total -= length;
            }
        }
    }
}

fn content_name(digest: &Digest) -> String {
    format!("sha256-{}", digest.hex())
}

fn note_name(about: Note<'_>) -> String {
    match about {
        Note::Tag(reference) => format!("tag-{}", Digest::of(reference.as_bytes()).hex()),
        Note::Signature(digest) => format!("signature-{}", digest.hex()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_given_back_while_it_is_what_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::in_library(folder.path());
        let digest = Digest::of(b"a plugin");
        assert_eq!(store.content(&digest), None);
        store.keep(&digest, b"a plugin");
        assert_eq!(store.content(&digest).as_deref(), Some(&b"a plugin"[..]));
        let file = folder.path().join("plugins").join(content_name(&digest));
        std::fs::write(&file, b"something else").expect("a changed file");
        assert_eq!((store.content(&digest), file.exists()), (None, false));
    }

    #[test]
    fn notes_are_told_apart_by_what_they_are_about() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::in_library(folder.path());
        let digest = Digest::of(b"a plugin");
        store.write_note(Note::Tag("host/a:1"), "one");
        store.write_note(Note::Tag("host/a:1"), "two");
        store.write_note(Note::Signature(&digest), "signed");
        assert_eq!(store.note(Note::Tag("host/a:1")).as_deref(), Some("two"));
        assert_eq!(store.note(Note::Signature(&digest)).as_deref(), Some("signed"));
        assert_eq!(store.note(Note::Tag("host/a:2")), None);
    }
}
