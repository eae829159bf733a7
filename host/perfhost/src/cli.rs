//! The command line as typed. What it means is decided in [`crate::command`] and [`crate::config`].

mod ab;
mod alerts;
mod plugin;
mod replay;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::Sources;
use crate::config::raw::{Raw, RawAuto, RawEngine, RawTelemetry, RawTuning, RawUpstream};

pub use ab::{AbCommand, ReportForm, StartFlags, UnitName};
pub use alerts::{AlertsCommand, AlertsFlags};
pub use plugin::{BenchFlags, CheckFlags, PluginCommand, TestFlags};
pub use replay::ReplayFlags;

/// A host for sandboxed optimization strategies in front of LLM providers.
///
/// Without a command it serves: point an OpenAI client at http://127.0.0.1:8900/v1.
#[derive(Debug, Parser)]
#[command(name = "perfhost", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Flags of serving, when no command is given.
    #[command(flatten)]
    pub serve: ServeFlags,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve requests (what `perfhost` without a command does)
    Serve(Box<ServeFlags>),
    /// Fetch an engine and a small model, so that perfhost can serve with nothing else installed
    Setup(LibraryFlags),
    /// How a running host stands
    Status(ClientFlags),
    /// A live view in the terminal: figures, providers, knobs, decisions. Press ? for its keys
    Top(ClientFlags),
    /// Ask a running host in commands or plain sentences, line by line
    Shell(ClientFlags),
    /// Measurements of the last minute, of all providers or one
    Metrics {
        /// Only this provider
        provider: Option<String>,
        /// Print every figure, with its full precision, in this format
        #[arg(long, value_enum, conflicts_with = "output")]
        export: Option<Export>,
        /// Where and how
        #[command(flatten)]
        client: ClientFlags,
    },
    /// Processor, memory, disk and network, of the machine, the host and its engines
    Resources(ClientFlags),
    /// What strategies asked for, and what came of it
    Decisions {
        /// How many, newest first
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Where and how
        #[command(flatten)]
        client: ClientFlags,
    },
    /// Experiments: which strategy is better, on live traffic
    #[command(subcommand)]
    Ab(AbCommand),
    /// Where the time of requests goes, and what to change, with the evidence; of all providers or one
    Optimize {
        /// Only this provider
        provider: Option<String>,
        /// Apply what turns a knob, through the guard
        #[arg(long)]
        apply: bool,
        /// Where and how
        #[command(flatten)]
        client: ClientFlags,
    },
    /// What the answer cache holds, and what it saved over a range
    Cache {
        /// Empty it
        #[arg(long)]
        clear: bool,
        /// Since when: -7d, or a moment such as 2026-01-31T12:00:00Z
        #[arg(long, default_value = "-24h", allow_hyphen_values = true, value_name = "MOMENT")]
        since: String,
        /// Where and how
        #[command(flatten)]
        client: ClientFlags,
    },
    /// A day or a week of a running host, with trends and recommendations
    Report {
        /// How much of it
        #[arg(long, value_enum, default_value_t = ReportPeriod::Daily)]
        period: ReportPeriod,
        /// In which form
        #[arg(long, value_enum, default_value_t = ReportFormat::Markdown, conflicts_with = "output")]
        format: ReportFormat,
        /// Write it to this file
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// Where and how
        #[command(flatten)]
        client: ClientFlags,
    },
    /// Look at configuration, machine, engine, models and the running host, and name what to do
    Doctor(ClientFlags),
    /// What fires, what fired, and what to say to it: list, history, statistics, acknowledge, silence
    Alerts(AlertsFlags),
    /// Run any strategy over what was recorded: what would it have proposed, and where does it differ
    Replay(ReplayFlags),
    /// Run a strategy against a scenario or a recorded trace in simulated time, as `plugin test` does
    Simulate(TestFlags),
    /// Strategies: list, inspect, pull, swap, write your own
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Models: list, pull, show, advise
    #[command(subcommand)]
    Model(ModelCommand),
    /// Engines: install, list, logs
    #[command(subcommand)]
    Engine(EngineCommand),
}

