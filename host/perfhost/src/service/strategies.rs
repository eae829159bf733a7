//! The strategies of a running host: loading, the atomic swap, handing state on, rollback, and the fallback that takes
//! over when one fails again and again.

use std::sync::Arc;

use parking_lot::Mutex;
use perfhost_gateway::StrategySource;
use perfhost_strategy::knob::OfferedKnob;
use perfhost_strategy::plan::FleetNames;
use perfhost_strategy::strategy::{Identity, World};
use perfhost_strategy::{Generation, Grant, Shared, Strategy};
use perfhost_telemetry::Store;
use perfhost_wasm::{LoadError, PluginSource};
use thiserror::Error;
use tracing::{info, warn};

use super::loading::Loader;
use crate::built_in;
use crate::config::load::ConfigError;
use crate::plugin_source::digest::DigestError;
use crate::plugin_source::error::SourceError;
use crate::plugin_source::{BUILT_IN_SOURCE, Intake};

/// Swaps that can be taken back.
const MOST_PREVIOUS: usize = 8;

/// Why a strategy was not put in service.
#[derive(Debug, Error)]
pub enum SwapError {
    /// There is no plugin of that name, it is not what was asked for, or it is not trusted.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The digest that was asked for does not read.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// The configuration that says what is trusted cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It does not load.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It loads, and refuses its parameters.
    #[error("{name} {version}: {error}")]
    Configure {
        /// The strategy.
        name: String,
        /// Its version.
        version: String,
        /// Why.
        error: perfhost_strategy::StrategyError,
    },
    /// It only gives advice.
    #[error("{0} is an advisor: it tunes nothing, so it cannot be put in service; see `perfhost model advise`")]
    OnlyAdvises(String),
    /// There is nothing to go back to.
    #[error("no strategy was in service before the present one")]
    NothingBefore,
}

/// Makes the parameters for a strategy from its name.
pub type Parameters = dyn Fn(&str) -> Vec<(String, String)> + Send + Sync;

/// Everything about strategies that a running host holds.
pub struct Strategies {
    loader: Loader,
    store: Store,
    in_service: Arc<Shared<Generation>>,
    desk: Mutex<Desk>,
}

struct Desk {
    knobs: Vec<OfferedKnob>,
    fleet: FleetNames,
    parameters: Arc<Parameters>,
    previous: Vec<Arc<dyn Strategy>>,
    at_hand: Vec<Arc<dyn Strategy>>,
    retired: Option<Retired>,
}

/// A strategy that failed again and again, while the fallback serves.
#[derive(Clone)]
pub struct Retired {
    /// Which.
    pub strategy: Arc<dyn Strategy>,
    /// The failure that was one too many.
    pub cause: String,
    /// When it is tried again, Unix time in milliseconds.
    pub retry_at_ms: u64,
}

/// Reads the plugin of a name for a command, under the configuration that a host started now would have.
///
/// # Errors
/// As [`Intake::read`], and that of a configuration that cannot be used.
pub fn read(name: &str) -> Result<PluginSource, SwapError> {
    Ok(Intake::of_command(None)?.read(name, None)?.source)
}

impl Strategies {
    /// Loads the first of `plugins` that tunes and puts it in service; the others are loaded and kept at hand.
    pub fn start(
        loader: Loader,
        store: Store,
        plugins: &[String],
        parameters: Arc<Parameters>,
    ) -> Result<Self, SwapError> {
        let mut loaded: Vec<Arc<dyn Strategy>> = Vec::new();
        for name in plugins {
            loaded.push(loader.load_named(name)?);
        }
        let first = match loaded.iter().position(|strategy| strategy.identity().world != World::Advisor) {
            Some(at) => loaded.remove(at),
            None => loader.load_named(built_in::DEFAULT)?,
        };
        let desk = Desk {
            knobs: Vec::new(),
            fleet: FleetNames::default(),
            parameters,
            previous: Vec::new(),
            at_hand: loaded,
            retired: None,
        };
        let in_service = Arc::new(Shared::new(Arc::new(Generation::new(1, first.clone()))));
        let strategies = Self { loader, store, in_service, desk: Mutex::new(desk) };
        strategies.prepare(&first, &strategies.desk.lock(), None)?;
        Ok(strategies)
    }

