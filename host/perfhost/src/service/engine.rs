//! The managed engine of a host: which program and model to run, and how it takes the settings' reload knobs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use perfhost_strategy::observation::metric;
use perfhost_strategy::settings::EngineSettings;
use perfhost_strategy::{Scope, Settings};
use perfhost_telemetry::Telemetry;
use perfhost_upstream::engine::{self, Engine, EngineChange, EngineConfig, EnginePhase, EngineState};
use perfhost_upstream::{Fleet, model};
use thiserror::Error;
use tracing::info;

use super::now_ms;
use crate::command::library::models_in;
use crate::config::checked::DEFAULT_MODEL;
use crate::config::{Config, Sources};
use crate::data_dir::DataDir;

/// Why the engine that was asked for cannot be run.
#[derive(Debug, Error)]
pub enum EngineChoiceError {
    /// There is no program to run.
    #[error(
        "no llama-server is on the PATH and no engine is set up in {library}; run `perfhost setup`, or name one with --engine PATH"
    )]
    NoProgram {
        /// The library folder.
        library: PathBuf,
    },
    /// The model is not on this machine.
    #[error("the model {model:?} is neither a GGUF file nor in {library}; run `perfhost {remedy}`")]
    NoModel {
        /// What was asked for.
        model: String,
        /// The library folder.
        library: PathBuf,
        /// The command that fetches it.
        remedy: String,
    },
    /// It cannot be started at all.
    #[error(transparent)]
    Start(#[from] perfhost_upstream::engine::EngineError),
}

/// What became of settings that were given to the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineResult {
    /// It runs with them.
    Applied {
        /// Since when, Unix time in milliseconds.
        at_ms: u64,
    },
    /// It does not; the settings before serve on.
    Failed {
        /// Why.
        why: String,
    },
}

/// An engine that is to be run.
pub struct Chosen {
    config: EngineConfig,
}

/// One engine, and the settings it was given last.
pub struct ManagedEngine {
    provider: String,
    serves: String,
    engine: Engine,
    given: Mutex<EngineSettings>,
    /// What became of which settings.
    results: Arc<Mutex<Vec<(EngineSettings, EngineResult)>>>,
}

/// Chooses an engine when the configuration asks for one, or when nothing else can be reached and one is set up.
pub fn choose(
    config: &Config,
    data: &DataDir,
    fleet: &Fleet,
    sources: &Sources,
) -> Result<Option<Chosen>, EngineChoiceError> {
    let choice = &config.engine;
    let is_asked_for = choice.enabled == Some(true) || choice.model.is_some();
    let is_last_resort = choice.enabled.is_none() && fleet.providers().is_empty();
    if choice.enabled == Some(false) || !(is_asked_for || is_last_resort) {
        return Ok(None);
    }
    let path_variable = sources.variable("PATH").map(std::ffi::OsString::from);
    let name = choice.model.as_deref().unwrap_or(DEFAULT_MODEL);
    let program = engine::find(choice.program.as_deref(), path_variable.as_deref(), &config.library_dir);
    let path = model::path_of(name, &models_in(&config.library_dir));
    let (program, path) = match (program, path) {
        (Some(program), Some(path)) => (program, path),
        _ if !is_asked_for => return Ok(None),
        (None, _) => return Err(EngineChoiceError::NoProgram { library: config.library_dir.clone() }),
        (_, None) => {
            let is_known = model::catalogue().iter().any(|entry| entry.name == name);
            let remedy = match name {
                DEFAULT_MODEL => "setup".to_owned(),
                _ if is_known => format!("model pull {name}"),
                _ => "model list` to see the models that can be had, or `perfhost model pull URL".to_owned(),
            };
            let library = config.library_dir.clone();
            return Err(EngineChoiceError::NoModel { model: name.to_owned(), library, remedy });
        }
    };
    let model_name = if Path::new(name).is_file() {
        path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_else(|| name.to_owned())
    } else {
        name.to_owned()
    };
    let mut engine_config = EngineConfig::new(&choice.name, program, &path, &model_name, data.path());
    engine_config.is_embedding = choice.embeddings;
    Ok(Some(Chosen { config: engine_config }))
}

impl Chosen {
    /// Its provider's name.
    pub fn provider(&self) -> &str {
        &self.config.provider
    }

