//! `perfhost plugin …` as typed.

mod bench;
mod check;

use clap::Subcommand;

pub use bench::BenchFlags;
pub use check::CheckFlags;

use super::{ClientFlags, Output};

/// Commands about strategies.
#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// Strategies of a running host; the built-in ones when none is running
    List(ClientFlags),
    /// Load a strategy stage by stage, without serving, and say what it is
    Inspect {
        /// A path, or the name of a built-in strategy
        plugin: String,
        /// How to print
        #[arg(long, value_enum, default_value_t = Output::Table)]
        output: Output,
    },
    /// Does it keep to the contract? Every loading stage, and a conformance run over made-up and recorded observations
    Check(CheckFlags),
    /// What its calls cost, what memory it takes, and how fast it loads
    Bench(BenchFlags),
    /// Put another strategy in service on a running host
    Swap {
        /// A path, or the name of a built-in strategy
        plugin: String,
        /// Where and how
        #[command(flatten)]
        client: ClientFlags,
    },
    /// Put the strategy before the present one back in service
    Rollback(ClientFlags),
}
