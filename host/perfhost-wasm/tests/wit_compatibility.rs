//! A patch of the contract is compatible: a strategy that was built against the version before must work with it.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

use std::path::{Path, PathBuf};

use wit_component::semver_check;
use wit_parser::{Resolve, UnresolvedPackageGroup};

const WORLDS: [&str; 3] = ["strategy", "tuner", "advisor"];

fn wit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit")
}

/// Every version that has a folder, oldest first.
fn versions() -> Vec<[u32; 3]> {
    let folders = std::fs::read_dir(wit()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut versions: Vec<[u32; 3]> = folders
        .filter_map(|folder| {
            let parts: Vec<u32> =
                folder.to_str()?.strip_prefix('v')?.split('.').map(|part| part.parse().unwrap()).collect();
            parts.try_into().ok()
        })
        .collect();
    versions.sort_unstable();
    versions
}

fn text([major, minor, patch]: [u32; 3]) -> String {
    let path = wit().join(format!("v{major}.{minor}.{patch}/strategy.wit"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Why a world of `after` cannot take the place of the same world in `before`, for the first world that cannot.
fn incompatibility(before: &str, after: &str) -> Option<String> {
    WORLDS.iter().find_map(|world| {
        let mut resolve = Resolve::default();
        let mut world_of = |text: &str, version: &str| {
            // Two packages of one name in one resolution need two versions; the check ignores them.
            let (start, rest) = text.split_once("package perfhost:strategy@").unwrap();
            let text = format!("{start}package perfhost:strategy@{version};{}", rest.split_once(';').unwrap().1);
            let package = resolve.push_group(UnresolvedPackageGroup::parse("strategy.wit", &text).unwrap()).unwrap();
            resolve.select_world(&[package], Some(world)).unwrap()
        };
        let (before, after) = (world_of(before, "0.1.0"), world_of(after, "0.1.1"));
        semver_check(resolve, before, after).err().map(|error| format!("world {world}: {error:#}"))
    })
}

#[test]
fn every_patch_is_compatible_with_the_one_before() {
    let versions = versions();
    assert!(versions.contains(&[0, 1, 0]), "{versions:?}");
    for pair in versions.windows(2).filter(|pair| pair[0][..2] == pair[1][..2]) {
        if let Some(why) = incompatibility(&text(pair[0]), &text(pair[1])) {
            panic!(
                "{:?} of the contract cannot take the place of {:?}: {why}\n\
                 Either take the change back, or give it the next minor version, as wit/README.md says.",
                pair[1], pair[0]
            );
        }
    }
}

#[test]
fn an_incompatible_change_is_found() {
    let released = text([0, 1, 0]);
    let changed = |from: &str, to: &str| {
        assert!(released.contains(from), "{from}");
        incompatibility(&released, &released.replacen(from, to, 1))
    };
    for (from, to) in [
        ("save: func() -> list<u8>;", "save: func() -> string;"),
        ("save: func() -> list<u8>;", "save: func() -> list<u8>; forget: func();"),
        ("cache-ttl-ms: u32,", "cache-ttl-ms: u64,"),
        ("interval-ms: u32,", ""),
        ("enum health { up, degraded, down }", "enum health { up, down }"),
        ("write: func(level: level, message: string);", "write: func(message: string);"),
        ("write: func(level: level, message: string);", ""),
    ] {
        assert!(changed(from, to).is_some(), "{from} → {to}");
    }
    // What wit/README.md calls an addition, and a comment.
    for (from, to) in [
        ("interface history {", "interface more { more: func(); }\ninterface history {"),
        ("world tuner { import log;", "interface more { more: func(); }\nworld tuner { import more; import log;"),
        ("/// The value of a knob.", "/// What a knob holds."),
    ] {
        assert_eq!(changed(from, to), None, "{from} → {to}");
    }
}
