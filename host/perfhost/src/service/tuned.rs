//! Settings that strategies turned and the guard kept, across restarts: a host begins where it had come to.
//!
//! Owns what is kept, for which machine and model it holds, and what of it a start may use. What the user sets always
//! wins; bounds always hold; what was found under other circumstances is left alone and said so.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use perfhost_strategy::knob::OfferedKnob;
use perfhost_strategy::observation::Hardware;
use perfhost_strategy::{KnobId, Scope, Settings, Value};
use perfhost_telemetry::Store;
use perfhost_upstream::{Fleet, Provider};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::engine::ManagedEngine;
use crate::config::Config;

/// Key in the store.
const KEY: &str = "tuned-settings";

/// Scopes and circumstances that are remembered at most; those confirmed longest ago go first.
const MOST_REMEMBERED: usize = 64;

/// What tuned settings hold for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Circumstances {
    /// The machine, in words.
    pub machine: String,
    /// What serves there, in words: a provider's engine and model, or all providers for the host's own knobs.
    pub serves: String,
}

/// The machine and everything that serves on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The machine, in words.
    pub machine: String,
    /// By provider: its engine and model, in words.
    pub providers: BTreeMap<String, String>,
}

/// Who turned a knob to the value that it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// The strategy, as `name@version`.
    pub strategy: String,
    /// The decision.
    pub decision: u64,
}

/// By knob and place.
pub type Authors = BTreeMap<(KnobId, Scope), Author>;

/// What a host begins with.
#[derive(Debug, Clone)]
pub struct StartValues {
    /// Every knob's value.
    pub settings: Settings,
    /// Of these, the ones that strategies had found, and which strategy.
    pub tuned: Authors,
}

/// One tuned knob.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct TunedKnob {
    name: String,
    value: Value,
    author: Author,
}

/// What was tuned in one scope under one set of circumstances.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct TunedScope {
    scope: Scope,
    on: Circumstances,
    knobs: Vec<TunedKnob>,
}

/// What is kept between runs.
pub struct TunedSettings {
    store: Store,
    /// Confirmed longest ago first.
    known: Mutex<Vec<TunedScope>>,
}

/// A machine in words: what tuned settings depend on.
pub fn in_words(processor: &str, hardware: &Hardware) -> String {
    // Some kernels report a few MiB more or less from one start to the next.
    let memory = (hardware.memory_total_bytes as f64 / f64::from(1 << 30)).round();
    let processor = if processor.is_empty() { "processor" } else { processor };
    let mut words =
        format!("{processor}, {} cores, {} threads, {memory} GiB", hardware.physical_cores, hardware.logical_cores);
    for gpu in &hardware.gpus {
        words += &format!(", {} with {} bytes", gpu.name, gpu.memory_total_bytes);
    }
    words
}

impl Surroundings {
    /// What serves at present.
    pub fn of_fleet(machine: &str, fleet: &Fleet, engine: Option<&ManagedEngine>) -> Self {
        let serves = |provider: &Provider| match engine.filter(|engine| engine.provider() == provider.name()) {
            Some(engine) => engine.serves().to_owned(),
            None => format!("{} at {}", provider.kind().name(), provider.endpoint()),
        };
        let providers = fleet.providers();
        let providers = providers.iter().map(|provider| (provider.name().to_owned(), serves(provider)));
        Self { machine: machine.to_owned(), providers: providers.collect() }
    }

    /// All of it in words.
    pub fn in_words(&self) -> String {
        let serves = self.providers.iter().map(|(name, serves)| format!("; {name}: {serves}"));
        std::iter::once(self.machine.clone()).chain(serves).collect()
    }

    /// What the knobs of a scope depend on.
    fn of(&self, scope: &Scope) -> Circumstances {
        let all =
            || self.providers.iter().map(|(name, serves)| format!("{name}: {serves}")).collect::<Vec<_>>().join("; ");
        let serves = match scope.provider_name() {
            Some(provider) => self.providers.get(provider).cloned().unwrap_or_default(),
            None => all(),
        };
        Circumstances { machine: self.machine.clone(), serves }
    }
}

