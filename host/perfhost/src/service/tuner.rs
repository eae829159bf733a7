//! The decision loop: who tunes which settings, and when.
//!
//! Owns what lives from cycle to cycle, what happens each second, and the way of settings to workers and engine. What each
//! part owns:
//! - [`cycle`]: the steps of one cycle, and what is written down of them
//! - [`lane`]: whose strategy and settings a cycle is about
//! - [`wishes`]: what alerts ask for
//! - [`engine_changes`]: what became of changes that an engine has to take
//!
//! What is decided is the guard's business; how an engine takes a change is [`crate::service::engine`]'s.

mod cycle;
mod engine_changes;
mod lane;
mod wishes;

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use perfhost_strategy::guard::Guard;
use perfhost_strategy::journal::GuardCall;
use perfhost_strategy::knob::OfferedKnob;
use perfhost_strategy::supervisor::{self, Supervisor};
use perfhost_strategy::{Generation, KnobId, Scope, Settings, Shared, Strategy};
use perfhost_telemetry::{Store, Totals};
use perfhost_upstream::Fleet;
use perfhost_upstream::engine::EnginePhase;
use tracing::{info, warn};

use super::engine::ManagedEngine;
use super::now_ms;
use super::observer::Observer;
use super::offer::{self, Place};
use super::settling::SettlingTimes;
use super::strategies::Strategies;
use super::tuned::{Authors, Surroundings, TunedSettings};
use crate::config::Config;
use lane::Turn;
use wishes::Wishes;

pub use lane::Lane;

/// Plan failures that count as one failure of the strategy.
const PLAN_FAILURES_THAT_COUNT: u64 = 3;

/// The decision loop of one host.
pub struct Tuner {
    observer: Observer,
    strategies: Arc<Strategies>,
    generation: Arc<Shared<Generation>>,
    settings: Arc<Shared<Settings>>,
    fleet: Arc<Fleet>,
    store: Store,
    engine: Option<Arc<ManagedEngine>>,
    tuned: Arc<TunedSettings>,
    settling: SettlingTimes,
    machine: String,
    wishes: Wishes,
    state: Mutex<State>,
}

struct State {
    guard: Guard,
    supervisor: Supervisor,
    config: Arc<Config>,
    next_cycle: u64,
    /// The generation that tuned last, and its strategy.
    generation: u64,
    tunes: Arc<dyn Strategy>,
    names_version: u64,
    plan_failures: u64,
    /// Plan calls and failures at the cycle before: where plans failed, a cycle is a success only if others went well since.
    planning_before: (u64, u64),
    /// Digest of the strategy whose failures the supervisor counts.
    supervised: String,
    last_observation: Option<Instant>,
    /// What may be turned at present, by a strategy that may turn everything.
    offered: Vec<OfferedKnob>,
    /// Decisions that wait for the engine to take their change.
    awaiting_engine: Vec<u64>,
    /// Who turned what; bounded by the knobs and their scopes.
    authors: Authors,
    /// Reload knobs that an earlier run had tuned and that the engine has not started with yet.
    unproven: Vec<(KnobId, Scope)>,
    /// What the guard was told since the last cycle, for the decision log. As many as engine changes,
    /// configurations and turns.
    guard_told: Vec<GuardCall>,
    /// What was served since the last cycle.
    served: Totals,
    /// The cycle that the strategy's instance was made for.
    renewed_at_cycle: u64,
    /// Whose turn it is, in an experiment.
    turn: Turn,
}

/// What the tuner works with.
pub struct Parts {
    /// Where observations come from.
    pub observer: Observer,
    /// The strategies.
    pub strategies: Arc<Strategies>,
    /// Present settings.
    pub settings: Arc<Shared<Settings>>,
    /// Which providers have knobs.
    pub fleet: Arc<Fleet>,
    /// The decision log.
    pub store: Store,
    /// Takes reload knobs.
    pub engine: Option<Arc<ManagedEngine>>,
    /// Keeps what was tuned.
    pub tuned: Arc<TunedSettings>,
    /// The present settings that an earlier run had tuned.
    pub found: Authors,
    /// The machine, in words.
    pub machine: String,
    /// Intervals, limits, guard policy.
    pub config: Arc<Config>,
}

impl Tuner {
    /// Continues the decision log where the store left it.
    pub fn new(parts: Parts) -> Result<Self, perfhost_telemetry::StoreError> {
        let ids = parts.store.next_ids()?;
        let generation = parts.strategies.in_service();
        let guard_told = vec![GuardCall::Started(parts.config.guard.clone())];
        let state = State {
            guard: Guard::new(parts.config.guard.clone(), ids.decision),
            supervisor: Supervisor::default(),
            config: parts.config,
            next_cycle: ids.cycle,
            generation: generation.load().number,
            tunes: generation.load().strategy.clone(),
            names_version: 0,
            plan_failures: 0,
            planning_before: (0, 0),
            supervised: generation.load().strategy.identity().digest.clone(),
            last_observation: None,
            offered: Vec::new(),
            awaiting_engine: Vec::new(),
            unproven: parts.found.keys().filter(|(id, _)| id.knob().reload).cloned().collect(),
            authors: parts.found,
            guard_told,
            served: parts.observer.telemetry.totals(),
            renewed_at_cycle: ids.cycle,
            turn: Turn::default(),
        };
        Ok(Self {
            settling: SettlingTimes::open(parts.store.clone(), parts.observer.telemetry.clone()),
            observer: parts.observer,
            strategies: parts.strategies,
            generation,
            settings: parts.settings,
            fleet: parts.fleet,
            store: parts.store,
            engine: parts.engine,
            tuned: parts.tuned,
            machine: parts.machine,
            wishes: Wishes::default(),
            state: Mutex::new(state),
        })
    }

