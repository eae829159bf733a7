//! The strategies of a running host: loading, the atomic swap, going back, and the fallback that takes over when one fails
//! again and again.
//!
//! Owns the order of these steps. What each works with is a file of its own:
//! - [`loader`]: from what is asked for to a loaded strategy; [`find`]: which loaded or kept one a person means
//! - [`desk`]: what is in memory, and what each strategy is told before it serves
//! - [`generations`]: the moment of the swap, and the history of what was in service
//! - [`learned`]: what strategies learned, from one to the next
//! - [`promoted`]: with which one a start begins
//! - [`shelf`]: plugin files by digest, for rollbacks after a restart
//! - [`arms`]: strategies that take part in an experiment
//! - [`watch`]: reloads when a file changes

mod arms;
mod desk;
mod error;
mod find;
mod generations;
mod learned;
mod loader;
mod promoted;
mod shelf;
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
use perfhost_wasm::{History, Runtime};
use tracing::{info, warn};

use super::now_ms;
use super::promotion::Promotion;
use crate::built_in;
use crate::plugin_source::address::Address;
use crate::plugin_source::digest::Digest;
use crate::plugin_source::error::SourceError;
use crate::plugin_source::provenance::Provenance;
use crate::plugin_source::{BUILT_IN_SOURCE, Intake, Plugin};
use desk::{Desk, Held};
use find::Known;
use generations::Generations;
use learned::Learned;
use loader::{Loader, digest_of, read_digest, source_name};
use promoted::Beginning;
use shelf::Shelf;

pub use arms::EnlistedArm;
pub use desk::{Refusal, Retired};
pub use error::SwapError;
pub use shelf::Label;
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
    /// Lets plugins in.
    pub intake: Arc<Intake>,
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
    loader: Loader,
    generations: Generations,
    learned: Learned,
    shelf: Option<Shelf>,
    /// Digest of what the configuration puts in service.
    configured: Mutex<String>,
    /// What an experiment had promoted, if this start began with it.
    promotion: Option<Promotion>,
    store: Store,
    /// Held while a plugin is loaded: one at a time takes enough of the machine.
    loading: Mutex<()>,
    desk: Mutex<Desk>,
}

impl Strategies {
    /// Loads the first of `plugins` that tunes and puts it in service; the others are loaded and kept at hand. Blocks for
    /// as long as fetching and compiling take.
    pub fn start(parts: Parts, plugins: &[String]) -> Result<Self, SwapError> {
        let Parts { runtime, history, intake, store, telemetry, folder, parameters, workers, is_fresh } = parts;
        let loader = Loader::new(runtime, history, intake);
        let shelf = Shelf::open(folder)
            .inspect_err(|error| warn!(%error, "plugin files are not kept; there is no way back after a restart"))
            .ok();
        let load = |name: &str| -> Result<Held, SwapError> {
            let plugin = loader.intake().read(name, None)?;
            let held = loader.load_at_start(&plugin)?;
            if let Some(shelf) = &shelf {
                shelf.keep(held.strategy.identity(), &plugin, &[]);
            }
            Ok(held)
        };
        let mut loaded = plugins.iter().map(|name| load(name)).collect::<Result<Vec<Held>, SwapError>>()?;
        let first = match loaded.iter().position(|held| held.strategy.identity().world != World::Advisor) {
            Some(at) => loaded.remove(at),
            None => load(built_in::DEFAULT)?,
        };
        let learned = Learned::new(store.clone(), is_fresh);
        let configured = Mutex::new(first.digest().to_owned());
        let mut desk = Desk::new(first.clone(), loaded, parameters);
        let promotion = Promotion::read(&store).filter(|_| !is_fresh);
        let load_winner = |winner: &Promotion| promoted::load(winner, &loader, shelf.as_ref());
        let prepare = |desk: &Desk, held: &Held| {
            desk.prepare(held.strategy.as_ref(), || learned.hand_on(held.strategy.as_ref(), None))
        };
        let Beginning { held, promotion, by } =
            promoted::begin(first, promotion, plugins, &mut desk, load_winner, prepare)?;
        let generations = Generations::start(store.clone(), telemetry, held.strategy, by, workers, now_ms())?;
        let (loading, desk) = (Mutex::new(()), Mutex::new(desk));
        Ok(Self { loader, generations, learned, shelf, configured, promotion, store, loading, desk })
    }

