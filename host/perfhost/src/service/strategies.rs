//! The strategies of a running host: loading, the atomic swap, going back, and the fallback that takes over when one fails
//! again and again.
//!
//! Owns the order of these steps. What each works with is a file of its own:
//! - [`source`]: where a plugin's bytes come from; [`find`]: which loaded or kept strategy a person means
//! - [`desk`]: what is in memory, and what each strategy is told before it serves
//! - [`generations`]: the moment of the swap, and the history of what was in service
//! - [`learned`]: what strategies learned, from one to the next
//! - [`shelf`]: plugin files by digest, for rollbacks after a restart
//! - [`arms`]: strategies that take part in an experiment
//! - [`watch`]: reloads when a file changes

mod arms;
mod desk;
mod error;
mod find;
mod generations;
mod learned;
mod shelf;
mod source;
mod watch;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use perfhost_gateway::StrategySource;
use perfhost_strategy::generation::{Arrival, DecisionCounts, GenerationRecord};
use perfhost_strategy::knob::OfferedKnob;
use perfhost_strategy::plan::FleetNames;
use perfhost_strategy::strategy::World;
use perfhost_strategy::{Generation, Shared, Strategy};
use perfhost_telemetry::{Store, Telemetry};
use perfhost_wasm::{History, LoadError, PluginSource, Runtime};
use tracing::{info, warn};

use super::journal::{AskedHistory, Journal};
use super::now_ms;
use crate::built_in;
use desk::{Desk, Held};
use find::Known;
use generations::Generations;
use learned::Learned;
use shelf::Shelf;
use source::{BUILT_IN_SOURCE, Found};

pub use arms::EnlistedArm;
pub use desk::{Refusal, Retired};
pub use error::SwapError;
pub use shelf::Label;
pub use source::read;
pub use watch::Watcher;

/// Takes over from [`built_in::DEFAULT`] when that is the one that fails.
const SECOND_FALLBACK: &str = "conservative";

/// Makes the parameters for a strategy from its name.
pub type Parameters = dyn Fn(&str) -> Vec<(String, String)> + Send + Sync;

/// What strategies work with.
pub struct Parts {
    /// The sandbox.
    pub runtime: Arc<Runtime>,
    /// Answers their questions about the past.
    pub history: Arc<dyn History>,
    /// Generations and learned state.
    pub store: Store,
    /// For the figures of each generation's time.
    pub telemetry: Arc<Telemetry>,
    /// Folder of kept plugin files, private to this user.
    pub folder: PathBuf,
    /// Parameters of each strategy.
    pub parameters: Arc<Parameters>,
    /// Threads that plan requests.
    pub workers: usize,
    /// What was learned before this start is not used.
    pub is_fresh: bool,
}

/// Everything about strategies that a running host holds.
pub struct Strategies {
    runtime: Arc<Runtime>,
    history: Arc<dyn History>,
    generations: Generations,
    learned: Learned,
    shelf: Option<Shelf>,
    /// Held while a plugin is loaded: one at a time takes enough of the machine.
    loading: Mutex<()>,
    desk: Mutex<Desk>,
}

impl Strategies {
    /// Loads the first of `plugins` that tunes and puts it in service; the others are loaded and kept at hand.
    pub fn start(parts: Parts, plugins: &[String]) -> Result<Self, SwapError> {
        let Parts { runtime, history, store, telemetry, folder, parameters, workers, is_fresh } = parts;
        let shelf = Shelf::open(folder)
            .inspect_err(|error| warn!(%error, "plugin files are not kept; there is no way back after a restart"))
            .ok();
        let load = |name: &str| -> Result<Held, SwapError> {
            let Found { source, path } = Found::by_name(name)?;
            let strategy = journalled(&history, |asked| runtime.load(&source, asked))?;
            if let Some(shelf) = &shelf {
                shelf.keep(strategy.identity(), path.as_deref(), &source.bytes, &[]);
            }
            Ok(Held { strategy, path })
        };
        let mut loaded = plugins.iter().map(|name| load(name)).collect::<Result<Vec<Held>, SwapError>>()?;
        let first = match loaded.iter().position(|held| held.strategy.identity().world != World::Advisor) {
            Some(at) => loaded.remove(at),
            None => load(built_in::DEFAULT)?,
        };
        let learned = Learned::new(store.clone(), is_fresh);
        let desk = Desk::new(first.clone(), loaded, parameters);
        desk.prepare(first.strategy.as_ref(), || learned.hand_on(first.strategy.as_ref(), None))?;
        let generations = Generations::start(store, telemetry, first.strategy, workers, now_ms())?;
        let (loading, desk) = (Mutex::new(()), Mutex::new(desk));
        Ok(Self { runtime, history, generations, learned, shelf, loading, desk })
    }