    /// The strategy in service, for the request path.
    pub fn in_service(&self) -> Arc<Shared<Generation>> {
        self.in_service.clone()
    }

    /// Strategies that are loaded and not in service.
    pub fn at_hand(&self) -> Vec<Arc<dyn Strategy>> {
        self.desk.lock().at_hand.clone()
    }

    /// What loads them.
    pub fn loader(&self) -> &Loader {
        &self.loader
    }

    /// Another configuration of what is trusted, and of the terms that strategies loaded from now on have. The answer is
    /// whether those of the strategy in service are others than before.
    pub fn set_intake(&self, intake: Arc<Intake>) -> bool {
        let in_service = self.in_service.load();
        let name = &in_service.strategy.identity().name;
        let has_changed = self.loader.intake().terms(name) != intake.terms(name);
        self.loader.set_intake(intake);
        has_changed
    }

    /// The strategy that failed again and again, if one is waiting for another chance.
    pub fn retired(&self) -> Option<Retired> {
        self.desk.lock().retired.clone()
    }

    /// Tells the strategy in service, and all later ones, what they may turn.
    pub fn offer(&self, knobs: Vec<OfferedKnob>) {
        let mut desk = self.desk.lock();
        if desk.knobs == knobs {
            return;
        }
        desk.knobs = knobs;
        let strategy = self.in_service.load().strategy.clone();
        let parameters = (desk.parameters)(&strategy.identity().name);
        if let Err(error) = strategy.configure(&parameters, &granted(&*strategy, &desk.knobs)) {
            warn!(strategy = strategy.identity().name, %error, "the strategy refused its knobs");
        }
    }

    /// Tells the strategy in service, and all later ones, what the fleet is.
    pub fn fleet_changed(&self, names: FleetNames) {
        let mut desk = self.desk.lock();
        desk.fleet = names;
        let generation = self.in_service.load();
        if generation.strategy.identity().world == World::Strategy
            && let Err(error) = generation.strategy.fleet(&desk.fleet)
        {
            warn!(strategy = generation.strategy.identity().name, %error, "the strategy refused the fleet");
        }
    }

    /// New parameters, after a reload of the configuration. Refused ones leave the strategy as it was.
    pub fn set_parameters(&self, parameters: Arc<Parameters>) -> Result<(), SwapError> {
        let mut desk = self.desk.lock();
        let strategy = self.in_service.load().strategy.clone();
        let identity = strategy.identity();
        let knobs = granted(&*strategy, &desk.knobs);
        strategy.configure(&parameters(&identity.name), &knobs).map_err(|error| refused(identity, error))?;
        desk.parameters = parameters;
        Ok(())
    }

    /// Loads a strategy and puts it in service. Until the moment of the swap nothing changes; on failure nothing has.
    pub fn swap(&self, source: &StrategySource) -> Result<Arc<dyn Strategy>, SwapError> {
        let strategy = self.loader.load_source(source)?;
        let mut desk = self.desk.lock();
        desk.retired = None;
        self.put_in_service(strategy.clone(), &mut desk, true)?;
        Ok(strategy)
    }

    /// Puts the strategy before in service again.
    pub fn rollback(&self) -> Result<Arc<dyn Strategy>, SwapError> {
        let mut desk = self.desk.lock();
        let before = desk.previous.last().cloned().ok_or(SwapError::NothingBefore)?;
        desk.retired = None;
        self.put_in_service(before.clone(), &mut desk, false)?;
        desk.previous.pop();
        Ok(before)
    }

