//! The `perfhost` command: reads the command line, runs what it asks for, and turns errors into an exit code.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage.

use std::process::ExitCode;

use clap::Parser;
use perfhost::cli::{Cli, Command};
use perfhost::command;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        None => command::serve::run(&cli.serve),
        Some(Command::Serve(flags)) => command::serve::run(&flags),
        Some(Command::Setup(flags)) => command::setup::run(&flags),
        Some(Command::Status(flags)) => command::status::run(&flags),
        Some(Command::Metrics { provider, export, client }) => {
            command::metrics::run(provider.as_deref(), export, &client)
        }
        Some(Command::Resources(flags)) => command::resources::run(&flags),
        Some(Command::Decisions { limit, client }) => command::decisions::run(limit, &client),
        Some(Command::Alerts(flags)) => command::alerts::run(&flags),
        Some(Command::Replay(flags)) => command::replay::run(&flags),
        Some(Command::Plugin(plugin)) => command::plugin::run(&plugin),
        Some(Command::Model(model)) => command::model::run(&model),
        Some(Command::Engine(engine)) => command::engine::run(&engine),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
