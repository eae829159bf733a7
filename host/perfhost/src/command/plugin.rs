//! `perfhost plugin …`: the strategies of a running host, and what a plugin file is. One file a command.

mod inspect;
mod list;
mod swap;
pub mod test;

use anyhow::Result;

use crate::cli::PluginCommand;

/// Runs one of the commands.
pub fn run(command: &PluginCommand) -> Result<()> {
    match command {
        PluginCommand::List(flags) => list::list(flags),
        PluginCommand::Inspect { plugin, output } => inspect::inspect(plugin, *output),
        PluginCommand::Swap { plugin, client } => swap::swap(plugin, client),
        PluginCommand::Rollback(flags) => swap::rollback(flags),
        PluginCommand::Test(flags) => test::test(flags),
    }
}
