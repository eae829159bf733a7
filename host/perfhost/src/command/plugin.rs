//! `perfhost plugin …`: the strategies of a running host, and what a plugin file is. One file a command.

mod bench;
mod check;
mod inspect;
mod list;
mod swap;

use anyhow::Result;

use crate::cli::PluginCommand;

/// Runs one of the commands.
pub fn run(command: &PluginCommand) -> Result<()> {
    match command {
        PluginCommand::List(flags) => list::list(flags),
        PluginCommand::Inspect { plugin, output } => inspect::inspect(plugin, *output),
        PluginCommand::Check(flags) => check::check(flags),
        PluginCommand::Bench(flags) => bench::bench(flags),
        PluginCommand::Swap { plugin, client } => swap::swap(plugin, client),
        PluginCommand::Rollback(flags) => swap::rollback(flags),
    }
}
