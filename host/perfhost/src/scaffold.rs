//! Makes a new strategy project from a template, for `perfhost plugin new`.
//!
//! Owns what is written and where; which files and what is in them is [`templates`], what a name may be is [`name`].

mod name;
mod templates;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Serialize;
use thiserror::Error;

pub use name::{NameError, StrategyName};

/// A language that a template is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Built by cargo for wasm32-unknown-unknown
    Rust,
    /// Built by componentize-py
    Python,
    /// Built by componentize-qjs
    Javascript,
    /// Built by make with Zig's C compiler
    C,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Project {
    /// Name of the strategy.
    pub name: String,
    /// Language of the project.
    pub language: Language,
    /// Its folder.
    pub folder: PathBuf,
    /// Its files, relative to the folder.
    pub files: Vec<PathBuf>,
    /// The commands that its README gives for testing and building, in order.
    pub commands: Vec<String>,
}

/// Why no project was made.
#[derive(Debug, Error)]
pub enum ScaffoldError {
    /// The name cannot be used.
    #[error(transparent)]
    Name(#[from] NameError),
    /// There is something in its place.
    #[error("{0} exists already and is not an empty folder; nothing was written (--path names another place)")]
    Occupied(PathBuf),
    /// A file or folder could not be written.
    #[error("writing {path}: {error}")]
    Write {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A template names something that nobody fills in.
    #[error("the {0} template is broken: {1}")]
    Template(&'static str, String),
}

/// Makes the project in `folder`, which must not exist or be empty. Never overwrites a file.
pub fn make(language: Language, name: &StrategyName, folder: &Path) -> Result<Project, ScaffoldError> {
    name.check_for(language)?;
    let files = templates::filled(language, name)?;
    if folder.exists() && fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_some()) {
        return Err(ScaffoldError::Occupied(folder.to_owned()));
    }
    for (path, text) in &files {
        write_new(&folder.join(path), text)?;
    }
    let readme = files.iter().find(|(path, _)| *path == templates::README).map_or("", |(_, text)| text);
    Ok(Project {
        name: name.to_string(),
        language,
        folder: folder.to_owned(),
        commands: commands(readme),
        files: files.iter().map(|(path, _)| PathBuf::from(path)).collect(),
    })
}

fn write_new(path: &Path, text: &str) -> Result<(), ScaffoldError> {
    let write = || {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        File::create_new(path)?.write_all(text.as_bytes())
    };
    write().map_err(|error| ScaffoldError::Write { path: path.to_owned(), error })
}

/// The lines of the shell blocks of a README.
fn commands(readme: &str) -> Vec<String> {
    let mut is_inside = false;
    let mut lines = Vec::new();
    for line in readme.lines() {
        match line {
            "```sh" => is_inside = true,
            "```" => is_inside = false,
            _ if is_inside => lines.push(line.to_owned()),
            _ => {}
        }
    }
    lines
}

#[cfg(test)]
mod tests;