    /// Program and model, in words.
    pub fn serves(&self) -> String {
        let bytes = self.config.model_path.metadata().map_or(0, |metadata| metadata.len());
        format!("{} with {}, {bytes} bytes", self.config.program, self.config.model_name)
    }

    /// Starts it with `settings`. Should it not live with them, it goes back to those of `fallback`.
    pub fn start(
        mut self,
        settings: &Settings,
        fallback: &Settings,
        fleet: &Arc<Fleet>,
    ) -> Result<ManagedEngine, EngineChoiceError> {
        info!(program = %self.config.program, model = self.config.model_name, "starting the engine");
        self.config.fallback = Some(fallback.engine(self.provider()));
        let settings = settings.engine(self.provider());
        ManagedEngine::start(self.serves(), self.config, settings, fleet.clone())
    }
}

impl ManagedEngine {
    fn start(
        serves: String,
        config: EngineConfig,
        settings: EngineSettings,
        fleet: Arc<Fleet>,
    ) -> Result<Self, EngineChoiceError> {
        let provider = config.provider.clone();
        let engine = Engine::start(config, settings.clone(), fleet)?;
        let results: Arc<Mutex<Vec<(EngineSettings, EngineResult)>>> = Arc::default();
        let sink = results.clone();
        engine.on_change(move |change| {
            let result = match change {
                EngineChange::Applied { settings } => (settings.clone(), EngineResult::Applied { at_ms: now_ms() }),
                EngineChange::Failed { settings, why } => (settings.clone(), EngineResult::Failed { why: why.clone() }),
                // The settings that superseded them will be answered for both.
                EngineChange::Superseded { .. } => return,
            };
            sink.lock().push(result);
        });
        Ok(Self { provider, serves, engine, given: Mutex::new(settings), results })
    }

    /// Program and model, in words.
    pub fn serves(&self) -> &str {
        &self.serves
    }

    /// Its provider's name.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// Gives it settings; nothing happens when they are what it was given before.
    pub fn apply(&self, settings: EngineSettings) {
        let mut given = self.given.lock();
        if *given != settings {
            given.clone_from(&settings);
            self.engine.apply(settings);
        }
    }

    /// What became of the settings that it was given last, since the last call. What became of those before says nothing
    /// about them.
    pub fn take_results(&self) -> Vec<EngineResult> {
        let results = std::mem::take(&mut *self.results.lock());
        let given = self.given.lock();
        results.into_iter().filter(|(settings, _)| *settings == *given).map(|(_, result)| result).collect()
    }

    /// Whether it serves with the settings that it was given last.
    pub fn runs_as_given(&self) -> bool {
        let state = self.engine.state();
        state.phase == EnginePhase::Ready && state.starting_pid.is_none() && state.settings == *self.given.lock()
    }

    /// How it is now.
    pub fn state(&self) -> EngineState {
        self.engine.state()
    }

    /// Its processes, for the resource sampler.
    pub fn processes(&self) -> Vec<(String, u32)> {
        self.engine.pids().into_iter().map(|pid| (self.provider.clone(), pid)).collect()
    }

    /// Passes its own figures on to telemetry.
    pub fn report(&self, telemetry: &Telemetry, fleet: &Fleet) {
        let Some(figures) = self.engine.state().metrics else { return };
        let scope = Scope::provider(&self.provider);
        telemetry.gauge(metric::ENGINE_SLOTS_BUSY, &scope, f64::from(figures.slots_busy));
        let provider = fleet.provider(&self.provider);
        let waiting = provider.as_ref().map_or(figures.requests_deferred, |provider| provider.queued());
        telemetry.gauge(metric::ENGINE_REQUESTS_DEFERRED, &scope, f64::from(waiting));
        // The timings in its answers are fresher than its own average; that serves until there is one.
        let timed = provider.map_or(0.0, |provider| provider.recent().tokens_per_second);
        let speed = if timed > 0.0 { f64::from(timed) } else { figures.predicted_tps };
        if speed > 0.0 {
            telemetry.gauge(metric::ENGINE_TOKENS_PER_SECOND, &scope, speed);
        }
    }

    /// Ends its processes.
    pub async fn stop(&self) {
        self.engine.stop().await;
    }
}
