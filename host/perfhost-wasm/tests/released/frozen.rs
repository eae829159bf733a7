//! The list of what is frozen, `wit/released.sha256`: texts of released contracts and the fixtures built against them.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

fn wit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit")
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Digests and names of what is frozen, in the form of `sha256sum`.
fn frozen() -> Vec<(String, String)> {
    let list = fs::read_to_string(wit().join("released.sha256")).unwrap();
    list.lines()
        .map(|line| line.split_once("  ").unwrap())
        .map(|(sum, name)| (sum.to_owned(), name.to_owned()))
        .collect()
}

/// What to tell somebody who changed a frozen file, if somebody did.
fn complaint(name: &str, recorded: &str, content: &[u8]) -> Option<String> {
    let found = digest(content);
    (found != recorded).then(|| {
        format!(
            "wit/{name} belongs to a released contract and is frozen: its SHA-256 was {recorded}, now it is {found}.\n\
             Strategies are built against it. Take the change back. What should be different belongs in a new version,\n\
             in a folder of its own; wit/README.md says which changes need one and how to make it."
        )
    })
}

#[test]
fn released_contracts_and_their_fixtures_are_as_they_were() {
    for (recorded, name) in frozen() {
        let path = wit().join(&name);
        let content = fs::read(&path)
            .unwrap_or_else(|error| panic!("wit/{name} is frozen and must be there: {error}; see wit/README.md"));
        if let Some(complaint) = complaint(&name, &recorded, &content) {
            panic!("{complaint}");
        }
    }
}

#[test]
fn the_released_version_is_frozen_as_a_whole() {
    let names: Vec<String> = frozen().into_iter().map(|(_, name)| name).collect();
    let mut wanted = vec!["v0.1.0/strategy.wit".to_owned(), "../tests/fixtures/0.1.0/answers.json".to_owned()];
    let components = crate::fixtures::names(crate::RELEASED);
    wanted.extend(components.iter().map(|name| format!("../tests/fixtures/0.1.0/{name}.wasm.lzma")));
    for name in wanted {
        assert!(names.contains(&name), "wit/released.sha256 lacks {name}");
    }
}

#[test]
fn a_change_of_one_comment_is_found_and_the_message_says_what_to_do() {
    let (recorded, name) = frozen().remove(0);
    let text = fs::read_to_string(wit().join(&name)).unwrap();
    assert_eq!(complaint(&name, &recorded, text.as_bytes()), None);
    let changed = text.replacen("// The contract", "// The treaty", 1);
    let complaint = complaint(&name, &recorded, changed.as_bytes()).unwrap();
    assert!(complaint.contains("v0.1.0/strategy.wit") && complaint.contains("wit/README.md"), "{complaint}");
}
