//! The plugin that a command is given: a file here, or a strategy inside the binary.

use std::path::Path;

use anyhow::{Result, anyhow};
use perfhost_wasm::PluginSource;

use crate::built_in;
use crate::command::misuse::misuse;
use crate::service::strategies::{SwapError, read};

/// Reads it. That there is none is wrong usage.
pub(super) fn given(plugin: &str) -> Result<PluginSource> {
    read(plugin).map_err(|error| match error {
        SwapError::Unknown(_) if Path::new(plugin).is_dir() => {
            misuse(anyhow!("{plugin} is a folder; give the .wasm file that the build makes"))
        }
        SwapError::Unknown(_) => {
            misuse(anyhow!("there is no file {plugin}, and no built-in strategy of that name ({})", built_in::names()))
        }
        other => misuse(other),
    })
}
