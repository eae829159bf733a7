//! `perfhost plugin …`: the strategies of a running host, and what a plugin file is. One file a command.

mod inspect;
mod list;
mod pull;
mod send;
mod swap;

use anyhow::Result;

use crate::cli::PluginCommand;

/// Runs one of the commands.
pub fn run(command: &PluginCommand) -> Result<()> {
    match command {
        PluginCommand::List(flags) => list::list(flags),
        PluginCommand::Inspect { plugin, output } => inspect::inspect(plugin, *output),
        PluginCommand::Pull { plugin, library } => pull::pull(plugin, library.library_dir.clone(), library.output),
        PluginCommand::Swap { plugin, upload, client } => swap::swap(plugin, *upload, client),
        PluginCommand::Rollback(flags) => swap::rollback(flags),
    }
}