/// Commands about models.
#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// Models that can be pulled, and those on this machine
    List(LibraryFlags),
    /// Fetch, check and keep a model
    Pull {
        /// A name of the catalogue (`perfhost model list`), or an https URL of a GGUF file
        model: String,
        /// SHA-256 that the file must have; needed for a URL
        #[arg(long)]
        sha256: Option<String>,
        /// Where and how
        #[command(flatten)]
        library: LibraryFlags,
    },
    /// What a model file says of itself
    Show {
        /// A name of the catalogue, or the path of a GGUF file
        model: String,
        /// Where and how
        #[command(flatten)]
        library: LibraryFlags,
    },
    /// Which variant and KV cache type of a model to run on this machine
    Advise {
        /// Context of one request, in tokens
        #[arg(long, default_value_t = 4096)]
        context: u32,
        /// Requests at once
        #[arg(long, default_value_t = 1)]
        parallel: u32,
        /// Where and how
        #[command(flatten)]
        library: LibraryFlags,
    },
}

/// Commands about engines.
#[derive(Debug, Subcommand)]
pub enum EngineCommand {
    /// Set up an engine for perfhost to run
    Install(LibraryFlags),
    /// Engines that perfhost can run
    List(LibraryFlags),
    /// What an engine printed
    Logs {
        /// Provider name of the engine
        #[arg(default_value = crate::config::checked::DEFAULT_ENGINE_NAME)]
        name: String,
        /// How many lines, from the end
        #[arg(long, default_value_t = 100)]
        lines: usize,
        /// Data folder of the host
        #[arg(long, value_name = "FOLDER")]
        data_dir: Option<PathBuf>,
    },
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Table,
    /// For programs
    Json,
}

/// Formats of exported metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Export {
    /// Comma-separated values, with a header line
    Csv,
    /// JSON
    Json,
    /// A table for documents and change requests
    Markdown,
}

/// What a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportPeriod {
    /// The last 24 hours
    Daily,
    /// The last seven days
    Weekly,
}

/// Forms of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// Text with tables, curves as blocks
    Markdown,
    /// One page with plots
    Html,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// What went wrong and was not mended
    Error,
    /// What went wrong and was mended
    Warn,
    /// What changed
    #[default]
    Info,
    /// What is done and why
    Debug,
    /// Everything
    Trace,
}