    /// The strategy in service, for the request path.
    pub fn in_service(&self) -> Arc<Shared<Generation>> {
        self.generations.in_service().clone()
    }

    /// The record of the generation in service.
    pub fn serving(&self) -> GenerationRecord {
        self.generations.serving()
    }

    /// Strategies that are loaded and not in service.
    pub fn at_hand(&self) -> Vec<Arc<dyn Strategy>> {
        self.desk.lock().at_hand().iter().map(|held| held.strategy.clone()).collect()
    }

    /// The strategy that failed again and again, if one is waiting for another chance.
    pub fn retired(&self) -> Option<Retired> {
        self.desk.lock().retired.clone()
    }

    /// The plugin files that are kept; what was used last comes last.
    pub fn kept(&self) -> Vec<Label> {
        self.shelf.as_ref().map(Shelf::labels).unwrap_or_default()
    }

    /// The last strategy that was not taken, until one from the same place is.
    pub fn last_refused(&self) -> Option<Refusal> {
        self.desk.lock().last_refused.clone()
    }

    /// The files that strategies in memory were read from.
    pub fn files(&self) -> BTreeSet<PathBuf> {
        self.desk.lock().held().filter_map(|held| held.path).collect()
    }

    /// Generations that were in service, newest first: at most `limit`, with a number below `before`.
    pub fn generations(&self, limit: usize, before: Option<u64>) -> Result<Vec<GenerationRecord>, SwapError> {
        self.generations.records(limit, before)
    }

    /// Tells the strategy in service, and all later ones, what they may turn.
    pub fn offer(&self, knobs: Vec<OfferedKnob>) {
        let mut desk = self.desk.lock();
        if desk.knobs == knobs {
            return;
        }
        desk.knobs = knobs;
        let strategy = &desk.serving.strategy;
        let parameters = (desk.parameters)(&strategy.identity().name);
        if let Err(error) = strategy.configure(&parameters, &desk.knobs) {
            warn!(strategy = strategy.identity().name, %error, "the strategy refused its knobs");
        }
        self.tell_arms(&desk.arms, |arm| {
            let name = &arm.strategy.identity().name;
            if let Err(error) = arm.strategy.configure(&(desk.parameters)(name), &desk.knobs) {
                warn!(strategy = name, %error, "an experiment's arm refused its knobs");
            }
        });
    }

    /// Tells the strategy in service, and all later ones, what the fleet is.
    pub fn fleet_changed(&self, names: FleetNames) {
        let mut desk = self.desk.lock();
        desk.fleet = names;
        let strategy = &desk.serving.strategy;
        if strategy.identity().world == World::Strategy
            && let Err(error) = strategy.fleet(&desk.fleet)
        {
            warn!(strategy = strategy.identity().name, %error, "the strategy refused the fleet");
        }
        self.tell_arms(&desk.arms, |arm| {
            if arms::plans(arm)
                && let Err(error) = arm.strategy.fleet(&desk.fleet)
            {
                warn!(strategy = arm.strategy.identity().name, %error, "an experiment's arm refused the fleet");
            }
        });
    }