    /// What an experiment of an earlier run had promoted, if this start began with it.
    pub fn promotion(&self) -> Option<&Promotion> {
        self.promotion.as_ref()
    }

    /// SHA-256 of what the configuration puts in service.
    pub fn configured(&self) -> String {
        self.configured.lock().clone()
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

    /// Where the strategy in memory with this digest came from.
    pub fn provenance(&self, digest: &str) -> Option<Provenance> {
        self.desk.lock().find(digest).map(|held| held.provenance)
    }

    /// What lets plugins in at present.
    pub fn intake(&self) -> Arc<Intake> {
        self.loader.intake()
    }

    /// Another configuration of what is trusted, and of the terms that strategies loaded from now on have. The answer is
    /// whether those of the strategy in service are others than before.
    pub fn set_intake(&self, intake: Arc<Intake>) -> bool {
        let has_changed = |name: &str| self.intake().terms(name) != intake.terms(name);
        let has_changed = has_changed(&self.serving().name);
        self.loader.set_intake(intake);
        has_changed
    }

    /// Whether the strategy in service came from there.
    pub fn serves_from(&self, address: &Address) -> bool {
        let serving = self.desk.lock().serving.clone();
        match (address, &serving.path) {
            (Address::Path(path), Some(read)) => std::path::absolute(path).is_ok_and(|path| path == *read),
            _ => serving.strategy.identity().source == address.source_name(),
        }
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
        if let Err(error) = strategy.configure(&parameters, &desk.offered_to(strategy.as_ref())) {
            warn!(strategy = strategy.identity().name, %error, "the strategy refused its knobs");
        }
        self.tell_arms(&desk.arms, |arm| {
            let name = &arm.strategy.identity().name;
            if let Err(error) =
                arm.strategy.configure(&(desk.parameters)(name), &desk.offered_to(arm.strategy.as_ref()))
            {
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
        let configured = strategy.configure(&parameters(&identity.name), &desk.offered_to(strategy.as_ref()));
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
            let digest = held.digest().to_owned();
            let mut desk = self.desk.lock();
            self.put_in_service(held, &mut desk, why, None, None)?;
            desk.retired = None;
            if why == Arrival::Configuration {
                *self.configured.lock() = digest;
            }
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
        let held = self.load(&self.intake().read(fallback, None)?)?;
        let mut desk = self.desk.lock();
        if self.serving().number != failing.number {
            // It was swapped out while the fallback was loaded.
            return Ok(());
        }
        let held_before = desk.serving.clone();
        warn!(
            strategy = failing.name,
            version = failing.version,
            cause,
            fallback,
            retry_at_ms,
            "the strategy failed again and again; the fallback takes over"
        );
        let before = desk.retired.replace(Retired {
            held: held_before,
            cause: cause.to_owned(),
            retry_at_ms,
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
        let serving = self.serving().number;
        let Some(Retired { held, place, .. }) = self.desk.lock().retired.take() else { return Ok(()) };
        // Its terms, and what is trusted, may be others than when it was loaded.
        let held = if self.loader.is_up_to_date(&held) { held } else { self.of_digest(held.digest())?.unwrap_or(held) };
        let mut desk = self.desk.lock();
        if self.serving().number != serving {
            // Another was put in service meanwhile.
            return Ok(());
        }
        info!(strategy = held.strategy.identity().name, "the strategy gets another chance");
        self.put_in_service(held, &mut desk, Arrival::Retry, Some(place), None)
    }

    /// A watched file, or its signature, may have another content. If it has, the plugin is let in or not as any other is,
    /// and takes the place of what came from it before.
    pub fn file_changed(&self, path: &Path, bytes: Vec<u8>) {
        let digest = Digest::of(&bytes).hex();
        if self.desk.lock().was_read(path, &digest) {
            return;
        }
        let taken = self.noting_refusal(&path.display().to_string(), Some(digest.clone()), || {
            // One that is not trusted is not noted as read: its signature may be on its way.
            let plugin = self.intake().accept_file(path, bytes)?;
            if !self.desk.lock().is_news(path, &digest) {
                return Ok(());
            }
            let held = self.load(&plugin)?;
            let mut desk = self.desk.lock();
            let is_retired = desk.retired.as_ref().is_some_and(|retired| retired.held.is_from(path));
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
        if Arc::ptr_eq(&next.strategy, &desk.serving.strategy) {
            // Perhaps it came by another way, and has a file to be watched now.
            desk.serving = next;
            return Ok(());
        }
        let before = desk.serving.strategy.clone();
        let strategy = next.strategy.clone();
        renew(strategy.as_ref());
        desk.prepare(strategy.as_ref(), || self.learned.hand_on(strategy.as_ref(), Some(&before)))?;
        let record = self.generations.replace(strategy, why, place, detail, now_ms());
        // A fallback stands in for what was promoted; everything else that comes this way somebody has chosen instead.
        if !matches!(why, Arrival::Fallback | Arrival::Retry) {
            Promotion::forget(&self.store);
        }
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

    /// The strategy that is meant: one that the host has, or read, fetched and loaded anew.
    fn obtain(&self, source: &StrategySource) -> Result<Held, SwapError> {
        if let StrategySource::Named { name, digest: expected } = source
            && let Err(SourceError::Unknown { .. }) = Address::parse(name)
        {
            let digest = find::find(&self.known(), name)?.ok_or_else(|| SwapError::Unknown(name.clone()))?;
            let held = self.of_digest(&digest)?.ok_or_else(|| SwapError::Unknown(name.clone()))?;
            held.provenance.check(name, read_digest(expected)?)?;
            return Ok(held);
        }
        let held = self.load(&self.loader.read(source)?)?;
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

    /// The strategy of this digest, from memory or from the shelf, if it would be let in today; `None` when it is in neither.
    fn of_digest(&self, digest: &str) -> Result<Option<Held>, SwapError> {
        let intake = self.intake();
        let held = self.desk.lock().find(digest);
        if let Some(held) = held.filter(|held| self.loader.is_up_to_date(held)) {
            intake.check_kept(&held.strategy.identity().source, &held.provenance)?;
            return Ok(Some(held));
        }
        let Some(plugin) = self.shelf.as_ref().and_then(|shelf| shelf.read(digest)) else { return Ok(None) };
        intake.check_kept(&plugin.source.name, &plugin.provenance)?;
        self.load(&plugin).map(Some)
    }

    /// A built-in strategy need not be kept, if this binary still carries the same.
    fn as_built_in(&self, wanted: &GenerationRecord) -> Result<Held, SwapError> {
        let found = built_in::find(&wanted.name).map(|_| self.intake().read(&wanted.name, None)).transpose()?;
        match found.filter(|found| found.provenance.digest.hex() == wanted.digest) {
            Some(found) => self.load(&found),
            None => Err(SwapError::NotKept {
                strategy: format!("{}@{}", wanted.name, wanted.version),
                digest: wanted.digest.clone(),
                source_name: wanted.source.clone(),
            }),
        }
    }

    /// Loads a plugin, unless the same bytes are in memory under the same terms.
    fn load(&self, plugin: &Plugin) -> Result<Held, SwapError> {
        let digest = plugin.provenance.digest.hex();
        let _one_at_a_time = self.loading.lock();
        let known = self.desk.lock().find(&digest).filter(|held| self.loader.is_up_to_date(held));
        let held = match known {
            Some(known) => {
                let path = plugin.path.clone().or(known.path);
                Held { path, provenance: plugin.provenance.clone(), ..known }
            }
            None => self.loader.load(plugin)?,
        };
        if let Some(shelf) = &self.shelf {
            let needed: Vec<String> = self.desk.lock().held().map(|held| held.digest().to_owned()).collect();
            shelf.keep(held.strategy.identity(), plugin, &needed);
        }
        Ok(held)
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

/// A strategy that comes back starts from what it saved, as at any other start: its journal begins again there.
fn renew(strategy: &dyn Strategy) {
    if let Err(error) = strategy.renew() {
        warn!(strategy = strategy.identity().name, %error, "its instance could not be made anew; it goes on with the old one");
    }
}