/// Reads `name=value`.
fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("name=value is expected")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// Flags of commands that ask a running host.
#[derive(Debug, Clone, Args)]
pub struct ClientFlags {
    /// Address of the running host
    #[arg(long, env = "PERFHOST_HOST", default_value = "http://127.0.0.1:8900", value_name = "URL")]
    pub host: String,
    /// Admin token, where the host asks for one
    #[arg(long, env = "PERFHOST_ADMIN_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub token: Option<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

/// Flags of commands about engines and models on this machine.
#[derive(Debug, Clone, Args)]
pub struct LibraryFlags {
    /// Folder of engines, models and fetched plugins
    #[arg(long, env = "PERFHOST_LIBRARY_DIR", value_name = "FOLDER")]
    pub library_dir: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

/// Flags of serving.
#[derive(Debug, Clone, Default, Args)]
pub struct ServeFlags {
    /// A strategy: a path, an https:// address with #sha256=HEX, an oci:// reference, or the name of a built-in one. Repeat
    /// for several; the first is in service
    #[arg(long, value_name = "PLUGIN")]
    pub plugin: Vec<String>,
    /// Compare these strategies from the start, the incumbent first: a.wasm,b.wasm
    #[arg(long, value_name = "PLUGIN,PLUGIN", value_delimiter = ',', conflicts_with = "plugin")]
    pub ab: Vec<String>,
    /// Let challengers meet the strategy in service, one after another: the other plugins (else the built-in ones) and
    /// steps of its knobs
    #[arg(long, conflicts_with = "ab")]
    pub auto: bool,
    /// Share of traffic that a challenger may have [default: 0.1]
    #[arg(long, value_name = "SHARE", requires = "auto")]
    pub auto_budget: Option<f64>,
    /// Reload a plugin that came from a file when the file changes
    #[arg(long)]
    pub watch: bool,
    /// Begin without the tuned settings and the learned state of earlier runs
    #[arg(long)]
    pub fresh: bool,
    /// Base URL of a provider that speaks the OpenAI protocol. Repeat for several
    #[arg(long, value_name = "URL")]
    pub upstream: Vec<String>,
    /// Model for the managed engine: a name of the catalogue, or the path of a GGUF file
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Path of a llama-server to run
    #[arg(long, value_name = "PATH")]
    pub engine: Option<PathBuf>,
    /// Run no engine
    #[arg(long, conflicts_with_all = ["model", "engine"])]
    pub no_engine: bool,
    /// Look for no providers but those named
    #[arg(long)]
    pub no_discovery: bool,
    /// Address and port to listen on [default: 127.0.0.1:8900]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Folder of history, decisions and state [default: ~/.local/share/perfhost]
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Folder of engines, models and fetched plugins [default: ~/.cache/perfhost]
    #[arg(long, value_name = "FOLDER")]
    pub library_dir: Option<PathBuf>,
    /// Configuration file (.toml, .yaml or .json) [default: ~/.config/perfhost/perfhost.toml]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Start value of a knob: name=value, or name@provider=value. Repeat for several
    #[arg(long, value_name = "KNOB=VALUE")]
    pub set: Vec<String>,
    /// Parameter of the strategy in service: name=value. Repeat for several
    #[arg(long, value_name = "NAME=VALUE")]
    pub param: Vec<String>,
    /// Threads that serve requests [default: one a core]
    #[arg(long, value_name = "COUNT")]
    pub workers: Option<usize>,
    /// Time between two observations, in milliseconds [default: 5000]
    #[arg(long, value_name = "MILLISECONDS")]
    pub interval_ms: Option<u64>,
    /// Record no requests, as `telemetry.enabled = false`: no history of them, no tuning, no experiments
    #[arg(long, conflicts_with_all = ["ab", "auto"])]
    pub no_telemetry: bool,
    /// How much to log
    #[arg(long, env = "PERFHOST_LOG", value_enum, default_value_t = LogLevel::Info, value_name = "LEVEL")]
    pub log: LogLevel,
    /// Log as JSON lines
    #[arg(long)]
    pub log_json: bool,
}

impl ServeFlags {
    /// What the flags say, as the last layer of configuration.
    pub fn sources(&self, environment: Vec<(String, String)>) -> Sources {
        let upstream =
            |url: &String| RawUpstream { name: None, url: url.clone(), kind: None, key_env: None, key_file: None };
        let flags = Raw {
            listen: self.listen.clone(),
            data_dir: self.data_dir.clone(),
            library_dir: self.library_dir.clone(),
            plugins: Some(self.plugin.clone()).filter(|list| !list.is_empty()),
            ab: Some(self.ab.clone()).filter(|list| !list.is_empty()),
            auto: RawAuto { enabled: self.auto.then_some(true), budget: self.auto_budget, ..RawAuto::default() },
            watch: self.watch.then_some(true),
            workers: self.workers,
            discovery: self.no_discovery.then_some(false),
            upstream: self.upstream.iter().map(upstream).collect(),
            engine: RawEngine {
                enabled: self.no_engine.then_some(false),
                name: None,
                model: self.model.clone(),
                program: self.engine.clone(),
                embeddings: None,
            },
            tuning: RawTuning { interval_ms: self.interval_ms, guard: None, fresh: self.fresh.then_some(true) },
            telemetry: RawTelemetry { enabled: self.no_telemetry.then_some(false) },
            ..Raw::default()
        };
        Sources { file: self.config.clone(), environment, flags, set: self.set.clone(), parameters: self.param.clone() }
    }
}
