//! `perfhost plugin …`: the strategies of a running host, and what a plugin file is. One file a command.

mod bench;
mod check;
mod history;
mod inspect;
mod list;
mod new;
mod pull;
mod send;
mod swap;
pub mod test;

use anyhow::Result;

use crate::cli::PluginCommand;

/// Runs one of the commands.
pub fn run(command: &PluginCommand) -> Result<()> {
    match command {
        PluginCommand::List(flags) => list::list(flags),
        PluginCommand::Inspect { plugin, output } => inspect::inspect(plugin, *output),
        PluginCommand::Pull { plugin, library } => pull::pull(plugin, library.library_dir.clone(), library.output),
        PluginCommand::Load { plugin, upload, client } => swap::load(plugin, *upload, client),
        PluginCommand::New { lang, name, path, output } => new::new(*lang, name, path.as_deref(), *output),
        PluginCommand::Check(flags) => check::check(flags),
        PluginCommand::Bench(flags) => bench::bench(flags),
        PluginCommand::Swap { plugin, upload, client } => swap::swap(plugin, *upload, client),
        PluginCommand::Rollback { to, client } => swap::rollback(*to, client),
        PluginCommand::History { limit, client } => history::history(*limit, client),
        PluginCommand::Test(flags) => test::test(flags),
    }
}
