//! The direction of dependencies between the host's crates, as ARCHITECTURE.md states it. Any other edge fails.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a check that cannot read the tree must fail")]

use std::collections::BTreeMap;

use perfhost_tidy::output_of;
use serde_json::Value;

/// Which workspace crates each host crate may depend on.
const ALLOWED: &[(&str, &[&str])] = &[
    (
        "perfhost",
        &[
            "perfhost-analysis",
            "perfhost-cache",
            "perfhost-gateway",
            "perfhost-simulation",
            "perfhost-strategy",
            "perfhost-telemetry",
            "perfhost-upstream",
            "perfhost-wasm",
        ],
    ),
    (
        "perfhost-gateway",
        &["perfhost-analysis", "perfhost-cache", "perfhost-strategy", "perfhost-telemetry", "perfhost-upstream"],
    ),
    ("perfhost-analysis", &[]),
    ("perfhost-cache", &["perfhost-strategy"]),
    ("perfhost-simulation", &["perfhost-strategy"]),
    ("perfhost-telemetry", &["perfhost-strategy"]),
    ("perfhost-upstream", &["perfhost-strategy"]),
    ("perfhost-wasm", &["perfhost-strategy"]),
    ("perfhost-strategy", &[]),
];

/// Outside crates that only the named crates may use directly.
const OWNED: &[(&str, &[&str])] = &[
    ("wasmtime", &["perfhost-wasm"]),
    ("wit-component", &["perfhost-wasm"]),
    ("rusqlite", &["perfhost-telemetry"]),
    ("nvml-wrapper", &["perfhost-telemetry"]),
    ("moka", &["perfhost-cache"]),
    ("rustls", &["perfhost-upstream"]),
    ("clap", &["perfhost", "perfhost-bench"]),
    ("anyhow", &["perfhost", "perfhost-bench"]),
];

/// The pure crates, and all that each may use.
const PURE: &[(&str, &[&str])] = &[
    ("perfhost-analysis", &["serde", "thiserror"]),
    ("perfhost-strategy", &["serde", "thiserror"]),
    ("perfhost-simulation", &["perfhost-strategy", "serde", "thiserror"]),
];

/// Normal dependencies (not of tests, not of build scripts) of every workspace crate.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let metadata: Value =
        serde_json::from_str(&output_of("cargo", &["metadata", "--format-version=1", "--no-deps", "--offline"]))
            .expect("cargo metadata prints JSON");
    let packages = metadata["packages"].as_array().expect("a list of packages");
    packages
        .iter()
        .map(|package| {
            let names = package["dependencies"].as_array().expect("a list of dependencies");
            let normal = names.iter().filter(|dependency| dependency["kind"].is_null());
            let names = normal.filter_map(|dependency| dependency["name"].as_str()).map(str::to_owned).collect();
            (package["name"].as_str().unwrap_or_default().to_owned(), names)
        })
        .collect()
}

#[test]
fn host_crates_depend_one_way() {
    let found = dependencies();
    for (name, allowed) in ALLOWED {
        let inside = found.get(*name).unwrap_or_else(|| panic!("{name} is missing from the workspace"));
        for dependency in inside.iter().filter(|dependency| found.contains_key(*dependency)) {
            assert!(allowed.contains(&dependency.as_str()), "{name} must not depend on {dependency}");
        }
    }
}

#[test]
fn every_host_crate_is_in_the_table() {
    for name in dependencies().keys().filter(|name| name.as_str() == "perfhost" || name.starts_with("perfhost-")) {
        let is_outside_the_host = ["perfhost-tidy", "perfhost-bench"].contains(&name.as_str());
        assert!(
            is_outside_the_host || ALLOWED.iter().any(|(known, _)| known == name),
            "{name}: state its dependencies"
        );
    }
}

#[test]
fn outside_crates_stay_with_their_owners() {
    for (name, dependencies) in dependencies() {
        for (outside, owners) in OWNED {
            let uses = dependencies.iter().any(|dependency| dependency == outside);
            assert!(!uses || owners.contains(&name.as_str()), "{name} must not use {outside}; {owners:?} own it");
        }
    }
}

#[test]
fn pure_crates_have_no_world_of_their_own() {
    let dependencies = dependencies();
    for (name, allowed) in PURE {
        for dependency in &dependencies[*name] {
            assert!(allowed.contains(&dependency.as_str()), "{name} must not use {dependency}");
        }
        let sources = format!("host/{name}/src/");
        for path in perfhost_tidy::project_files().iter().filter(|path| path.starts_with(&sources)) {
            for word in
                ["std::fs", "std::net", "std::env", "std::process", "std::thread", "Instant::now", "SystemTime::now"]
            {
                assert!(
                    !perfhost_tidy::text_of(path).contains(word),
                    "{path} uses {word}; the crate is a step function"
                );
            }
        }
    }
}
