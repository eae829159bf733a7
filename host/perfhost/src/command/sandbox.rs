//! A sandbox for one command, with compiled code kept in a folder of its own: a strategy that is loaded again and again
//! is compiled once, and nothing is left behind.

use std::sync::Arc;

use anyhow::{Context, Result};
use perfhost_wasm::{Limits, Runtime, RuntimeConfig};
use tempfile::TempDir;

/// A runtime and the folder of its compiled code, which is removed with it.
pub struct Sandbox {
    /// Where strategies are loaded.
    pub runtime: Arc<Runtime>,
    _folder: TempDir,
}

impl Sandbox {
    /// An empty sandbox.
    pub fn new(limits: Limits) -> Result<Self> {
        let folder = TempDir::with_prefix("perfhost-compiled-").context("making a folder for compiled code")?;
        let runtime = Runtime::new(RuntimeConfig { cache_dir: Some(folder.path().to_owned()), limits })?;
        Ok(Self { runtime, _folder: folder })
    }
}
