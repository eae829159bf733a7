//! `perfhost plugin …` as typed.

mod bench;
mod check;

use std::path::PathBuf;

use clap::{Args, Subcommand};

pub use bench::BenchFlags;
pub use check::CheckFlags;

use super::{ClientFlags, LibraryFlags, Output};
use crate::command::plugin::test::requirement::Requirement;
use crate::scaffold::{Language, StrategyName};

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
    /// Does it keep to the contract? Every loading stage, and a conformance run over made-up and recorded observations
    Check(CheckFlags),
    /// What its calls cost, what memory it takes, and how fast it loads
    Bench(BenchFlags),
    /// Load a strategy on a running host and keep it at hand, without putting it in service
    Load {
        /// A path, an https:// address with #sha256=HEX, an oci:// reference, or the name of a built-in strategy
        plugin: String,
        /// Send a file even to a host on this machine, which could read it itself
        #[arg(long)]
        upload: bool,
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
        /// A path, an https:// address with #sha256=HEX, an oci:// reference, the name of a built-in strategy, or
        /// name@version or the first digits of the digest of one that is at hand or kept
        plugin: String,
        /// Send a file even to a host on this machine, which could read it itself
        #[arg(long)]
        upload: bool,
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
    /// Try a strategy in simulated time, beside a baseline and beside none: what it does, and what comes of it
    Test(Box<TestFlags>),
}

/// Flags of `perfhost plugin test`.
#[derive(Debug, Clone, Args)]
pub struct TestFlags {
    /// A path, an https:// address with #sha256=HEX, an oci:// reference, or the name of a built-in strategy
    pub plugin: String,
    /// Name of a scenario (steady, burst, provider-slow, provider-down, memory-pressure, cache-friendly, cache-hostile,
    /// cold-models), `all` of them, a scenario file (.toml, .json), or a trace (.jsonl)
    #[arg(long, default_value = "steady", value_name = "NAME|FILE")]
    pub scenario: String,
    /// The strategy to compare with, named in the same ways
    #[arg(long, default_value = crate::built_in::DEFAULT, value_name = "PLUGIN")]
    pub baseline: String,
    /// The same seed makes the same requests, and the same run
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Simulated time: 90s, 30m, 2h [default: the scenario's]
    #[arg(long, value_parser = duration_s, value_name = "TIME")]
    pub duration: Option<f64>,
    /// Clients that ask again when they are answered, instead of the scenario's arrivals
    #[arg(long, value_name = "COUNT")]
    pub clients: Option<u32>,
    /// Requests per second at random, instead of the scenario's arrivals
    #[arg(long, value_name = "RATE", conflicts_with = "clients")]
    pub rate: Option<f64>,
    /// Parameter of the strategy: name=value. Repeat for several
    #[arg(long, value_parser = pair, value_name = "NAME=VALUE")]
    pub param: Vec<(String, String)>,
    /// What must hold, or the command fails: METRIC OP NUMBER, with NUMBER also `baseline`, `none`, or a multiple such as
    /// `1.1*baseline`. Repeat for several. Example: "goodput >= baseline"
    #[arg(long, value_name = "CONDITION")]
    pub require: Vec<Requirement>,
    /// Only print the scenario as a file to start your own from
    #[arg(long)]
    pub print_scenario: bool,
    /// Folder of compiled plugins, in `compiled` [default: ~/.cache/perfhost]
    #[arg(long, env = "PERFHOST_LIBRARY_DIR", value_name = "FOLDER")]
    pub library_dir: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected name=value")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn duration_s(text: &str) -> Result<f64, String> {
    let wrong = || format!("{text:?} is no time; write 90s, 30m or 2h");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1.0,
        'm' => 60.0,
        'h' => 3_600.0,
        _ => return Err(wrong()),
    };
    let number: f64 = text[..text.len() - unit.len_utf8()].parse().map_err(|_| wrong())?;
    Ok(number * seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_pairs_are_read_or_explained() {
        assert_eq!(["90s", "30m", "1.5h"].map(|text| duration_s(text).unwrap()), [90.0, 1_800.0, 5_400.0]);
        assert!(["30", "", "m", "xm", "5é"].iter().all(|text| duration_s(text).is_err()));
        assert_eq!(pair("a = b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(pair("a").is_err());
    }
}
