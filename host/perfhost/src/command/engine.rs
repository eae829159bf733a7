//! `perfhost engine …`: engines that perfhost can run, and what they print.

use std::path::Path;

use anyhow::{Context, Result};
use perfhost_upstream::engine;
use serde_json::json;

use super::library::{Bar, folders};
use super::print::{self, table};
use crate::cli::{EngineCommand, LibraryFlags};
use crate::config::raw::Raw;
use crate::config::{self, Sources};

/// Runs one of the commands.
pub fn run(command: &EngineCommand) -> Result<()> {
    match command {
        EngineCommand::Install(flags) => install(flags),
        EngineCommand::List(flags) => list(flags),
        EngineCommand::Logs { name, lines, data_dir } => logs(name, *lines, data_dir.as_deref()),
    }
}

fn install(flags: &LibraryFlags) -> Result<()> {
    let folders = folders(flags)?;
    let mut bar = Bar::default();
    let installed =
        engine::install(&folders.library, &mut |progress| bar.show(&progress)).context("installing an engine")?;
    bar.done();
    print::print(&json!({ "engine": installed }), flags.output, |_| format!("engine: {installed}"))
}

fn list(flags: &LibraryFlags) -> Result<()> {
    let folders = folders(flags)?;
    let in_use = engine::find(None, std::env::var_os("PATH").as_deref(), &folders.library);
    let installed = engine::list(&folders.library);
    print::print(&json!({ "in_use": in_use, "installed": installed }), flags.output, |_| {
        let rows: Vec<Vec<String>> = installed
            .iter()
            .map(|one| {
                let version = one.version.clone().unwrap_or_else(|| "not finished; install again".to_owned());
                vec![one.name.clone(), version, one.path.display().to_string()]
            })
            .collect();
        match &in_use {
            Some(program) => format!(
                "in use: {program}\n\ninstalled by perfhost:\n{}",
                table(&["ENGINE", "VERSION", "FOLDER"], &rows)
            ),
            None => "no engine is set up; install one with `perfhost engine install`".to_owned(),
        }
    })
}

fn logs(name: &str, lines: usize, data_dir: Option<&Path>) -> Result<()> {
    let sources = Sources {
        environment: std::env::vars().collect(),
        flags: Raw { data_dir: data_dir.map(Path::to_owned), ..Raw::default() },
        ..Sources::default()
    };
    let path = engine::log_path(&config::load(&sources)?.data_dir.join("logs"), name);
    let text = std::fs::read_to_string(&path).with_context(|| {
        format!("no log of an engine called {name:?} is at {}; is the data folder right?", path.display())
    })?;
    let all: Vec<&str> = text.lines().collect();
    print::line(&all[all.len().saturating_sub(lines)..].join("\n"));
    Ok(())
}
