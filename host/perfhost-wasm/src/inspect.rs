//! What `plugin inspect` shows: everything that can be learnt of a plugin without putting it in service.

use std::sync::Arc;

use perfhost_strategy::strategy::{Allowance, Description, World};
use serde::Serialize;

use crate::error::LoadError;
use crate::host::history::History;
use crate::host::log::LogLine;
use crate::load::component::{Answer, answer};
use crate::load::{self, Report, StageReport};
use crate::runtime::{PluginSource, Runtime};
use crate::terms::TermsOf;

/// One import and how it is answered.
#[derive(Debug, Clone, Serialize)]
pub struct ImportReport {
    /// Its full name.
    pub name: String,
    /// How it is answered.
    pub answer: Answer,
}

/// The result of [`Runtime::inspect`].
#[derive(Debug, Clone, Serialize)]
pub struct Inspection {
    /// The plugin's name, as given.
    pub plugin: String,
    /// SHA-256 of the file, in hexadecimal; empty when the file is too large to be read.
    pub digest: String,
    /// Size of the file.
    pub file_bytes: u64,
    /// Size of the compiled code, where code is kept.
    pub compiled_bytes: Option<u64>,
    /// Whether the compiled code came from the cache.
    pub is_cached: bool,
    /// Whether the file is a core module that was made a component.
    pub is_core_module: bool,
    /// What it implements.
    pub world: Option<World>,
    /// What it says of itself.
    pub description: Option<Description>,
    /// What it is granted and limited to, where it got far enough to say its name.
    pub allowance: Option<Allowance>,
    /// What it imports.
    pub imports: Vec<ImportReport>,
    /// What it exports.
    pub exports: Vec<String>,
    /// The stages it went through, in order; the last one may have failed.
    pub stages: Vec<StageReport>,
    /// What it wrote meanwhile.
    pub log: Vec<LogLine>,
    /// Why it was refused; `None` when it can be put in service.
    pub error: Option<LoadError>,
}

/// Loads the plugin, drops it, and reports.
pub(crate) fn inspect(
    runtime: &Arc<Runtime>,
    source: &PluginSource,
    history: Arc<dyn History>,
    terms_of: &TermsOf<'_>,
) -> Inspection {
    let mut report = Report { is_thorough: true, ..Report::default() };
    let error = load::load(runtime, source, history, terms_of, &mut report).err();
    let shape = report.shape.unwrap_or_default();
    Inspection {
        plugin: source.name.clone(),
        digest: report.digest,
        file_bytes: source.bytes.len() as u64,
        compiled_bytes: report.compiled_bytes,
        is_cached: report.is_cached,
        is_core_module: shape.is_core_module,
        world: report.world,
        description: report.description,
        allowance: report.allowance,
        imports: shape.imports.into_iter().map(|name| ImportReport { answer: answer(&name), name }).collect(),
        exports: shape.exports,
        stages: report.stages,
        log: report.log.map(|log| log.lines()).unwrap_or_default(),
        error,
    }
}
