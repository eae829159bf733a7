//! Whose turn it is to tune. Without an experiment it is the strategy in service, always; with one its arms take turns,
//! each with settings of its own, so that none lives in what another has turned.

use std::sync::Arc;

use perfhost_strategy::guard::Handover;
use perfhost_strategy::journal::GuardCall;
use perfhost_strategy::{Generation, Settings, Shared};
use tracing::warn;

use super::{State, Tuner, now_ms};

/// Failures in a row after which an arm has shown that it cannot tune.
const MOST_FAILURES: u32 = 3;

/// One arm's turn.
#[derive(Clone)]
pub struct Lane {
    /// Which strategy tunes.
    pub generation: Arc<Generation>,
    /// Its settings, where arms serve at the same time; `None` for the host's.
    pub own: Option<Arc<Shared<Settings>>>,
    /// The arm's settings are given and nobody turns them.
    pub is_fixed: bool,
}

/// The lane and what became of it.
#[derive(Default)]
pub(super) struct Turn {
    pub(super) lane: Option<Lane>,
    failures: u32,
    failed: Option<String>,
}

impl Tuner {
    /// From here on `lane` tunes, with the host's settings as `settings` where they are given; `None` is the strategy in
    /// service. Returns the host's settings as the lane before leaves them. Blocks while a cycle runs.
    pub fn take_turn(&self, lane: Option<Lane>, settings: Option<Settings>) -> Settings {
        let mut state = self.state.lock();
        let is_given = settings.is_some();
        let settings = settings.filter(|settings| !settings.changed().eq(self.settings.load().changed()));
        let left = if is_passed_on(&state.turn, lane.as_ref(), is_given, settings.is_some()) {
            self.hand_over(&mut state, lane.as_ref(), is_given)
        } else {
            (*self.settings.load()).clone()
        };
        self.wishes.set_refused(lane.is_some());
        state.turn = Turn { lane, ..Turn::default() };
        let generation = self.subject(&state);
        self.follow(&mut state, &generation);
        if let Some(mut settings) = settings {
            settings.version = self.settings.load().version + 1;
            self.apply(settings);
        }
        if state.turn.lane.is_none() {
            // What an experiment leaves behind is the host's from now on, also if it ends before the next cycle.
            self.keep_settled(&state);
        }
        left
    }

    /// The guard goes on to the next turn. Returns the host's settings as the turn before leaves them.
    fn hand_over(&self, state: &mut State, to: Option<&Lane>, is_exchange: bool) -> Settings {
        let present = self.settings_of(state);
        let from = self.subject(state);
        let to = to.map_or_else(|| self.generation.load(), |lane| lane.generation.clone());
        let handover = Handover { at_ms: now_ms(), from: from.number, to: to.number, is_exchange };
        let ended = state.guard.hand_over(&handover, &present);
        state.guard_told.push(GuardCall::HandedOver(handover));
        state.awaiting_engine.clear();
        self.write_down_endings(ended.updates);
        self.learn(&from.strategy, &ended.outcomes);
        match ended.settings {
            Some(settings) if is_exchange => settings,
            Some(settings) => {
                self.apply_for(state, settings);
                (*self.settings.load()).clone()
            }
            None => (*self.settings.load()).clone(),
        }
    }

    /// The host's settings without changes whose effect is not yet known: what arms begin with.
    pub fn settled(&self) -> Settings {
        self.state.lock().guard.settled(&self.settings.load())
    }

    /// What the lane's strategy failed of, when it failed again and again.
    pub fn lane_failure(&self) -> Option<String> {
        self.state.lock().turn.failed.clone()
    }

    /// Whether the managed engine, if there is one, runs with the host's settings.
    pub fn is_in_effect(&self) -> bool {
        self.engine.as_ref().is_none_or(|engine| engine.runs_as_given())
    }

    /// The generation whose turn it is.
    pub(super) fn subject(&self, state: &State) -> Arc<Generation> {
        state.turn.lane.as_ref().map_or_else(|| self.generation.load(), |lane| lane.generation.clone())
    }

    /// The settings that it turns.
    pub(super) fn settings_of(&self, state: &State) -> Arc<Settings> {
        let own = state.turn.lane.as_ref().and_then(|lane| lane.own.as_ref());
        own.map_or_else(|| self.settings.load(), |own| own.load())
    }

    /// Takes settings over for whoever's turn it is.
    pub(super) fn apply_for(&self, state: &State, settings: Settings) {
        match state.turn.lane.as_ref().and_then(|lane| lane.own.as_ref()) {
            Some(own) => {
                own.store(Arc::new(settings));
            }
            None => self.apply(settings),
        }
    }

    /// Another generation than before tunes: nothing that was under way for the one before is held against it.
    pub(super) fn follow(&self, state: &mut State, generation: &Generation) {
        if generation.number == state.generation {
            return;
        }
        state.generation = generation.number;
        state.plan_failures = generation.planning.read().failures;
        state.planning_before = (0, 0);
        state.guard.forget_pending();
        state.guard_told.push(GuardCall::Forgot);
        state.awaiting_engine.clear();
        state.renewed_at_cycle = state.next_cycle;
    }

    /// A strategy that tunes as an arm and is not in service failed: the experiment hears of it, nobody takes over.
    pub(super) fn arm_failed(&self, state: &mut State, name: &str, cause: &str) {
        state.turn.failures += 1;
        warn!(strategy = name, cause, "an experiment's arm failed; its last settings stay");
        if state.turn.failures >= MOST_FAILURES {
            state.turn.failed = Some(format!("{name} failed {} times: {cause}", state.turn.failures));
        }
    }
}

/// Whether other settings are turned from here on. When an experiment begins or ends they may stay as they are, and what is
/// pending goes on being watched; where arms take turns with the host's they are another's even when they are equal.
fn is_passed_on(before: &Turn, next: Option<&Lane>, is_given: bool, is_changed: bool) -> bool {
    let own = |lane: Option<&Lane>| lane.and_then(|lane| lane.own.as_ref().map(Arc::as_ptr));
    let is_between_arms = before.lane.is_some() && next.is_some();
    is_changed || (is_between_arms && is_given) || own(before.lane.as_ref()) != own(next)
}

impl Turn {
    /// Whether a strategy tunes that is not the one in service.
    pub(super) fn is_of_another(&self, in_service: &Generation) -> bool {
        self.lane.as_ref().is_some_and(|lane| !Arc::ptr_eq(&lane.generation.strategy, &in_service.strategy))
    }

    pub(super) fn is_fixed(&self) -> bool {
        self.lane.as_ref().is_some_and(|lane| lane.is_fixed)
    }

    /// The arm answered.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }
}
