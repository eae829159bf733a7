//! The `perfhost` command: reads the command line, runs what it asks for, and turns errors into an exit code.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage.

use std::process::ExitCode;

use clap::Parser;
use perfhost::cli::{Cli, Command};
use perfhost::command;
use perfhost::command::misuse::is_misuse;

/// As clap's own for words that it does not understand.
const WRONG_USAGE: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        None => command::serve::run(&cli.serve),
        Some(Command::Serve(flags)) => command::serve::run(&flags),
        Some(Command::Setup(flags)) => command::setup::run(&flags),
        Some(Command::Status(flags)) => command::status::run(&flags),
        Some(Command::Shell(flags)) => command::shell::run(&flags),
        Some(Command::Top(flags)) => command::top::run(&flags),
        Some(Command::Metrics { provider, export, client }) => {
            command::metrics::run(provider.as_deref(), export, &client)
        }
        Some(Command::Resources(flags)) => command::resources::run(&flags),
        Some(Command::Decisions { limit, client }) => command::decisions::run(limit, &client),
        Some(Command::Ab(ab)) => command::ab::run(&ab),
        Some(Command::Optimize { provider, apply, client }) => {
            command::optimize::run(provider.as_deref(), apply, &client)
        }
        Some(Command::Cache { clear, since, client }) => command::cache::run(clear, &since, &client),
        Some(Command::Report { period, format, file, client }) => {
            command::report::run(period, format, file.as_deref(), &client)
        }
        Some(Command::Doctor(flags)) => command::doctor::run(&flags),
        Some(Command::Alerts(flags)) => command::alerts::run(&flags),
        Some(Command::Replay(flags)) => command::replay::run(&flags),
        Some(Command::Simulate(flags)) => command::plugin::test::test(&flags),
        Some(Command::Plugin(plugin)) => command::plugin::run(&plugin),
        Some(Command::Model(model)) => command::model::run(&model),
        Some(Command::Engine(engine)) => command::engine::run(&engine),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            if is_misuse(&error) { ExitCode::from(WRONG_USAGE) } else { ExitCode::FAILURE }
        }
    }
}
