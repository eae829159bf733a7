//! The contract in `wit/` stays compatible with what was accepted: a strategy built against the accepted text must work
//! with the present one.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

use std::path::{Path, PathBuf};

use wit_component::semver_check;
use wit_parser::{Resolve, UnresolvedPackageGroup};

const WORLDS: [&str; 3] = ["strategy", "tuner", "advisor"];
const PRESENT: &str = "v0.1.0/strategy.wit";
const ACCEPTED: &str = "accepted/0.1.0.wit";

fn text(file: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Why a world of `present` cannot take the place of the same world in `accepted`, for the first world that cannot.
fn incompatibility(accepted: &str, present: &str) -> Option<String> {
    WORLDS.iter().find_map(|world| {
        let mut resolve = Resolve::default();
        let mut world_of = |text: &str, version: &str| {
            // Two packages of one name in one resolution need two versions; the check ignores them.
            let text = text.replacen("perfhost:strategy@0.1.0", &format!("perfhost:strategy@{version}"), 1);
            let package = resolve.push_group(UnresolvedPackageGroup::parse("strategy.wit", &text).unwrap()).unwrap();
            resolve.select_world(&[package], Some(world)).unwrap()
        };
        let (before, after) = (world_of(accepted, "0.1.0"), world_of(present, "0.1.1"));
        semver_check(resolve, before, after).err().map(|error| format!("world {world}: {error:#}"))
    })
}

#[test]
fn the_present_contract_is_compatible_with_the_accepted_one() {
    if let Some(why) = incompatibility(&text(ACCEPTED), &text(PRESENT)) {
        panic!(
            "wit/{PRESENT} is no longer compatible with wit/{ACCEPTED}: {why}\n\
             Strategies that people have built would stop working. Either take the change back, or give it a new\n\
             version: a new folder wit/vX.Y.Z with its own accepted copy, as wit/README.md says."
        );
    }
}

#[test]
fn an_incompatible_change_is_found() {
    let accepted = text(ACCEPTED);
    let changed = |from: &str, to: &str| {
        assert!(accepted.contains(from), "{from}");
        incompatibility(&accepted, &accepted.replacen(from, to, 1))
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
    assert_eq!(changed("/// The value of a knob.", "/// What a knob holds."), None);
}
