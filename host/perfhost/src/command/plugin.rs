//! `perfhost plugin …`: the strategies of a running host, and what a plugin file is. One file a command.

mod bench;
mod check;
mod given;
mod history;
mod inspect;
mod list;
mod new;
mod swap;
pub mod test;

use anyhow::Result;

use crate::cli::PluginCommand;

/// Runs one of the commands.
pub fn run(command: &PluginCommand) -> Result<()> {
    match command {
        PluginCommand::List(flags) => list::list(flags),
        PluginCommand::Inspect { plugin, output } => inspect::inspect(plugin, *output),
        PluginCommand::Load { plugin, client } => swap::load(plugin, client),
        PluginCommand::New { lang, name, path, output } => new::new(*lang, name, path.as_deref(), *output),
        PluginCommand::Check(flags) => check::check(flags),
        PluginCommand::Bench(flags) => bench::bench(flags),
        PluginCommand::Swap { plugin, client } => swap::swap(plugin, client),
        PluginCommand::Rollback { to, client } => swap::rollback(*to, client),
        PluginCommand::History { limit, client } => history::history(*limit, client),
        PluginCommand::Test(flags) => test::test(flags),
    }
}
