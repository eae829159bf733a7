//! Reads the source tree for the checks in `tests/`: which files there are and what they hold. Judges nothing itself.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder that holds the workspace's Cargo.toml.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).map(Path::to_path_buf).unwrap_or_default()
}

/// Runs a command in the root and returns what it printed.
///
/// # Panics
/// When the command cannot be run or fails.
pub fn output_of(program: &str, arguments: &[&str]) -> String {
    match Command::new(program).args(arguments).current_dir(root()).output() {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).into_owned(),
        Ok(output) => panic!("{program} {arguments:?} failed: {}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => panic!("{program} cannot be run: {error}"),
    }
}

/// Every file that belongs to the project: tracked, or new and not ignored. Paths are relative to the root.
pub fn project_files() -> Vec<String> {
    output_of("git", &["ls-files", "--cached", "--others", "--exclude-standard"])
        .lines()
        .filter(|path| root().join(path).is_file())
        .map(str::to_owned)
        .collect()
}

/// The text of one project file.
///
/// # Panics
/// When it cannot be read as UTF-8.
pub fn text_of(path: &str) -> String {
    match std::fs::read_to_string(root().join(path)) {
        Ok(text) => text,
        Err(error) => panic!("{path}: {error}"),
    }
}
