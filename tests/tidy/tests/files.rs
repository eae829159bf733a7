//! Every source file: short, headed, named after an idea; no machine's paths in the tree.

use perfhost_tidy::{project_files, text_of};

const MOST_LINES: usize = 800;
const VAGUE_NAMES: &[&str] = &["common", "util", "utils", "helper", "helpers", "misc", "stuff"];

fn sources(endings: &[&str]) -> Vec<String> {
    project_files().into_iter().filter(|path| endings.iter().any(|ending| path.ends_with(ending))).collect()
}

#[test]
fn no_source_file_needs_a_scroll_bar() {
    let long: Vec<_> = sources(&[".rs", ".py", ".js", ".c", ".wit", ".sh"])
        .into_iter()
        .map(|path| (text_of(&path).lines().count(), path))
        .filter(|(lines, _)| *lines > MOST_LINES)
        .collect();
    assert!(long.is_empty(), "split by idea (at most {MOST_LINES} lines): {long:?}");
}

#[test]
fn every_rust_file_says_what_it_owns() {
    let bare: Vec<_> =
        sources(&[".rs"]).into_iter().filter(|path| !text_of(path).trim_start().starts_with("//!")).collect();
    assert!(bare.is_empty(), "begin these with //! and what they own: {bare:?}");
}

#[test]
fn every_python_and_shell_file_says_what_it_is_for() {
    let bare: Vec<_> = sources(&[".py", ".sh"])
        .into_iter()
        .filter(|path| {
            let text = text_of(path);
            let body = text.lines().find(|line| !line.starts_with("#!") && !line.is_empty()).unwrap_or("");
            !body.is_empty() && !body.starts_with("\"\"\"") && !body.starts_with('#')
        })
        .collect();
    assert!(bare.is_empty(), "begin these with what they are for: {bare:?}");
}

#[test]
fn no_file_or_folder_has_a_vague_name() {
    let vague: Vec<_> = sources(&[".rs", ".py", ".js", ".c"])
        .into_iter()
        .filter(|path| path.split('/').any(|part| VAGUE_NAMES.contains(&part.split('.').next().unwrap_or(part))))
        .collect();
    assert!(vague.is_empty(), "name these after the idea they hold: {vague:?}");
}

#[test]
fn nothing_unfinished_is_left_behind() {
    // Written in two parts so that this file does not find itself.
    let marks = [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("FIX", "ME"), concat!("#[ig", "nore")];
    let found: Vec<_> = sources(&[".rs", ".py", ".js", ".c"])
        .into_iter()
        .filter(|path| {
            let text = text_of(path);
            marks.iter().any(|mark| text.contains(mark))
        })
        .collect();
    assert!(found.is_empty(), "finish or remove: {found:?}");
}

/// Strategies that were built against released contracts; packed, and never built again.
const FIXTURES: &str = "tests/fixtures/";

#[test]
fn no_tracked_file_is_large() {
    let size = |path: &String| perfhost_tidy::root().join(path).metadata().map_or(0, |data| data.len());
    let (fixtures, others): (Vec<_>, Vec<_>) =
        project_files().into_iter().partition(|path| path.starts_with(FIXTURES) && path.ends_with(".lzma"));
    let large: Vec<_> =
        others.iter().filter(|path| !path.ends_with("Cargo.lock")).filter(|path| size(path) > 1 << 20).collect();
    assert!(large.is_empty(), "over 1 MiB, build output or a download: {large:?}");
    let packed: u64 = fixtures.iter().map(size).sum();
    assert!(packed <= 8 << 20, "{packed} bytes of packed fixtures; at most 8 MiB");
}
