//! `perfhost plugin …` as typed.

use std::path::PathBuf;

use clap::Subcommand;

use super::{ClientFlags, Output};
use crate::scaffold::{Language, StrategyName};

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
    /// Make a small project that builds into a strategy, with a test
    New {
        /// Language of the project
        #[arg(long, value_enum)]
        lang: Language,
        /// Name of the strategy: small letters, digits and hyphens
        name: StrategyName,
        /// Folder of the project, new or empty [default: the name, here]
        #[arg(long, value_name = "FOLDER")]
        path: Option<PathBuf>,
        /// How to print
        #[arg(long, value_enum, default_value_t = Output::Table)]
        output: Output,
    },
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
