//! `perfhost plugin check` and `plugin bench` as authors and their CI use them: exit codes, JSON, and what is said.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod accepted;
mod measured;
mod refused;
mod result;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// Without WASI, as the contract recommends.
const PLAIN: &str = "wasm32-unknown-unknown";
/// With the standard library's WASI imports.
const WASI: &str = "wasm32-wasip2";

fn perfhost(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_perfhost"));
    command.arg("plugin").args(arguments).output().unwrap()
}

/// Exit code and JSON of a check.
fn check(plugin: &str, flags: &[&str]) -> (i32, Value) {
    let output = perfhost(&[&["check", plugin, "--output", "json"], flags].concat());
    let json = serde_json::from_slice(&output.stdout);
    (output.status.code().unwrap(), json.unwrap_or_else(|error| panic!("{error}: {}", text(&output.stderr))))
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

/// The file of a guest in tests/guests, built if need be: cargo looks whether it is.
fn guest(package: &str, target: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let status = Command::new(env!("CARGO"))
        .current_dir(&root)
        .args(["build", "--quiet", "--profile", "guest", "--target", target, "--target-dir", "target/guests"])
        .args(["-p", package])
        .status()
        .unwrap();
    assert!(status.success(), "building {package}; is the target installed (rustup target add {target})?");
    let file: PathBuf = root.join("target/guests").join(target).join("guest").join(package.replace('-', "_") + ".wasm");
    file.to_string_lossy().into_owned()
}

/// Code, subject and place of every finding.
fn found(checked: &Value) -> Vec<[&str; 3]> {
    let findings = checked["findings"].as_array().unwrap().iter();
    findings.map(|one| ["code", "subject", "place"].map(|field| one[field].as_str().unwrap())).collect()
}
