//! Loading a plugin, stage by stage. Nothing of it is in service before the last stage passed.
//!
//! A plugin whose compiled code is cached passed the first stages when that code was made, so they are not done again.

pub mod component;
mod difference;
mod link;
pub(crate) mod parse;
mod smoke;
mod types;

use std::sync::Arc;
use std::time::{Duration, Instant};

use perfhost_strategy::Grant;
use perfhost_strategy::strategy::{Allowance, Description, Identity, World};
use serde::Serialize;
use sha2::{Digest, Sha256};
use wasmtime::component::Component;

use crate::error::{LoadError, LoadFailure, Stage};
use crate::host::history::History;
use crate::host::log::Log;
use crate::instance::Exports;
use crate::load::component::Shape;
use crate::runtime::{PluginSource, Runtime};
use crate::strategy::{Prepared, Role, WasmStrategy};
use crate::terms::{Terms, TermsOf};
use crate::wasi::Given;

/// How one stage went.
#[derive(Debug, Clone, Serialize)]
pub struct StageReport {
    /// Which one.
    pub stage: Stage,
    /// Whether it passed.
    pub is_passed: bool,
    /// How long it took, in microseconds.
    pub duration_us: u64,
    /// What is worth knowing, or why it failed.
    pub detail: String,
    /// What to do about a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// What is learnt about a plugin while it is loaded.
#[derive(Default)]
pub(crate) struct Report {
    /// Reads imports and exports even when the compiled code is cached.
    pub(crate) is_thorough: bool,
    pub(crate) stages: Vec<StageReport>,
    pub(crate) digest: String,
    pub(crate) is_cached: bool,
    pub(crate) compiled_bytes: Option<u64>,
    pub(crate) shape: Option<Shape>,
    pub(crate) world: Option<World>,
    pub(crate) description: Option<Description>,
    pub(crate) allowance: Option<Allowance>,
    pub(crate) log: Option<Arc<Log>>,
}

/// One plugin on its way through the stages.
struct Loader<'a> {
    runtime: &'a Arc<Runtime>,
    source: &'a PluginSource,
    report: &'a mut Report,
    /// `name@version`, once it has said so.
    strategy: Option<String>,
}

/// Loads a plugin; `report` is filled as far as it gets.
pub(crate) fn load(
    runtime: &Arc<Runtime>,
    source: &PluginSource,
    history: Arc<dyn History>,
    terms_of: &TermsOf<'_>,
    report: &mut Report,
) -> Result<Arc<WasmStrategy>, LoadError> {
    let mut loader = Loader { runtime, source, report, strategy: None };
    let strategy = loader.run(history, terms_of)?;
    runtime.remember_log(&strategy.1, &strategy.2);
    Ok(strategy.0)
}

