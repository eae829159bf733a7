//! Whose turn it is to tune. Without an experiment it is the strategy in service, always; with one its arms take turns,
//! each with settings of its own, so that none lives in what another has turned.

use std::sync::Arc;

use perfhost_strategy::guard::{Handover, Occasion};
use perfhost_strategy::journal::GuardCall;
use perfhost_strategy::{Generation, Settings, Shared, Verdict};
use tracing::warn;

use super::{State, Tuner, now_ms};

/// Failures in a row after which an arm has shown that it cannot tune.
const MOST_FAILURES: u32 = 3;

/// One arm's turn.
#[derive(Clone)]
pub struct Lane {
    /// Which arm; 0 is the incumbent.
    pub arm: u32,
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
    /// An engine starts anew for it: nobody tunes until it serves.
    awaits_engine: bool,
    failures: u32,
    failed: Option<String>,
}

impl Tuner {
    /// An experiment is about to begin: what is not settled is taken back, and nobody tunes until the first arm's turn.
    /// Returns the host's settings, with which arms begin. Blocks while a cycle runs.
    pub fn begin_turns(&self) -> Settings {
        let lane = Lane { arm: 0, generation: self.generation.load(), own: None, is_fixed: true };
        self.pass(Occasion::Begins, 0, Some(lane), None);
        (*self.settings.load()).clone()
    }

    /// From here on `lane` tunes, with the host's settings as `settings` where they are given. Returns the host's settings
    /// as the lane before leaves them. Blocks while a cycle runs.
    pub fn take_turn(&self, lane: Lane, settings: Option<Settings>) -> Settings {
        self.pass(Occasion::Turn, lane.arm, Some(lane), settings)
    }

    /// The experiment is over, or did not begin: the strategy in service tunes, which was the arm `stays`. Blocks while a
    /// cycle runs.
    pub fn end_turns(&self, stays: u32, settings: Option<Settings>) {
        self.pass(Occasion::Ends, stays, None, settings);
    }

    fn pass(&self, occasion: Occasion, to: u32, lane: Option<Lane>, settings: Option<Settings>) -> Settings {
        let mut state = self.state.lock();
        self.take_engine_results(&mut state);
        // What was swapped a moment ago is not told what became of another's changes.
        let from = self.subject(&state);
        self.follow(&mut state, &from);
        let is_given = settings.is_some();
        let settings = settings.filter(|settings| !settings.changed().eq(self.settings.load().changed()));
        let is_exchange = settings.is_some() || (is_given && occasion == Occasion::Turn);
        // Among arms whose settings are fixed there is nothing to judge, and no cycle to tell of it.
        let is_judged = occasion != Occasion::Turn || !lane.as_ref().is_some_and(|lane| lane.is_fixed);
        let left = if is_judged {
            self.hand_over(&mut state, &Handover { at_ms: now_ms(), occasion, to, is_exchange }, &from)
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
        state.turn.awaits_engine = is_judged && is_exchange && !self.is_in_effect();
        if state.turn.lane.is_none() {
            // What an experiment leaves behind is the host's from now on, also if it ends before the next cycle.
            self.keep_settled(&state);
        }
        left
    }

    /// Returns the host's settings as the turn of `from` leaves them.
    fn hand_over(&self, state: &mut State, handover: &Handover, from: &Generation) -> Settings {
        let ended = state.guard.hand_over(handover, &self.settings_of(state));
        state.guard_told.push(GuardCall::HandedOver(*handover));
        if handover.is_exchange {
            // The next turn's settings come in place of what the engine was to take or to take back.
            state.awaiting_engine.clear();
        } else {
            let taken_back = ended.updates.iter().filter(|update| update.verdict == Verdict::RolledBack);
            state.awaiting_engine.extend(taken_back.map(|update| update.id));
        }
        self.write_down_endings(ended.updates);
        if !state.turn.is_of_another(&self.generation.load()) {
            self.count_taken_back(&ended.outcomes);
        }
        self.learn(&from.strategy, &ended.outcomes);
        match ended.settings {
            Some(settings) if handover.is_exchange => settings,
            Some(settings) => {
                self.apply_for(state, settings);
                (*self.settings.load()).clone()
            }
            None => (*self.settings.load()).clone(),
        }
    }

    /// Whether somebody may tune now. A turn that an engine starts anew for begins when it serves.
    pub(super) fn may_tune(&self, state: &mut State) -> bool {
        if state.turn.awaits_engine && self.is_in_effect() {
            state.turn.awaits_engine = false;
            let at_ms = now_ms();
            state.guard.turn_took_effect(at_ms);
            state.guard_told.push(GuardCall::TurnTookEffect { at_ms });
        }
        !state.turn.awaits_engine && !state.turn.is_fixed()
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
        let before = std::mem::replace(&mut state.tunes, generation.strategy.clone());
        if Arc::ptr_eq(&before, &generation.strategy) {
            // An experiment has promoted it: it goes on under another number.
            return;
        }
        state.guard.forget_pending();
        state.guard_told.push(GuardCall::Forgot);
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

impl Turn {
    /// Whether a strategy tunes that is not the one in service.
    pub(super) fn is_of_another(&self, in_service: &Generation) -> bool {
        self.lane.as_ref().is_some_and(|lane| !Arc::ptr_eq(&lane.generation.strategy, &in_service.strategy))
    }

    /// The engine could not start with the turn's settings: whoever tunes may find better ones.
    pub(super) fn engine_failed(&mut self) {
        self.awaits_engine = false;
    }

    fn is_fixed(&self) -> bool {
        self.lane.as_ref().is_some_and(|lane| lane.is_fixed)
    }

    /// The arm answered.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }
}