    /// New parameters, after a reload of the configuration. Refused ones leave the strategy as it was.
    pub fn set_parameters(&self, parameters: Arc<Parameters>) -> Result<(), SwapError> {
        let mut desk = self.desk.lock();
        let strategy = desk.serving.strategy.clone();
        let identity = strategy.identity();
        let configured = strategy.configure(&parameters(&identity.name), &desk.knobs);
        configured.map_err(|error| SwapError::configure(identity, error))?;
        desk.parameters = parameters;
        Ok(())
    }

    /// Loads a strategy, if it is not in memory yet, and puts it in service. Until the moment of the swap nothing changes;
    /// on failure nothing has. One that is in service already stays so.
    pub fn swap(&self, source: &StrategySource, why: Arrival) -> Result<(), SwapError> {
        let name = source_name(source);
        self.noting_refusal(&name, digest_of(source), || {
            let held = self.obtain(source)?;
            let mut desk = self.desk.lock();
            self.put_in_service(held, &mut desk, why, None, None)?;
            desk.retired = None;
            Ok(())
        })
    }

    /// Loads a strategy and keeps it at hand, without putting it in service.
    pub fn keep(&self, source: &StrategySource) -> Result<Arc<dyn Strategy>, SwapError> {
        let name = source_name(source);
        self.noting_refusal(&name, digest_of(source), || {
            let held = self.obtain(source)?;
            let strategy = held.strategy.clone();
            self.desk.lock().keep(held);
            info!(strategy = strategy.identity().name, version = strategy.identity().version, "strategy at hand");
            Ok(strategy)
        })
    }

    /// Puts the strategy before the present one in service again, or that of the generation `to`, also of an earlier run.
    pub fn rollback(&self, to: Option<u64>) -> Result<(), SwapError> {
        let target = self.generations.to_go_back_to(to)?;
        let held = self.of_digest(&target.digest)?.map_or_else(|| self.as_built_in(&target), Ok)?;
        let mut desk = self.desk.lock();
        let detail = Some(format!("generation {}", target.number));
        self.put_in_service(held, &mut desk, Arrival::Rollback, Some(target.place), detail)?;
        desk.retired = None;
        Ok(())
    }

    /// Takes the strategy out of service until `retry_at_ms`; the fallback takes over.
    pub fn retire(&self, cause: &str, retry_at_ms: u64) -> Result<(), SwapError> {
        let failing = self.serving();
        let is_default = failing.source.starts_with(BUILT_IN_SOURCE) && failing.name == built_in::DEFAULT;
        let fallback = if is_default { SECOND_FALLBACK } else { built_in::DEFAULT };
        let held = self.load(Found::by_name(fallback)?)?;
        let mut desk = self.desk.lock();
        if self.serving().number != failing.number {
            // It was swapped out while the fallback was loaded.
            return Ok(());
        }
        let Held { strategy, path } = desk.serving.clone();
        warn!(
            strategy = failing.name,
            version = failing.version,
            cause,
            fallback,
            retry_at_ms,
            "the strategy failed again and again; the fallback takes over"
        );
        let before = desk.retired.replace(Retired {
            strategy,
            cause: cause.to_owned(),
            retry_at_ms,
            path,
            place: failing.place,
        });
        let swapped =
            self.put_in_service(held, &mut desk, Arrival::Fallback, Some(failing.place), Some(cause.to_owned()));
        if swapped.is_err() {
            desk.retired = before;
        }
        swapped
    }

    /// Gives a retired strategy another chance.
    pub fn retry(&self) -> Result<(), SwapError> {
        let mut desk = self.desk.lock();
        if let Some(Retired { strategy, path, place, .. }) = desk.retired.take() {
            info!(strategy = strategy.identity().name, "the strategy gets another chance");
            self.put_in_service(Held { strategy, path }, &mut desk, Arrival::Retry, Some(place), None)?;
        }
        Ok(())
    }