impl Author {
    /// Of a value that no decision of this run or an earlier one explains.
    fn unknown() -> Self {
        Self { strategy: "unknown".to_owned(), decision: 0 }
    }
}

impl Circumstances {
    /// In what the other differs, in words.
    fn difference(&self, now: &Self) -> String {
        let part = |what: &str, was: &str, is: &str| (was != is).then(|| format!("{what} was {was:?} and is {is:?}"));
        let parts = [part("the machine", &self.machine, &now.machine), part("what serves", &self.serves, &now.serves)];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

impl TunedSettings {
    /// What the store has. What cannot be read is forgotten with a warning.
    pub fn open(store: Store) -> Self {
        let read = store.state(KEY).map_err(|error| error.to_string()).and_then(|found| match found {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|error| error.to_string()),
            None => Ok(Vec::new()),
        });
        let known = read.unwrap_or_else(|error| {
            warn!(error, "the tuned settings of earlier runs cannot be read and are not used");
            Vec::new()
        });
        Self { store, known: Mutex::new(known) }
    }

    /// The settings to begin with: the configuration's, and tuned ones where the user has set nothing, the circumstances
    /// are the same and the bounds allow. Logs where each value comes from.
    pub fn start_values(&self, config: &Config, surroundings: &Surroundings, offered: &[OfferedKnob]) -> StartValues {
        let mut start = StartValues { settings: config.settings.clone(), tuned: Authors::new() };
        for (id, scope, value) in config.settings.changed() {
            let is_flag = config.from_flags.contains(&(id, scope.clone()));
            let from = if is_flag { "a flag" } else { "the configuration" };
            info!(knob = id.name(), %scope, %value, from, "start value");
        }
        let known = self.known.lock();
        if config.is_fresh {
            if !known.is_empty() {
                info!("tuned settings of earlier runs are not used: --fresh");
            }
            return start;
        }
        let mut scopes: Vec<&Scope> = offered.iter().map(|knob| &knob.at).collect();
        scopes.sort_unstable();
        scopes.dedup();
        for scope in scopes {
            let now = surroundings.of(scope);
            let mut of_scope = known.iter().filter(|tuned| tuned.scope == *scope && !tuned.knobs.is_empty()).rev();
            match of_scope.clone().find(|tuned| tuned.on == now) {
                Some(tuned) => tuned.knobs.iter().for_each(|knob| start.take(scope, knob, config, offered)),
                None => {
                    if let Some(other) = of_scope.next() {
                        let why = other.on.difference(&now);
                        info!(%scope, why, "tuned settings are of other circumstances and are not used");
                    }
                }
            }
        }
        start
    }

    /// Takes over what is settled now, and makes it durable if it is something new. `authors` says who turned what since
    /// the start.
    pub fn keep(&self, settled: &Settings, config: &Config, surroundings: &Surroundings, authors: &Authors) {
        let mut known = self.known.lock();
        let mut scopes: Vec<Scope> = vec![Scope::global()];
        scopes.extend(surroundings.providers.keys().map(|name| Scope::provider(name)));
        let mut is_news = false;
        for scope in scopes {
            let on = surroundings.of(&scope);
            let at = known.iter().position(|tuned| tuned.scope == scope && tuned.on == on);
            let before = at.map_or(&[][..], |at| &known[at].knobs);
            let knobs = tuned_in(&scope, settled, config, authors, before);
            if knobs != before {
                if let Some(at) = at {
                    known.remove(at);
                }
                known.push(TunedScope { scope, on, knobs });
                is_news = true;
            }
        }
        if !is_news {
            return;
        }
        known.retain(|tuned| !tuned.knobs.is_empty());
        let excess = known.len().saturating_sub(MOST_REMEMBERED);
        known.drain(..excess);
        match serde_json::to_vec(&*known) {
            Ok(bytes) => self.store.put_state(KEY, &bytes),
            Err(error) => warn!(%error, "tuned settings could not be written"),
        }
    }
}

impl StartValues {
    fn take(&mut self, scope: &Scope, tuned: &TunedKnob, config: &Config, offered: &[OfferedKnob]) {
        let Some(id) = KnobId::by_name(&tuned.name) else { return };
        let knob = tuned.name.as_str();
        if is_users(config, id, scope) {
            info!(knob, %scope, tuned = %tuned.value, "a tuned value is not used: the user has set one");
            return;
        }
        let offer = offered.iter().find(|offer| offer.knob.id == id && offer.at == *scope);
        let Some(value) = offer.and_then(|offer| offer.bounds_here.clamp(&tuned.value)) else {
            info!(knob, %scope, tuned = %tuned.value, "a tuned value is not used: the configuration fixes this knob");
            return;
        };
        let Author { strategy: by, decision } = &tuned.author;
        if value == tuned.value {
            info!(knob, %scope, %value, from = "an earlier run", by, decision, "start value");
        } else {
            info!(knob, %scope, %value, tuned = %tuned.value, from = "an earlier run, within today's bounds", by, decision, "start value");
        }
        self.settings = self.settings.with(id, scope, value);
        self.tuned.insert((id, scope.clone()), tuned.author.clone());
    }
}

/// Whether the user has set this knob, here or for the whole host.
fn is_users(config: &Config, id: KnobId, scope: &Scope) -> bool {
    config.settings.changed().any(|(set, at, _)| set == id && (at == scope || *at == Scope::global()))
}

/// The knobs of a scope that are not as the configuration has them. A knob that the user has set for this run, and that
/// nobody turned in it, keeps what was found `before`.
fn tuned_in(
    scope: &Scope,
    settled: &Settings,
    config: &Config,
    authors: &Authors,
    before: &[TunedKnob],
) -> Vec<TunedKnob> {
    let of_before = |id: KnobId| before.iter().find(|knob| knob.name == id.name());
    let is_turned = |id: KnobId| settled.value(id, scope) != config.settings.value(id, scope);
    KnobId::ALL
        .iter()
        .copied()
        .filter_map(|id| {
            if !is_turned(id) {
                return of_before(id).filter(|_| is_users(config, id, scope)).cloned();
            }
            settled.changed().find(|(set, at, _)| *set == id && *at == scope).map(|(_, _, value)| TunedKnob {
                name: id.name().to_owned(),
                value: value.clone(),
                author: authors.get(&(id, scope.clone())).cloned().unwrap_or_else(Author::unknown),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;
    use crate::config::raw::{Raw, RawLimit};
    use crate::service::offer::{Place, offered};

    fn config(set: &[&str], limits: &[(&str, RawLimit)]) -> Config {
        let sources = Sources {
            environment: vec![("HOME".to_owned(), "/home/someone".to_owned())],
            set: set.iter().map(|pair| (*pair).to_owned()).collect(),
            ..Sources::default()
        };
        let limits = limits.iter().map(|(name, limit)| ((*name).to_owned(), limit.clone())).collect();
        Config::check(Raw { limits, ..Raw::default() }, &sources).unwrap()
    }

    fn surroundings(machine: &str, model: &str) -> Surroundings {
        Surroundings { machine: machine.to_owned(), providers: [("local".to_owned(), model.to_owned())].into() }
    }

    /// A store in which `local` was tuned to eight slots and the host to a limit of 300, on `here` with `small`.
    fn tuned() -> (tempfile::TempDir, TunedSettings) {
        let folder = tempfile::tempdir().unwrap();
        let kept = TunedSettings::open(Store::open(folder.path()).unwrap());
        let settled = Settings::default().with(KnobId::EngineSlots, &Scope::provider("local"), Value::Integer(8)).with(
            KnobId::ConcurrencyLimit,
            &Scope::global(),
            Value::Integer(300),
        );
        let author = Author { strategy: "aggressive@1.0.0".to_owned(), decision: 7 };
        let authors = [((KnobId::EngineSlots, Scope::provider("local")), author)].into();
        kept.keep(&settled, &config(&[], &[]), &surroundings("here", "small"), &authors);
        let again = TunedSettings::open(kept.store.clone());
        (folder, again)
    }

    fn begun(kept: &TunedSettings, config: &Config, surroundings: &Surroundings) -> (i64, usize) {
        let places = [Place { provider: "local".to_owned(), is_managed: true }];
        let start = kept.start_values(config, surroundings, &offered(config, 4, &places)).settings;
        (i64::from(start.engine("local").slots), start.concurrency_limit)
    }

    #[test]
    fn what_was_kept_is_begun_with_and_by_whom_it_was_found_is_known() {
        let (_folder, kept) = tuned();
        let config = config(&[], &[]);
        assert_eq!(begun(&kept, &config, &surroundings("here", "small")), (8, 300));
        let places = [Place { provider: "local".to_owned(), is_managed: true }];
        let start = kept.start_values(&config, &surroundings("here", "small"), &offered(&config, 4, &places));
        let slots = &start.tuned[&(KnobId::EngineSlots, Scope::provider("local"))];
        assert_eq!((slots.strategy.as_str(), slots.decision), ("aggressive@1.0.0", 7));
    }

    #[test]
    fn what_the_user_sets_wins_here_and_for_the_whole_host() {
        let (_folder, kept) = tuned();
        let here = surroundings("here", "small");
        assert_eq!(begun(&kept, &config(&["engine_slots@local=2"], &[]), &here), (2, 300));
        assert_eq!(begun(&kept, &config(&["engine_slots=4", "concurrency_limit=9"], &[]), &here), (4, 9));
    }

    #[test]
    fn other_machines_and_other_models_begin_anew() {
        let (_folder, kept) = tuned();
        assert_eq!(begun(&kept, &config(&[], &[]), &surroundings("there", "small")), (1, 256));
        assert_eq!(begun(&kept, &config(&[], &[]), &surroundings("here", "large")), (1, 256));
        let was = Circumstances { machine: "here".to_owned(), serves: "small".to_owned() };
        let now = Circumstances { machine: "here".to_owned(), serves: "large".to_owned() };
        assert_eq!(was.difference(&now), r#"what serves was "small" and is "large""#);
    }

    #[test]
    fn each_model_keeps_its_own() {
        let (_folder, kept) = tuned();
        let settled = Settings::default().with(KnobId::EngineSlots, &Scope::provider("local"), Value::Integer(2));
        kept.keep(&settled, &config(&[], &[]), &surroundings("here", "large"), &Authors::new());
        assert_eq!(begun(&kept, &config(&[], &[]), &surroundings("here", "large")), (2, 256));
        assert_eq!(begun(&kept, &config(&[], &[]), &surroundings("here", "small")), (8, 300));
    }

    #[test]
    fn bounds_hold_and_fixed_knobs_stay() {
        let (_folder, kept) = tuned();
        let here = surroundings("here", "small");
        assert_eq!(begun(&kept, &config(&[], &[("engine_slots", RawLimit::Range(1.0, 4.0))]), &here), (4, 300));
        let fixed = RawLimit::Word("fixed".to_owned());
        assert_eq!(begun(&kept, &config(&[], &[("engine_slots", fixed)]), &here), (1, 300));
    }

    #[test]
    fn a_fresh_start_uses_nothing() {
        let (_folder, kept) = tuned();
        let fresh = Config { is_fresh: true, ..config(&[], &[]) };
        assert_eq!(begun(&kept, &fresh, &surroundings("here", "small")), (1, 256));
    }

    #[test]
    fn what_was_taken_back_is_forgotten_and_what_the_user_overrode_is_not() {
        let (_folder, kept) = tuned();
        let here = surroundings("here", "small");
        let overridden = config(&["engine_slots@local=2"], &[]);
        kept.keep(&overridden.settings, &overridden, &here, &Authors::new());
        assert_eq!(begun(&kept, &config(&[], &[]), &here), (8, 256));
        kept.keep(&Settings::default(), &config(&[], &[]), &here, &Authors::new());
        assert_eq!(begun(&kept, &config(&[], &[]), &here), (1, 256));
    }
}
