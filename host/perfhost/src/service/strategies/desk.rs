//! What lies ready for the next swap: the strategies in memory, and what each must be told before it serves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use perfhost_strategy::Strategy;
use perfhost_strategy::knob::OfferedKnob;
use perfhost_strategy::plan::FleetNames;
use perfhost_strategy::strategy::World;
use perfhost_wasm::Terms;
use serde::Serialize;

use super::{Parameters, SwapError};
use crate::plugin_source::provenance::Provenance;

/// Strategies that are held in memory beside the one in service. They hold compiled code, no instances.
const MOST_AT_HAND: usize = 12;

/// A loaded strategy.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) strategy: Arc<dyn Strategy>,
    /// The file that it was read from, if any.
    pub(super) path: Option<PathBuf>,
    /// Where it came from.
    pub(super) provenance: Provenance,
    /// What it was loaded under.
    pub(super) terms: Terms,
}

/// A strategy that failed again and again, while the fallback serves.
#[derive(Clone)]
pub struct Retired {
    pub(super) held: Held,
    /// The failure that was one too many.
    pub cause: String,
    /// When it is tried again, Unix time in milliseconds.
    pub retry_at_ms: u64,
    /// The number of the generation that it was.
    pub(super) place: u64,
}

/// A strategy that was not taken, while the one in service stayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Where it came from.
    pub source: String,
    /// SHA-256 of the file, where it could be read.
    pub digest: Option<String>,
    /// When, Unix time in milliseconds.
    pub at_ms: u64,
    /// Why, for programs.
    pub code: String,
    /// Why, for people.
    pub reason: String,
}

/// Everything that a swap needs at once.
pub(super) struct Desk {
    pub(super) knobs: Vec<OfferedKnob>,
    pub(super) fleet: FleetNames,
    pub(super) parameters: Arc<Parameters>,
    pub(super) serving: Held,
    /// Loaded longest ago first.
    at_hand: Vec<Held>,
    pub(super) retired: Option<Retired>,
    /// Strategies of the experiment that is running.
    pub(super) arms: Vec<Held>,
    pub(super) last_refused: Option<Refusal>,
    /// The digest of each file's content as it was read last. Files that nothing in memory came from are forgotten.
    read: BTreeMap<PathBuf, String>,
}

impl Retired {
    /// Which.
    pub fn strategy(&self) -> &Arc<dyn Strategy> {
        &self.held.strategy
    }
}

impl Held {
    pub(super) fn digest(&self) -> &str {
        &self.strategy.identity().digest
    }

    pub(super) fn is_from(&self, path: &Path) -> bool {
        self.path.as_deref() == Some(path)
    }
}

impl Desk {
    /// With this one in service, which has been told nothing yet.
    pub(super) fn new(serving: Held, at_hand: Vec<Held>, parameters: Arc<Parameters>) -> Self {
        let mut desk = Self {
            knobs: Vec::new(),
            fleet: FleetNames::default(),
            parameters,
            serving,
            at_hand,
            retired: None,
            arms: Vec::new(),
            last_refused: None,
            read: BTreeMap::new(),
        };
        desk.held().collect::<Vec<_>>().iter().for_each(|held| desk.note_read(held));
        desk
    }

    /// Loaded and not in service, longest ago first.
    pub(super) fn at_hand(&self) -> &[Held] {
        &self.at_hand
    }

    /// All that are in memory.
    pub(super) fn held(&self) -> impl Iterator<Item = Held> {
        let retired = self.retired.iter().map(|retired| retired.held.clone());
        self.at_hand.iter().cloned().chain([self.serving.clone()]).chain(retired)
    }

    /// Digests whose files must be kept: of all in memory, and of an experiment's arms, which go on after a restart.
    pub(super) fn needed(&self) -> Vec<String> {
        self.held().chain(self.arms.iter().cloned()).map(|held| held.digest().to_owned()).collect()
    }

    /// The one of this digest.
    pub(super) fn find(&self, digest: &str) -> Option<Held> {
        self.held().find(|held| held.digest() == digest)
    }

    /// Puts a loaded strategy with those at hand, as the newest.
    pub(super) fn keep(&mut self, held: Held) {
        self.at_hand.retain(|known| known.digest() != held.digest());
        if held.digest() == self.serving.digest() {
            return;
        }
        self.at_hand.push(held);
        if self.at_hand.len() > MOST_AT_HAND {
            self.at_hand.remove(0);
        }
    }

    /// Notes what was just read from its file.
    pub(super) fn note_read(&mut self, held: &Held) {
        if let Some(path) = &held.path {
            self.is_news(path, held.digest());
        }
    }

    /// Whether this was the file's content when it was read last.
    pub(super) fn was_read(&self, path: &Path, digest: &str) -> bool {
        self.read.get(path).is_some_and(|before| before == digest)
    }

    /// Notes a file's content; whether it is another than was read before. One that is seen for the first time is no news:
    /// what came from it was kept since an earlier time, and was chosen as it was then.
    pub(super) fn is_news(&mut self, path: &Path, digest: &str) -> bool {
        let files: BTreeSet<PathBuf> = self.held().filter_map(|held| held.path).collect();
        self.read.retain(|known, _| files.contains(known));
        let before = self.read.insert(path.to_owned(), digest.to_owned());
        before.is_some_and(|before| before != digest)
    }

    /// `next` serves; what served before is at hand, unless it is retired.
    pub(super) fn serve(&mut self, next: Held) {
        self.at_hand.retain(|known| known.digest() != next.digest());
        let before = std::mem::replace(&mut self.serving, next);
        if self.retired.as_ref().is_none_or(|retired| retired.held.digest() != before.digest()) {
            self.keep(before);
        }
    }

    /// The knobs on offer that this strategy may turn.
    pub(super) fn offered_to(&self, strategy: &dyn Strategy) -> Vec<OfferedKnob> {
        strategy.allowance().grants.of_offered(&self.knobs)
    }

    /// Tells a strategy its parameters, knobs and, between the two, lets `learned` give it what it knows; then the fleet.
    pub(super) fn prepare(&self, next: &dyn Strategy, learned: impl FnOnce()) -> Result<(), SwapError> {
        let identity = next.identity();
        let refused = |error| SwapError::configure(identity, error);
        if identity.world == World::Advisor {
            return Err(SwapError::OnlyAdvises(identity.name.clone()));
        }
        next.configure(&(self.parameters)(&identity.name), &self.offered_to(next)).map_err(refused)?;
        learned();
        if identity.world == World::Strategy {
            next.fleet(&self.fleet).map_err(refused)?;
        }
        Ok(())
    }
}