    /// A watched file may have another content. If it has, that is loaded and takes the place of what came from it before.
    pub fn file_changed(&self, path: &Path, bytes: Vec<u8>) {
        let source = PluginSource { name: path.display().to_string(), bytes };
        let (name, digest) = (source.name.clone(), source.digest());
        if !self.desk.lock().is_news(path, &digest) {
            return;
        }
        let taken = self.noting_refusal(&name, Some(digest), || {
            let held = self.load(Found { source, path: Some(path.to_owned()) })?;
            let mut desk = self.desk.lock();
            let is_retired = desk.retired.as_ref().is_some_and(|retired| retired.path.as_deref() == Some(path));
            if !is_retired && !desk.serving.is_from(path) {
                info!(file = %path.display(), "the file changed; its strategy is at hand");
                desk.keep(held);
                return Ok(());
            }
            self.put_in_service(held, &mut desk, Arrival::Watch, None, None)?;
            desk.retired = None;
            Ok(())
        });
        if let Err(error) = taken {
            warn!(file = %path.display(), %error, "the changed plugin is refused; the one before stays in service");
        }
    }

    /// Keeps what the strategy in service has learned, for the next one and the next start.
    pub fn keep_state(&self) {
        self.learned.keep(self.in_service().load().strategy.as_ref());
    }

    /// Counts what the guard made of proposals.
    pub fn count(&self, decided: DecisionCounts) {
        self.generations.count(decided);
    }

    /// Once a second, after telemetry's own tick.
    pub fn tick(&self) {
        self.generations.tick(now_ms());
    }

    /// The host stops: what was learned is kept, and the time of the generation in service ends.
    pub fn end(&self) {
        self.keep_state();
        self.generations.end(now_ms());
    }

    fn put_in_service(
        &self,
        next: Held,
        desk: &mut Desk,
        why: Arrival,
        place: Option<u64>,
        detail: Option<String>,
    ) -> Result<(), SwapError> {
        if next.digest() == desk.serving.digest() {
            // Perhaps it came by another way, and has a file to be watched now.
            desk.serving.path = next.path;
            return Ok(());
        }
        let before = desk.serving.strategy.clone();
        let strategy = next.strategy.clone();
        renew(strategy.as_ref());
        desk.prepare(strategy.as_ref(), || self.learned.hand_on(strategy.as_ref(), Some(&before)))?;
        let record = self.generations.replace(strategy, why, place, detail, now_ms());
        desk.serve(next);
        info!(
            from = before.identity().name,
            from_version = before.identity().version,
            to = record.name,
            to_version = record.version,
            digest = record.digest,
            generation = record.number,
            why = why.name(),
            "strategy in service"
        );
        Ok(())
    }

    /// The strategy that is meant, from memory, from the shelf, or loaded anew.
    fn obtain(&self, source: &StrategySource) -> Result<Held, SwapError> {
        let name = match source {
            StrategySource::Uploaded { name, bytes } => return self.load(Found::uploaded(name, bytes)),
            StrategySource::Named(name) => name,
        };
        let is_elsewhere = Path::new(name).is_file() || built_in::find(name).is_some();
        if !is_elsewhere
            && let Some(digest) = find::find(&self.known(), name)?
            && let Some(held) = self.of_digest(&digest)?
        {
            return Ok(held);
        }
        let held = self.load(Found::by_name(name)?)?;
        self.desk.lock().note_read(&held);
        Ok(held)
    }

    /// All that can be put in service without reading anything from outside the data folder.
    fn known(&self) -> Vec<Known> {
        let held = self.desk.lock().held().map(|held| held.strategy).collect::<Vec<_>>();
        let in_memory = held.iter().map(|strategy| strategy.identity()).map(|identity| Known {
            name: identity.name.clone(),
            version: identity.version.clone(),
            digest: identity.digest.clone(),
        });
        let kept = self.kept().into_iter().map(|Label { name, version, digest, .. }| Known { name, version, digest });
        in_memory.chain(kept).collect()
    }

