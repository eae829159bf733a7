//! The library: the folder of engines and models on this machine, and how long work on it is shown.

use std::io::{IsTerminal, Write, stderr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use perfhost_upstream::model::PullOptions;
use perfhost_upstream::progress::Progress;

use crate::cli::LibraryFlags;
use crate::config::raw::Raw;
use crate::config::{self, Sources};

/// Time between two updates of a bar.
const REDRAW: Duration = Duration::from_millis(100);
/// Time between two lines where there is no terminal.
const RELINE: Duration = Duration::from_secs(5);

/// Where things are.
pub struct Folders {
    /// Engines and models.
    pub library: PathBuf,
    /// Models.
    pub models: PathBuf,
}

/// The folders that flags, variables and the configuration file say.
pub fn folders(flags: &LibraryFlags) -> Result<Folders> {
    let sources = Sources {
        environment: std::env::vars().collect(),
        flags: Raw { library_dir: flags.library_dir.clone(), ..Raw::default() },
        ..Sources::default()
    };
    let library = config::load(&sources)?.library_dir;
    Ok(Folders { models: models_in(&library), library })
}

/// The models folder of a library.
pub fn models_in(library: &std::path::Path) -> PathBuf {
    library.join("models")
}

/// Options of a pull: the package index is the one that Python's installer is set to use, if it is.
pub fn pull_options<'a>(index_url: &'a Option<String>, sha256: Option<&'a str>) -> PullOptions<'a> {
    let mut options = PullOptions { sha256, ..PullOptions::default() };
    if let Some(url) = index_url {
        options.index_url = url;
    }
    options
}

/// The index that `PIP_INDEX_URL` names.
pub fn index_url() -> Option<String> {
    std::env::var("PIP_INDEX_URL").ok().filter(|url| !url.is_empty())
}

/// Shows progress on the standard error: one line redrawn on a terminal, a line now and then elsewhere.
#[derive(Default)]
pub struct Bar {
    shown: Option<Instant>,
    stage: Option<(String, String)>,
}

impl Bar {
    /// Shows a step, unless one was shown a moment ago.
    pub fn show(&mut self, progress: &Progress) {
        let is_terminal = stderr().is_terminal();
        let stage = format!("{:?}", progress.stage).to_lowercase();
        let is_new = self.stage.as_ref() != Some(&(stage.clone(), progress.what.clone()));
        let is_complete = progress.total_bytes == Some(progress.done_bytes);
        let wait = if is_terminal { REDRAW } else { RELINE };
        if !is_new && !is_complete && self.shown.is_some_and(|shown| shown.elapsed() < wait) {
            return;
        }
        self.shown = Some(Instant::now());
        let amount = match progress.total_bytes {
            Some(total) if total > 0 => {
                let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
                format!(
                    " {:.1} of {:.1} MiB ({:.0} %)",
                    mib(progress.done_bytes),
                    mib(total),
                    100.0 * progress.done_bytes as f64 / total as f64
                )
            }
            _ => String::new(),
        };
        let text = format!("{stage} {}{amount}", progress.what);
        // Progress is a courtesy: a closed standard error must not end the work.
        let _written = if is_terminal { write!(stderr(), "\r\x1b[2K{text}") } else { writeln!(stderr(), "{text}") };
        self.stage = Some((stage, progress.what.clone()));
    }

    /// Clears the line.
    pub fn done(&mut self) {
        if self.stage.take().is_some() && stderr().is_terminal() {
            let _written = write!(stderr(), "\r\x1b[2K");
        }
    }
}
