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
    let installed = engine::install(&folders.library, &mut |progress| bar.show(&progress)).context("installing an engine")?;
    bar.done();
    print::print(&json!({ "engine": installed.to_string() }), flags.output, |_| format!("engine: {installed}"))
}

fn list(flags: &LibraryFlags) -> Result<()> {
    let folders = folders(flags)?;
    let found = engine::list(std::env::var_os("PATH").as_deref(), &folders.library);
    let value = json!({ "engines": found.iter().map(ToString::to_string).collect::<Vec<_>>() });
    print::print(&value, flags.output, |_| {
        let rows: Vec<Vec<String>> = found.iter().map(|program| vec![program.to_string()]).collect();
        if rows.is_empty() {
            return "no engine is set up; install one with `perfhost engine install`".to_owned();
        }
        table(&["ENGINE"], &rows)
    })
}

fn logs(name: &str, lines: usize, data_dir: Option<&Path>) -> Result<()> {
    let sources = Sources {
        environment: std::env::vars().collect(),
        flags: Raw { data_dir: data_dir.map(Path::to_owned), ..Raw::default() },
        ..Sources::default()
    };
    let path = engine::log_path(&config::load(&sources)?.data_dir.join("logs"), name);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("no log of an engine called {name:?} is at {}; is the data folder right?", path.display()))?;
    let all: Vec<&str> = text.lines().collect();
    print::line(&all[all.len().saturating_sub(lines)..].join("\n"));
    Ok(())
}