    /// The strategy of this digest, from memory or from the shelf; `None` when it is in neither.
    fn of_digest(&self, digest: &str) -> Result<Option<Held>, SwapError> {
        if let Some(held) = self.desk.lock().find(digest) {
            return Ok(Some(held));
        }
        match self.shelf.as_ref().and_then(|shelf| shelf.read(digest)) {
            Some((source, label)) => self.load(Found { source, path: label.path }).map(Some),
            None => Ok(None),
        }
    }

    /// A built-in strategy need not be kept, if this binary still carries the same.
    fn as_built_in(&self, wanted: &GenerationRecord) -> Result<Held, SwapError> {
        let found = built_in::find(&wanted.name).map(|_| Found::by_name(&wanted.name)).transpose()?;
        match found.filter(|found| found.source.digest() == wanted.digest) {
            Some(found) => self.load(found),
            None => Err(SwapError::NotKept {
                strategy: format!("{}@{}", wanted.name, wanted.version),
                digest: wanted.digest.clone(),
                source_name: wanted.source.clone(),
            }),
        }
    }

    /// Loads a plugin, unless the same bytes are in memory.
    fn load(&self, Found { source, path }: Found) -> Result<Held, SwapError> {
        let digest = source.digest();
        let _one_at_a_time = self.loading.lock();
        if let Some(held) = self.desk.lock().find(&digest) {
            return Ok(Held { path: path.or(held.path), ..held });
        }
        let strategy = journalled(&self.history, |asked| self.runtime.load_in_background(&source, asked))?;
        if let Some(shelf) = &self.shelf {
            let needed: Vec<String> = self.desk.lock().held().map(|held| held.digest().to_owned()).collect();
            shelf.keep(strategy.identity(), path.as_deref(), &source.bytes, &needed);
        }
        Ok(Held { strategy, path })
    }

    /// Runs what may refuse a strategy and keeps the refusal for people to see.
    fn noting_refusal<T>(
        &self,
        source: &str,
        digest: Option<String>,
        run: impl FnOnce() -> Result<T, SwapError>,
    ) -> Result<T, SwapError> {
        let result = run();
        let mut desk = self.desk.lock();
        match &result {
            Ok(_) => desk.last_refused = desk.last_refused.take().filter(|refused| refused.source != source),
            Err(error) if !error.is_about_a_plugin() => {}
            Err(error) => {
                desk.last_refused = Some(Refusal {
                    source: source.to_owned(),
                    digest,
                    at_ms: now_ms(),
                    code: error.code().to_owned(),
                    reason: error.to_string(),
                });
            }
        }
        result
    }
}

fn source_name(source: &StrategySource) -> String {
    match source {
        // As the watch names it, so that what it takes later clears a refusal from here.
        StrategySource::Named(name) if Path::new(name).is_file() => {
            std::path::absolute(name).map_or_else(|_| name.clone(), |path| path.display().to_string())
        }
        StrategySource::Named(name) => name.clone(),
        StrategySource::Uploaded { name, .. } => format!("upload {name}"),
    }
}

/// A strategy as `load` makes it with the history it is given, with a journal for the decision log.
fn journalled(
    history: &Arc<dyn History>,
    load: impl FnOnce(Arc<dyn History>) -> Result<Arc<dyn Strategy>, LoadError>,
) -> Result<Arc<dyn Strategy>, LoadError> {
    let asked = AskedHistory::new(history.clone());
    Ok(Arc::new(Journal::new(load(asked.clone())?, asked)))
}

/// A strategy that comes back starts from what it saved, as at any other start: its journal begins again there.
fn renew(strategy: &dyn Strategy) {
    if let Err(error) = strategy.renew() {
        warn!(strategy = strategy.identity().name, %error, "its instance could not be made anew; it goes on with the old one");
    }
}

fn digest_of(source: &StrategySource) -> Option<String> {
    match source {
        StrategySource::Named(_) => None,
        StrategySource::Uploaded { name, bytes } => Some(Found::uploaded(name, bytes).source.digest()),
    }
}
