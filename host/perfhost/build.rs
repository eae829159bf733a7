//! Builds the strategies in `plugins/` to WebAssembly so that the binary carries them inside.
//!
//! They are built by a cargo of their own with a target folder of their own (`<target>/guests`), which the tests of the
//! sandbox share: guests are built once.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const BUILT_IN: &[&str] = &["conservative", "balanced", "aggressive", "rules", "quantization-advisor"];
const TARGET: &str = "wasm32-unknown-unknown";

fn main() {
    if let Err(message) = build() {
        println!("cargo::error={message}");
    }
}

fn build() -> Result<(), String> {
    let manifest = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(variable("OUT_DIR")?);
    let root = manifest.ancestors().nth(2).ok_or("host/perfhost is not inside the workspace")?;
    // OUT_DIR is <target>/<profile>/build/perfhost-<hash>/out.
    let guests = out.ancestors().nth(4).ok_or("OUT_DIR has an unexpected shape")?.join("guests");
    for watched in ["plugins", "host/perfhost-strategy/src", "wit", "Cargo.lock", "Cargo.toml"] {
        println!("cargo::rerun-if-changed={}", root.join(watched).display());
    }

    let mut cargo = Command::new(variable("CARGO")?);
    cargo
        .current_dir(root)
        .args(["build", "--locked", "--profile", "guest", "--target", TARGET, "--target-dir"])
        .arg(&guests);
    for name in BUILT_IN {
        cargo.args(["--package", name]);
    }
    // The guests' compiler flags are their own: the outer build's would not fit the target.
    for inherited in
        ["CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS", "RUSTC_WORKSPACE_WRAPPER", "RUSTC_WRAPPER", "CARGO_BUILD_TARGET"]
    {
        cargo.env_remove(inherited);
    }
    let output = cargo.output().map_err(|error| format!("cargo cannot be run for the built-in strategies: {error}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let hint = if text.contains("E0463") || text.contains("may not be installed") {
            format!("the target is missing: run `rustup target add {TARGET}` and build again")
        } else {
            text.lines().rev().take(30).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join(" | ")
        };
        return Err(format!("building the built-in strategies failed: {hint}"));
    }

    let mut table = String::from("&[\n");
    for name in BUILT_IN {
        let file = format!("{}.wasm", name.replace('-', "_"));
        let built = guests.join(TARGET).join("guest").join(&file);
        let kept = out.join(&file);
        copy(&built, &kept)?;
        table += &format!("    ({name:?}, include_bytes!({:?})),\n", kept.display().to_string());
    }
    table += "]\n";
    fs::write(out.join("built_in.rs"), table).map_err(|error| format!("built_in.rs cannot be written: {error}"))
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    fs::copy(from, to).map(|_| ()).map_err(|error| format!("{} cannot be copied: {error}", from.display()))
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("{name}: {error}"))
}
