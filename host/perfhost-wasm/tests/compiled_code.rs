//! The cache of compiled code: used when it can be trusted, refused and made anew when not.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use perfhost_wasm::{Inspection, Limits, Runtime, RuntimeConfig};
use support::{PLAIN, guest, short_limits, source};
use tempfile::TempDir;

fn runtime_in(folder: &Path, limits: Limits) -> Arc<Runtime> {
    Runtime::new(RuntimeConfig { cache_dir: Some(folder.to_owned()), limits }).unwrap()
}

fn inspect(folder: &Path) -> Inspection {
    let inspection = runtime_in(folder, short_limits()).inspect(&source("hostile.wasm", guest("guest-hostile", PLAIN)));
    assert!(inspection.error.is_none(), "{:?}", inspection.error);
    inspection
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "code")).collect()
}

/// A folder with one entry that is taken.
fn filled() -> (TempDir, PathBuf, PathBuf) {
    let parent = TempDir::new().unwrap();
    let folder = parent.path().join("compiled");
    assert!(!inspect(&folder).is_cached);
    assert!(inspect(&folder).is_cached, "the second time it is taken from the cache");
    let entry = entries(&folder).pop().unwrap();
    (parent, folder, entry)
}

/// Asserts that the entry is refused now, and that it is good again after it was made anew.
fn assert_refused_once(folder: &Path) {
    assert!(!inspect(folder).is_cached, "refused");
    assert!(inspect(folder).is_cached, "made anew");
}

#[test]
fn the_folder_and_its_files_are_closed_to_others() {
    let (_parent, folder, entry) = filled();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&folder.join("key")), mode(&entry)), (0o700, 0o600, 0o600));
}

#[test]
fn changed_and_cut_entries_are_refused() {
    let (_parent, folder, entry) = filled();
    let good = fs::read(&entry).unwrap();
    for change in [0, 20, good.len() / 2, good.len() - 1] {
        let mut changed = good.clone();
        changed[change] ^= 1;
        fs::write(&entry, changed).unwrap();
        assert_refused_once(&folder);
    }
    fs::write(&entry, &good[..30]).unwrap();
    assert_refused_once(&folder);
}

#[test]
fn an_entry_of_another_plugin_under_this_name_is_refused() {
    let (_parent, folder, entry) = filled();
    let other = source("nosy.wasm", guest("guest-nosy", support::WASI));
    assert!(runtime_in(&folder, short_limits()).inspect(&other).error.is_none());
    let foreign = entries(&folder).into_iter().find(|path| *path != entry).unwrap();
    fs::copy(foreign, &entry).unwrap();
    assert_refused_once(&folder);
}

#[test]
fn an_entry_made_with_another_key_is_refused() {
    let (_parent, folder, _) = filled();
    let (_other_parent, other, entry) = filled();
    fs::copy(&entry, folder.join(entry.file_name().unwrap())).unwrap();
    assert_refused_once(&folder);
    fs::remove_file(other.join("key")).unwrap();
    assert_refused_once(&other);
}

#[test]
fn links_and_files_open_to_others_are_refused() {
    let (_parent, folder, entry) = filled();
    let aside = folder.join("aside");
    fs::rename(&entry, &aside).unwrap();
    symlink(&aside, &entry).unwrap();
    assert_refused_once(&folder);

    fs::set_permissions(&entry, Permissions::from_mode(0o644)).unwrap();
    assert_refused_once(&folder);

    fs::hard_link(&entry, folder.join("second-name")).unwrap();
    assert_refused_once(&folder);
}

#[test]
fn a_folder_that_was_open_to_others_is_emptied() {
    let (_parent, folder, _) = filled();
    fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
    assert_refused_once(&folder);
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn without_a_usable_folder_code_is_compiled_each_time() {
    let parent = TempDir::new().unwrap();
    let file = parent.path().join("file");
    fs::write(&file, "not a folder").unwrap();
    assert!(!inspect(&file).is_cached);
    assert!(!inspect(&file).is_cached);
}

#[test]
fn the_entry_used_longest_ago_goes_first() {
    let (_parent, folder, entry) = filled();
    let size = fs::metadata(&entry).unwrap().len();
    let limits = Limits { cache_bytes: size + 1_000, ..short_limits() };
    let other = source("nosy.wasm", guest("guest-nosy", support::WASI));
    // The newer entry is larger than the room left, so both go but never the bound.
    assert!(runtime_in(&folder, limits).inspect(&other).error.is_none());
    let total: u64 = entries(&folder).iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert!(total <= size + 1_000 && !entry.exists());
}
