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
    /// Load a strategy on a running host and keep it at hand, without putting it in service
    Load {
        /// A file here, a path there, or the name of a built-in strategy
        plugin: String,
        /// Where and how
        #[command(flatten)]
        client: ClientFlags,
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
        /// A file here, a path there, the name of a built-in strategy, or name@version or the first digits of the digest
        /// of one that is at hand or kept
        plugin: String,
        /// Where and how
        #[command(flatten)]
        client: ClientFlags,
    },
    /// Put the strategy before the present one back in service, also after a restart
    Rollback {
        /// The strategy of this generation instead (see `perfhost plugin history`)
        #[arg(long, value_name = "GENERATION")]
        to: Option<u64>,
        /// Where and how
        #[command(flatten)]
        client: ClientFlags,
    },
    /// Every strategy that was in service: from when to when, why, and what came of it
    History {
        /// How many, newest first
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Where and how
        #[command(flatten)]
        client: ClientFlags,
    },
}
