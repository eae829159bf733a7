//! The files of each template, carried inside the binary, and what is filled into them.
//!
//! `{{name}}` is the strategy's name, `{{identifier}}` the same with underscores, and `{{TOOL}}` the version of a tool as
//! `templates/versions.json` gives it: the one place for the versions that templates use.

use std::collections::BTreeMap;

use super::{Language, ScaffoldError, StrategyName};

/// Path of the file that says how to build a project.
pub(super) const README: &str = "README.md";

const VERSIONS: &str = include_str!("../../templates/versions.json");
const CONTRACT: (&str, &str) = ("wit/strategy.wit", include_str!("../../../../wit/v0.1.0/strategy.wit"));

/// Path in the project and text of each file of a folder in `templates/`. `.gitignore` is called `gitignore` there, so
/// that it does not hold for the templates themselves.
macro_rules! template {
    ($folder:literal: $($path:literal)*) => {
        &[
            (".gitignore", include_str!(concat!("../../templates/", $folder, "/gitignore"))),
            $(($path, include_str!(concat!("../../templates/", $folder, "/", $path)))),*
        ]
    };
}

const RUST: &[(&str, &str)] =
    template!("rust": "README.md" "Cargo.toml" "src/lib.rs" "src/policy.rs" "src/policy/tests.rs");
const PYTHON: &[(&str, &str)] =
    template!("python": "README.md" "requirements.txt" "policy.py" "strategy_component.py" "test_policy.py");
const JAVASCRIPT: &[(&str, &str)] =
    template!("javascript": "README.md" "package.json" "policy.js" "component.js" "policy.test.js");
const C: &[(&str, &str)] =
    template!("c": "README.md" "Makefile" "src/policy.h" "src/policy.c" "src/component.c" "test/policy_test.c");

/// Path and text of each file of a project.
pub(super) fn filled(language: Language, name: &StrategyName) -> Result<Vec<(&'static str, String)>, ScaffoldError> {
    let (folder, files) = match language {
        Language::Rust => ("rust", RUST),
        Language::Python => ("python", PYTHON),
        Language::Javascript => ("javascript", JAVASCRIPT),
        Language::C => ("c", C),
    };
    let broken = |detail: String| ScaffoldError::Template(folder, detail);
    let mut values: BTreeMap<String, String> =
        serde_json::from_str(VERSIONS).map_err(|error| broken(format!("versions.json: {error}")))?;
    values.insert("name".to_owned(), name.to_string());
    values.insert("identifier".to_owned(), name.identifier());
    let mut project = vec![(CONTRACT.0, CONTRACT.1.to_owned())];
    for (path, template) in files {
        project.push((*path, fill(template, &values).map_err(|word| broken(format!("{path} names {{{{{word}}}}}")))?));
    }
    Ok(project)
}

/// Puts values in the place of their names. What is not a word of small letters and hyphens between the braces is the
/// language's own; the error is a word without a value.
fn fill(template: &str, values: &BTreeMap<String, String>) -> Result<String, String> {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        filled += before;
        let length = after.find(|letter: char| !letter.is_ascii_lowercase() && letter != '-').unwrap_or(after.len());
        let (word, behind) = after.split_at(length);
        match behind.strip_prefix("}}") {
            Some(behind) if length > 0 => {
                filled += values.get(word).ok_or(word)?;
                rest = behind;
            }
            _ => {
                filled += "{{";
                rest = after;
            }
        }
    }
    Ok(filled + rest)
}