    /// Time between two observations.
    pub fn interval(&self) -> Duration {
        self.state.lock().config.interval
    }

    /// Takes over a new configuration: limits, guard policy, and the knobs whose start values were changed in it.
    pub fn configure(&self, config: Arc<Config>) {
        let mut state = self.state.lock();
        let before = std::mem::replace(&mut state.config, config.clone());
        if before.guard != config.guard {
            state.guard.set_policy(config.guard.clone());
            state.guard_told.push(GuardCall::Policy(config.guard.clone()));
        }
        let mut settings = (*self.settings.load()).clone();
        let is_new = |id: KnobId, scope: &Scope| before.settings.value(id, scope) != config.settings.value(id, scope);
        for (id, scope, value) in config.settings.changed().filter(|(id, scope, _)| is_new(*id, scope)) {
            info!(knob = id.name(), %scope, %value, "set by the configuration");
            settings = settings.with(id, scope, value.clone());
        }
        for (id, scope, _) in before.settings.changed().filter(|(id, scope, _)| is_new(*id, scope)) {
            if !config.settings.changed().any(|(other, there, _)| other == id && there == scope) {
                settings = settings.without(id, scope);
            }
        }
        self.apply(settings);
        self.offer(&mut state);
    }

    /// Once a second: notices a changed fleet, a swap, a failing planner, and what became of engine changes. Blocks.
    pub fn tick(&self) {
        let mut state = self.state.lock();
        // Telemetry keeps two minutes; cycles may be further apart.
        self.observer.telemetry.add_to(&mut state.served);
        let view = self.fleet.view().load();
        if view.names_version != state.names_version {
            state.names_version = view.names_version;
            self.strategies.fleet_changed((*view.names).clone());
            self.offer(&mut state);
        }
        let generation = self.subject(&state);
        let in_service = self.generation.load();
        if generation.number != state.generation {
            self.follow(&mut state, &generation);
        }
        // What one strategy did must not be held against the next. A fallback that stands in is not the next.
        let digest = &in_service.strategy.identity().digest;
        if self.strategies.retired().is_none() && *digest != state.supervised {
            state.supervised.clone_from(digest);
            state.supervisor = Supervisor::default();
        }
        let failures = generation.planning.read().failures;
        if failures >= state.plan_failures + PLAN_FAILURES_THAT_COUNT {
            let cause = format!("{} plan calls failed", failures - state.plan_failures);
            self.strategy_failed(&mut state, &cause);
            state.plan_failures = failures;
        }
        if let Some(retired) = self.strategies.retired()
            && now_ms() >= retired.retry_at_ms
            && let Err(error) = self.strategies.retry()
        {
            warn!(%error, "the retired strategy could not be put back in service");
            // The supervisor answers a retry that failed with a later one.
            if let supervisor::Action::Retire { retry_at_ms } = state.supervisor.failed(now_ms()) {
                self.strategies.put_off(retry_at_ms);
            }
        }
        self.take_engine_results(&mut state);
        self.may_tune(&mut state);
        self.settling.tick(now_ms(), || self.surroundings());
        if self.engine.as_ref().is_some_and(|engine| engine.state().phase == EnginePhase::Ready) {
            state.unproven.clear();
        }
        generation.strategy.trim();
        self.strategies.tick();
    }

    fn strategy_failed(&self, state: &mut State, cause: &str) {
        let generation = self.subject(state);
        let identity = generation.strategy.identity().clone();
        if state.turn.is_of_another(&self.generation.load()) {
            self.arm_failed(state, &identity.name, cause);
            return;
        }
        warn!(
            strategy = identity.name,
            version = identity.version,
            cause,
            "the strategy failed; the last settings stay"
        );
        if let supervisor::Action::Retire { retry_at_ms } = state.supervisor.failed(now_ms())
            && let Err(error) = self.strategies.retire(cause, retry_at_ms)
        {
            warn!(%error, "no fallback could be put in service; the failing strategy stays");
        }
    }

    fn apply(&self, settings: Settings) {
        self.settling.changed(&self.settings.load(), &settings, now_ms(), &self.surroundings());
        if let Some(engine) = &self.engine {
            engine.apply(settings.engine(engine.provider()));
        }
        self.settings.store(Arc::new(settings));
    }

    /// Works out which knobs may be turned where, and tells guard and strategy.
    fn offer(&self, state: &mut State) {
        state.offered = self.offered(&state.config);
        self.strategies.offer(state.offered.clone());
    }

    /// The knobs on offer under a configuration, on this machine and with this fleet.
    pub fn offered(&self, config: &Config) -> Vec<OfferedKnob> {
        let logical_cores = self.observer.hardware.lock().logical_cores;
        offer::offered(config, logical_cores, &Place::of(&self.fleet))
    }

    /// How long figures took to settle after changes of what requests share.
    pub fn settling(&self) -> &SettlingTimes {
        &self.settling
    }

    /// The machine and what serves on it.
    pub fn surroundings(&self) -> Surroundings {
        Surroundings::of_fleet(&self.machine, &self.fleet, self.engine.as_deref())
    }
}
