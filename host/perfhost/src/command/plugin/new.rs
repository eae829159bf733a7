//! `perfhost plugin new`: a small project that builds into a strategy.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::cli::Output;
use crate::command::print;
use crate::scaffold::{self, Language, Project, StrategyName};

pub(super) fn new(language: Language, name: &StrategyName, path: Option<&Path>, output: Output) -> Result<()> {
    let folder = path.map_or_else(|| PathBuf::from(name.to_string()), Path::to_path_buf);
    let project = scaffold::make(language, name, &folder)?;
    print::print(&project, output, layout)
}

fn layout(project: &Project) -> String {
    let mut text = format!("made {} with {} files; next:\n\n", project.folder.display(), project.files.len());
    text += &format!("  cd {}\n", project.folder.display());
    for command in &project.commands {
        text += &format!("  {command}\n");
    }
    text + "\nIts README.md says which file holds what."
}
