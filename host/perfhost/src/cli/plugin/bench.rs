//! `perfhost plugin bench …` as typed.

use clap::Args;

use crate::cli::{Output, pair};

/// Flags of `plugin bench`.
#[derive(Debug, Clone, Args)]
pub struct BenchFlags {
    /// A path, an https:// address with #sha256=HEX, an oci:// reference, or the name of a built-in strategy
    pub plugin: String,
    /// Parameter to configure it with: name=value. Repeat for several
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub param: Vec<(String, String)>,
    /// Longest time for each kind of measurement, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub seconds: u64,
    /// How to print
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}
