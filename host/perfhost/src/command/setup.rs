//! `perfhost setup`: fetches an engine and a small model, so that perfhost can serve with nothing else installed.

use anyhow::{Context, Result};
use perfhost_upstream::{engine, model};

use super::library::{Bar, folders, index_url, pull_options};
use super::print;
use crate::cli::LibraryFlags;
use crate::config::checked::DEFAULT_MODEL;

/// Installs what is missing; running it again checks and does nothing.
pub fn run(flags: &LibraryFlags) -> Result<()> {
    let folders = folders(flags)?;
    let path_variable = std::env::var_os("PATH");
    match engine::find(None, path_variable.as_deref(), &folders.library) {
        Some(found) => print::line(&format!("engine: {found}")),
        None => {
            let mut bar = Bar::default();
            let installed = engine::install(&folders.library, &mut |progress| bar.show(&progress))
                .context("installing an engine")?;
            bar.done();
            print::line(&format!("engine: {installed}"));
        }
    }
    let path = match model::path_of(DEFAULT_MODEL, &folders.models) {
        Some(path) => path,
        None => {
            let mut bar = Bar::default();
            let path =
                model::pull_with(DEFAULT_MODEL, &folders.models, pull_options(&index_url(), None), &mut |progress| {
                    bar.show(&progress)
                })
                .with_context(|| format!("fetching the model {DEFAULT_MODEL}"))?;
            bar.done();
            path
        }
    };
    print::line(&format!("model: {DEFAULT_MODEL} ({})", path.display()));
    print::line("ready: start with `perfhost`, then point an OpenAI client at http://127.0.0.1:8900/v1");
    Ok(())
}
