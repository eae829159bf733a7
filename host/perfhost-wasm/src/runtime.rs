//! The sandbox of one process: the engine, its clock for time limits, and the cache of compiled code.
//!
//! Memory is reserved per instance when it is made (wasmtime's on-demand allocator), not in a pool for the process:
//! warm instances are kept by each strategy, so making one (some tens of microseconds) is off the hot path, and an idle
//! host holds nothing.

use std::path::PathBuf;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use perfhost_strategy::Strategy;
use wasmtime::{Config, Engine, OptLevel};

use crate::background;
use crate::cache::Cache;
use crate::error::{LoadError, LoadFailure, Stage};
use crate::host::history::{History, NoHistory};
use crate::host::log::{Log, LogLine};
use crate::inspect::Inspection;
use crate::keeper::Keeper;
use crate::limits::Limits;
use crate::load;
use crate::terms::{Terms, TermsOf};
use crate::ticker::Ticker;

/// Strategies whose logs can be asked for; the oldest is forgotten first.
const LOGS_KEPT: usize = 64;

/// How a [`Runtime`] is set up.
#[derive(Debug, Clone, Default)]
pub struct RuntimeConfig {
    /// Folder for compiled code, made when missing; only this user may write it. `None`: nothing is kept on disk.
    pub cache_dir: Option<PathBuf>,
    /// Limits of every strategy; one strategy's [`Terms`] may narrow them.
    pub limits: Limits,
}

/// A plugin to load.
#[derive(Debug, Clone)]
pub struct PluginSource {
    /// How people know it: a path, an address, `built-in NAME` or `upload NAME`. Messages and [`perfhost_strategy::strategy::Identity`] carry it.
    pub name: String,
    /// The file.
    pub bytes: Vec<u8>,
}

impl PluginSource {
    /// SHA-256 of the file, in hexadecimal, as [`perfhost_strategy::strategy::Identity`] carries it.
    pub fn digest(&self) -> String {
        load::digest(&self.bytes)
    }
}

/// The sandbox. One for a process; every strategy keeps it alive.
pub struct Runtime {
    pub(crate) engine: Engine,
    pub(crate) limits: Limits,
    pub(crate) ticker: Arc<Ticker>,
    pub(crate) keeper: Keeper,
    pub(crate) cache: Option<Cache>,
    logs: Mutex<Vec<(String, Weak<Log>)>>,
}

impl Runtime {
    /// Sets the sandbox up. A cache folder that cannot be used safely is a warning, not a failure: code is then compiled
    /// at each start.
    pub fn new(config: RuntimeConfig) -> Result<Arc<Self>, LoadError> {
        let failed = |detail: String| LoadError {
            plugin: "(none)".to_owned(),
            strategy: None,
            stage: Stage::Setup,
            failure: Box::new(LoadFailure::Sandbox { detail }),
        };
        let engine = Engine::new(&engine_config(&config.limits)).map_err(|error| failed(format!("{error:#}")))?;
        let ticker = Ticker::start(&engine, config.limits.plan_timeout)
            .map_err(|error| failed(format!("the thread that keeps time limits: {error}")))?;
        let keeper = Keeper::start(config.limits.stack_bytes)
            .map_err(|error| failed(format!("the thread that replaces instances: {error}")))?;
        let cache = config.cache_dir.and_then(|folder| {
            Cache::open(&folder, &engine, config.limits.cache_bytes)
                .inspect_err(|error| {
                    tracing::warn!(folder = %folder.display(), "compiled code is not kept: {error}");
                })
                .ok()
        });
        Ok(Arc::new(Self {
            engine,
            limits: config.limits,
            ticker: Arc::new(ticker),
            keeper,
            cache,
            logs: Mutex::new(Vec::new()),
        }))
    }

    /// Loads a plugin through every stage; see [`Stage`]. Blocks for as long as compiling takes (a cached Rust strategy:
    /// under a millisecond; a Python one that is new: many seconds), so call it away from request threads.
    pub fn load(
        self: &Arc<Self>,
        source: &PluginSource,
        history: Arc<dyn History>,
    ) -> Result<Arc<dyn Strategy>, LoadError> {
        self.load_under(source, history, &|_| Terms::default())
    }

    /// As [`Runtime::load`], under the terms that the strategy of its name has.
    pub fn load_under(
        self: &Arc<Self>,
        source: &PluginSource,
        history: Arc<dyn History>,
        terms_of: &TermsOf<'_>,
    ) -> Result<Arc<dyn Strategy>, LoadError> {
        let mut report = load::Report::default();
        load::load(self, source, history, terms_of, &mut report).map(|strategy| strategy as Arc<dyn Strategy>)
    }

    /// As [`Runtime::load_under`], for a process that serves requests meanwhile: on threads of low priority. Blocks too.
    pub fn load_in_background(
        self: &Arc<Self>,
        source: &PluginSource,
        history: Arc<dyn History>,
        terms_of: &TermsOf<'_>,
    ) -> Result<Arc<dyn Strategy>, LoadError> {
        background::run(|| self.load_under(source, history, terms_of))
    }

    /// Loads a plugin without putting it in service, and tells what happened at each stage.
    pub fn inspect(self: &Arc<Self>, source: &PluginSource) -> Inspection {
        self.inspect_under(source, &|_| Terms::default())
    }

    /// As [`Runtime::inspect`], under the terms that the strategy of its name has.
    pub fn inspect_under(self: &Arc<Self>, source: &PluginSource, terms_of: &TermsOf<'_>) -> Inspection {
        crate::inspect::inspect(self, source, Arc::new(NoHistory), terms_of)
    }

    /// The last lines that the loaded strategy with this digest wrote, oldest first.
    pub fn recent_log(&self, digest: &str) -> Vec<LogLine> {
        let log = self.logs.lock().iter().rev().find(|(of, _)| of == digest).and_then(|(_, log)| log.upgrade());
        log.map(|log| log.lines()).unwrap_or_default()
    }

    pub(crate) fn remember_log(&self, digest: &str, log: &Arc<Log>) {
        let mut logs = self.logs.lock();
        logs.retain(|(_, log)| log.strong_count() > 0);
        if logs.len() >= LOGS_KEPT {
            logs.remove(0);
        }
        logs.push((digest.to_owned(), Arc::downgrade(log)));
    }
}

fn engine_config(limits: &Limits) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .epoch_interruption(true)
        .max_wasm_stack(limits.stack_bytes)
        .memory_init_cow(true)
        .cranelift_opt_level(OptLevel::Speed)
        // The same calls must give the same answers on every machine.
        .relaxed_simd_deterministic(true)
        // Backtraces name functions; offsets and native unwind tables would only make the code larger and slower to load.
        .generate_address_map(false)
        .native_unwind_info(false);
    config
}
