//! `perfhost plugin …` as typed.

use clap::Subcommand;

use super::{ClientFlags, LibraryFlags, Output};

/// Commands about strategies.
#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// Strategies of a running host; the built-in ones when none is running
    List(ClientFlags),
    /// Load a strategy stage by stage, without serving, and say what it is
    Inspect {
        /// A path, an https:// address with #sha256=HEX, an oci:// reference, or the name of a built-in strategy
        plugin: String,
        /// How to print
        #[arg(long, value_enum, default_value_t = Output::Table)]
        output: Output,
    },
    /// Fetch a plugin into the library folder, check it, and say its digest
    Pull {
        /// An https:// address with #sha256=HEX, or an oci:// reference
        plugin: String,
        /// Where and how
        #[command(flatten)]
        library: LibraryFlags,
    },
    /// Put another strategy in service on a running host
    Swap {
        /// A path, an https:// address with #sha256=HEX, an oci:// reference, or the name of a built-in strategy
        plugin: String,
        /// Send a file even to a host on this machine, which could read it itself
        #[arg(long)]
        upload: bool,
        /// Where and how
        #[command(flatten)]
        client: ClientFlags,
    },
    /// Put the strategy before the present one back in service
    Rollback(ClientFlags),
}
