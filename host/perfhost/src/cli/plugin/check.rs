//! `perfhost plugin check …` as typed.

use std::path::PathBuf;

use clap::Args;

use crate::cli::{Output, pair};

/// Flags of `plugin check`. Exit codes: 0 no errors, 1 errors, 2 wrong usage.
#[derive(Debug, Clone, Args)]
pub struct CheckFlags {
    /// A path, an https:// address with #sha256=HEX, an oci:// reference, or the name of a built-in strategy
    pub plugin: String,
    /// Parameter to configure it with: name=value. Repeat for several
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub param: Vec<(String, String)>,
    /// What the made-up inputs follow from
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// Made-up observations, beside the extremes; long runs are in proportion
    #[arg(long, value_name = "COUNT", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub cases: u32,
    /// Data folder whose recorded observations are shown to it as well; its host may be running
    #[arg(long, value_name = "FOLDER")]
    pub recorded: Option<PathBuf>,
    /// Fail on warnings too
    #[arg(long)]
    pub strict: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}