impl Loader<'_> {
    fn run(
        &mut self,
        history: Arc<dyn History>,
        terms_of: &TermsOf<'_>,
    ) -> Result<(Arc<WasmStrategy>, String, Arc<Log>), LoadError> {
        let (runtime, source) = (self.runtime, self.source);
        self.stage(Stage::Size, |_| {
            let (size, limit) = (source.bytes.len() as u64, runtime.limits.max_file_bytes);
            if size > limit { Err(LoadFailure::TooLarge { size, limit }) } else { Ok((format!("{size} bytes"), ())) }
        })?;
        let (component, digest) = self.compiled()?;
        let log = Log::new(&source.name, &runtime.limits);
        self.report.log = Some(log.clone());

        let (pre, exports) = self.stage(Stage::Types, |loader| {
            if !loader.report.is_cached {
                types::check(&component)?;
            }
            let (pre, exports) = link::link(&runtime.engine, &component)?;
            loader.report.world = Some(world(&exports));
            Ok((format!("world {:?}", world(&exports)).to_lowercase(), (pre, exports)))
        })?;
        let mut prepared = Prepared {
            runtime: runtime.clone(),
            limits: runtime.limits.clone(),
            pre,
            exports,
            log: log.clone(),
            guest_log: log.clone(),
            history: Some(history),
            given: Arc::new(Given::default()),
        };
        let limit = runtime.limits.load_timeout.into();
        let mut trial = self.stage(Stage::Instantiate, |_| {
            let trial = prepared.instantiate(Role::Control, limit).map_err(LoadFailure::Guest)?;
            Ok((format!("{} bytes of memory", trial.memory_bytes()), trial))
        })?;
        let description = self.stage(Stage::Describe, |_| {
            let description = trial.describe(prepared.context(), limit).map_err(LoadFailure::Guest)?;
            Ok((format!("{}@{}", description.name, description.version), description))
        })?;
        self.strategy = Some(format!("{}@{}", description.name, description.version));
        self.report.description = Some(description.clone());
        let allowance = self.stage(Stage::Grants, |loader| {
            let terms = terms_of(&description.name);
            let allowance = hold_to(&terms, &mut prepared);
            loader.report.allowance = Some(allowance.clone());
            if terms != Terms::default() {
                // What was granted and used before the name was known does not count.
                trial = prepared.instantiate(Role::Control, limit).map_err(LoadFailure::Guest)?;
                trial.describe(prepared.context(), limit).map_err(LoadFailure::Guest)?;
            }
            Ok((terms.words(), allowance))
        })?;
        self.stage(Stage::Smoke, |_| {
            let note = smoke::run(&prepared, &mut trial, limit).map_err(LoadFailure::Guest)?;
            Ok((note, ()))
        })?;

        let identity = Identity {
            name: description.name.clone(),
            version: description.version.clone(),
            digest: digest.clone(),
            world: world(&prepared.exports),
            source: source.name.clone(),
        };
        Ok((WasmStrategy::new(prepared, identity, description, allowance), digest, log))
    }

    /// The stages from parsing to machine code, or the cache's answer; and the plugin's digest.
    fn compiled(&mut self) -> Result<(Component, String), LoadError> {
        let (runtime, source) = (self.runtime, self.source);
        let started = Instant::now();
        let entry = runtime.cache.as_ref().map(|cache| (cache, cache.entry_name(&source.bytes)));
        if let Some(cached) = entry.as_ref().and_then(|(cache, name)| cache.load(&runtime.engine, name)) {
            self.report.is_cached = true;
            self.report.digest = hexadecimal(&cached.digest);
            self.report.compiled_bytes = Some(cached.compiled_bytes);
            self.note(Stage::Compile, started.elapsed(), Ok("taken from the cache".to_owned()));
            if self.report.is_thorough {
                self.report.shape = parse::parse(&source.bytes).ok().map(|parsed| parsed.shape);
            }
            return Ok((cached.component, self.report.digest.clone()));
        }
        let digest = Sha256::digest(&source.bytes);
        self.report.digest = hexadecimal(&digest);
        let parsed = self.stage(Stage::Parse, |loader| {
            let parsed = parse::parse(&source.bytes)?;
            loader.report.shape = Some(parsed.shape.clone());
            let form = if parsed.shape.is_core_module { "core module, made a component" } else { "component" };
            Ok((form.to_owned(), parsed))
        })?;
        self.stage(Stage::Version, |_| Ok((component::check_version(&parsed.shape)?, ())))?;
        self.stage(Stage::Imports, |_| Ok((component::check_imports(&parsed.shape)?, ())))?;
        let component = self.stage(Stage::Compile, |loader| {
            let compile = |error: wasmtime::Error| LoadFailure::Compile { detail: format!("{error:#}") };
            let component = Component::from_binary(&runtime.engine, &parsed.component).map_err(compile)?;
            if let Some((cache, name)) = &entry {
                let compiled = component.serialize().map_err(compile)?;
                cache.store(name, &digest.into(), &compiled);
                loader.report.compiled_bytes = Some(compiled.len() as u64);
            }
            Ok(("compiled".to_owned(), component))
        })?;
        Ok((component, self.report.digest.clone()))
    }

    fn stage<T>(
        &mut self,
        stage: Stage,
        run: impl FnOnce(&mut Self) -> Result<(String, T), LoadFailure>,
    ) -> Result<T, LoadError> {
        let started = Instant::now();
        match run(self) {
            Ok((detail, value)) => {
                self.note(stage, started.elapsed(), Ok(detail));
                Ok(value)
            }
            Err(failure) => {
                self.note(stage, started.elapsed(), Err(&failure));
                Err(LoadError {
                    plugin: self.source.name.clone(),
                    strategy: self.strategy.clone(),
                    stage,
                    failure: Box::new(failure),
                })
            }
        }
    }

    fn note(&mut self, stage: Stage, took: Duration, outcome: Result<String, &LoadFailure>) {
        let duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let (is_passed, fix) = (outcome.is_ok(), outcome.as_ref().err().map(|failure| failure.fix()));
        let detail = outcome.unwrap_or_else(ToString::to_string);
        self.report.stages.push(StageReport { stage, is_passed, duration_us, detail, fix });
    }
}

/// Takes away what the terms do not grant, and narrows the limits.
fn hold_to(terms: &Terms, prepared: &mut Prepared) -> Allowance {
    prepared.limits = terms.narrow(&prepared.limits);
    if !terms.grants.allow(Grant::Log) {
        prepared.guest_log = Log::deaf(&prepared.limits);
    }
    if !terms.grants.allow(Grant::History) {
        prepared.history = None;
    }
    if !terms.grants.allow(Grant::Plan) {
        prepared.exports.route = None;
    }
    terms.allowance(&prepared.limits)
}

/// The world whose exports these are.
fn world(exports: &Exports) -> World {
    match (&exports.route, &exports.advise) {
        (Some(_), _) => World::Strategy,
        (None, Some(_)) => World::Advisor,
        (None, None) => World::Tuner,
    }
}

/// SHA-256 in hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[digit as usize])).collect()
}
