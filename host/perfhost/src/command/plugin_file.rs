//! The plugin that a command names: whatever a host takes, let in as a host that was started now would let it in.

use std::path::Path;

use anyhow::{Error, Result, anyhow};
use perfhost_wasm::PluginSource;

use super::misuse::misuse;
use crate::plugin_source::Intake;
use crate::plugin_source::error::SourceError;

/// Reads or fetches it, with another library folder where one is given.
///
/// # Errors
/// The configuration cannot be used; the plugin is not there, not what was asked for, or not trusted.
pub fn read(plugin: &str, library_dir: Option<&Path>) -> Result<PluginSource> {
    let intake = Intake::of_command(library_dir.map(Path::to_owned))?;
    Ok(intake.read(plugin, None).map_err(refused)?.source)
}

/// Why there is no plugin. A name that stands for nothing is wrong usage; bytes that are not let in are a result.
pub fn refused(error: SourceError) -> Error {
    match &error {
        SourceError::Unknown { name, .. } if Path::new(name).is_dir() => {
            misuse(anyhow!("{name} is a folder; give the .wasm file that the build makes"))
        }
        SourceError::Unknown { .. }
        | SourceError::Address { .. }
        | SourceError::Read { .. }
        | SourceError::NoDigest { .. } => misuse(error),
        _ => error.into(),
    }
}
