//! What an engine is made from: everything that stays the same while its settings change.

use std::path::{Path, PathBuf};
use std::time::Duration;

use perfhost_strategy::settings::EngineSettings;

use super::program::EngineProgram;
use crate::model::available_memory_bytes;

/// Time for a process to become ready, beside what its model's size adds.
const START_BASE: Duration = Duration::from_secs(60);
/// A model is loaded at least this fast.
const LOAD_BYTES_PER_SECOND: u64 = 20_000_000;

/// One engine's fixed properties.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// The provider's name in the fleet; also the name of the log.
    pub provider: String,
    /// What is run.
    pub program: EngineProgram,
    /// The GGUF file.
    pub model_path: PathBuf,
    /// What the API calls the model.
    pub model_name: String,
    /// Where `<provider>.log` goes.
    pub log_dir: PathBuf,
    /// Where running processes are noted, so that a later perfhost can stop what this one left behind.
    pub run_dir: PathBuf,
    /// Serve embeddings too. Costs prompt speed: llama.cpp then computes an output for every token of a prompt and
    /// limits the batch to the micro-batch.
    pub is_embedding: bool,
    /// Further arguments for the program, after perfhost's own.
    pub extra_arguments: Vec<String>,
    /// What the engine goes back to when no process lives with the settings that it is started with; `None` when there is
    /// nothing safer.
    pub fallback: Option<EngineSettings>,
    /// How long a process may take to become ready; `None` for a limit that grows with the model's size.
    pub start_timeout: Option<Duration>,
    /// How long requests on a replaced process may go on before it is stopped all the same.
    pub drain_timeout: Duration,
    /// From asking a process to end to killing it.
    pub stop_grace: Duration,
    /// Says how much memory is available, in bytes; `None` when that is not known.
    pub available_memory: fn() -> Option<u64>,
}

impl EngineConfig {
    /// The usual properties: logs and notes below `data_dir`, ten minutes to drain, five seconds to end.
    pub fn new(provider: &str, program: EngineProgram, model_path: &Path, model_name: &str, data_dir: &Path) -> Self {
        Self {
            provider: provider.to_owned(),
            program,
            model_path: model_path.to_owned(),
            model_name: model_name.to_owned(),
            log_dir: data_dir.join("logs"),
            run_dir: data_dir.join("engines").join("run"),
            is_embedding: false,
            extra_arguments: Vec::new(),
            fallback: None,
            start_timeout: None,
            drain_timeout: Duration::from_secs(600),
            stop_grace: Duration::from_secs(5),
            available_memory: available_memory_bytes,
        }
    }

    pub(super) fn model_bytes(&self) -> u64 {
        self.model_path.metadata().map_or(0, |metadata| metadata.len())
    }

    pub(super) fn start_limit(&self) -> Duration {
        let by_size = Duration::from_secs(self.model_bytes() / LOAD_BYTES_PER_SECOND);
        self.start_timeout.unwrap_or(START_BASE + by_size)
    }
}
