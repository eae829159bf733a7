//! The plugin that a command names: whatever a host takes, let in as a host that was started now would let it in.

use std::path::Path;

use anyhow::Result;
use perfhost_wasm::PluginSource;

use crate::plugin_source::Intake;

/// Reads or fetches it, with another library folder where one is given.
///
/// # Errors
/// The configuration cannot be used; the plugin is not there, not what was asked for, or not trusted.
pub fn read(plugin: &str, library_dir: Option<&Path>) -> Result<PluginSource> {
    Ok(Intake::of_command(library_dir.map(Path::to_owned))?.read(plugin, None)?.source)
}