    /// Takes the strategy out of service until `retry_at_ms`; the fallback takes over.
    pub fn retire(&self, cause: &str, retry_at_ms: u64) -> Result<(), SwapError> {
        let mut desk = self.desk.lock();
        let failing = self.in_service.load().strategy.clone();
        let fallback =
            if failing.identity().source.starts_with(BUILT_IN_SOURCE) && failing.identity().name == built_in::DEFAULT {
                "conservative"
            } else {
                built_in::DEFAULT
            };
        let strategy = self.loader.load_named(fallback)?;
        self.put_in_service(strategy, &mut desk, false)?;
        warn!(
            strategy = failing.identity().name,
            version = failing.identity().version,
            cause,
            fallback,
            retry_at_ms,
            "the strategy failed again and again; the fallback takes over"
        );
        desk.retired = Some(Retired { strategy: failing, cause: cause.to_owned(), retry_at_ms });
        Ok(())
    }

    /// Gives a retired strategy another chance.
    pub fn retry(&self) -> Result<(), SwapError> {
        let mut desk = self.desk.lock();
        if let Some(retired) = desk.retired.take() {
            info!(strategy = retired.strategy.identity().name, "the strategy gets another chance");
            self.put_in_service(retired.strategy, &mut desk, false)?;
        }
        Ok(())
    }

    /// Keeps what the strategy in service has learned, for the next start.
    pub fn keep_state(&self) {
        let generation = self.in_service.load();
        if !generation.strategy.allowance().grants.allow(Grant::State) {
            return;
        }
        match generation.strategy.save() {
            Ok(state) if state.is_empty() => {}
            Ok(state) => self.store.put_state(&state_key(&generation.strategy.identity().name), &state),
            Err(error) => warn!(strategy = generation.strategy.identity().name, %error, "its state was not saved"),
        }
    }

    fn put_in_service(&self, next: Arc<dyn Strategy>, desk: &mut Desk, keeps_before: bool) -> Result<(), SwapError> {
        if next.identity().world == World::Advisor {
            return Err(SwapError::OnlyAdvises(next.identity().name.clone()));
        }
        let before = self.in_service.load();
        self.prepare(&next, desk, Some(&before.strategy))?;
        self.in_service.store(Arc::new(Generation::new(before.number + 1, next.clone())));
        let (from, to) = (before.strategy.identity(), next.identity());
        info!(
            from = from.name,
            from_version = from.version,
            to = to.name,
            to_version = to.version,
            generation = before.number + 1,
            "strategy in service"
        );
        if keeps_before {
            desk.previous.push(before.strategy.clone());
            if desk.previous.len() > MOST_PREVIOUS {
                desk.previous.remove(0);
            }
        }
        Ok(())
    }

    /// Everything a strategy must be told before it serves. State comes from the one before it if that has the same name,
    /// else from the store.
    fn prepare(
        &self,
        next: &Arc<dyn Strategy>,
        desk: &Desk,
        before: Option<&Arc<dyn Strategy>>,
    ) -> Result<(), SwapError> {
        let identity = next.identity();
        let knobs = granted(&**next, &desk.knobs);
        next.configure(&(desk.parameters)(&identity.name), &knobs).map_err(|error| refused(identity, error))?;
        let handed_on =
            before.filter(|before| before.identity().name == identity.name).and_then(|before| before.save().ok());
        let state = handed_on.or_else(|| self.store.state(&state_key(&identity.name)).ok().flatten());
        let may_keep = next.allowance().grants.allow(Grant::State);
        if let Some(state) = state.filter(|state| may_keep && !state.is_empty())
            && let Err(error) = next.restore(&state)
        {
            warn!(strategy = identity.name, %error, "it starts afresh: the saved state was not accepted");
        }
        if identity.world == World::Strategy {
            next.fleet(&desk.fleet).map_err(|error| refused(identity, error))?;
        }
        Ok(())
    }
}

/// The knobs on offer that this strategy may turn.
fn granted(strategy: &dyn Strategy, offered: &[OfferedKnob]) -> Vec<OfferedKnob> {
    strategy.allowance().grants.of_offered(offered)
}

fn refused(identity: &Identity, error: perfhost_strategy::StrategyError) -> SwapError {
    SwapError::Configure { name: identity.name.clone(), version: identity.version.clone(), error }
}

fn state_key(name: &str) -> String {
    format!("strategy/{name}")
}
