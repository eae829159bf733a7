//! `perfhost replay …` as typed.

use std::path::PathBuf;

use clap::Args;

use super::Output;

/// Flags of `replay`.
#[derive(Debug, Clone, Args)]
pub struct ReplayFlags {
    /// A path, an https:// address with #sha256=HEX, an oci:// reference, or the name of a built-in strategy
    pub strategy: String,
    /// Data folder whose decision log is replayed; its host may be running [default: the one that serving uses]
    #[arg(long, value_name = "FOLDER", conflicts_with = "host")]
    pub data_dir: Option<PathBuf>,
    /// Address of a running host whose decision log is replayed
    #[arg(long, value_name = "URL")]
    pub host: Option<String>,
    /// Admin token, where the host asks for one
    #[arg(long, env = "PERFHOST_ADMIN_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub token: Option<String>,
    /// Compare no cycle before this moment: Unix milliseconds, 2026-01-31T12:00:00Z, now, or -15m
    #[arg(long, value_name = "MOMENT", allow_hyphen_values = true)]
    pub from: Option<String>,
    /// Compare no cycle after this moment
    #[arg(long, value_name = "MOMENT", allow_hyphen_values = true)]
    pub to: Option<String>,
    /// Compare only so many cycles, the newest
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub last: Option<u64>,
    /// Parameter of the strategy, in place of those it had: name=value. Repeat for several
    #[arg(long, value_name = "NAME=VALUE", value_parser = super::pair)]
    pub param: Vec<(String, String)>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}
