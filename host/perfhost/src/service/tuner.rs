//! The decision loop: observe, review earlier changes, ask the strategy, let the guard judge, apply, write it down.
//!
//! Owns the order of these steps and their clock; whose strategy and settings they are about is [`lane`]'s. What is decided
//! is the guard's business; how an engine takes a change is [`crate::service::engine`]'s.

mod lane;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use perfhost_strategy::alert::{self, AlertRecord};
use perfhost_strategy::decision::{CycleRecord, Decision, DecisionUpdate, writable};
use perfhost_strategy::generation::DecisionCounts;
use perfhost_strategy::guard::Guard;
use perfhost_strategy::journal::GuardCall;
use perfhost_strategy::knob::OfferedKnob;
use perfhost_strategy::rule::Action;
use perfhost_strategy::strategy::{Identity, StrategyError, World};
use perfhost_strategy::supervisor::{self, Supervisor};
use perfhost_strategy::{
    Generation, KnobId, Observation, Outcome, Proposal, Scope, Settings, Shared, Strategy, Verdict,
};
use perfhost_telemetry::{Store, Totals};
use perfhost_upstream::Fleet;
use perfhost_upstream::engine::EnginePhase;
use tracing::{debug, info, warn};

use super::engine::{EngineResult, ManagedEngine};
use super::now_ms;
use super::observer::Observer;
use super::offer::{self, Place};
use super::settling::SettlingTimes;
use super::strategies::Strategies;
use super::tuned::{Author, Authors, Surroundings, TunedSettings};
use crate::config::Config;
use lane::Turn;

pub use lane::Lane;

/// Cycles after which a strategy's instance is made anew, at the next moment when nothing is under way. An hour at the
/// default interval: memory that a guest loses is given back, and a replay need not go further back than that.
const CYCLES_BEFORE_RENEWAL: u64 = 720;

/// Actions of alerts that wait at most.
const MOST_WISHES: usize = 64;

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
    /// What alerts ask for, oldest first; at most [`MOST_WISHES`].
    wishes: Mutex<VecDeque<(AlertRecord, Action)>>,
    state: Mutex<State>,
}

struct State {
    guard: Guard,
    supervisor: Supervisor,
    config: Arc<Config>,
    next_cycle: u64,
    generation: u64,
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
    /// What the guard was told since the last cycle, for the decision log. As many as engine changes and configurations.
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
            wishes: Mutex::default(),
            state: Mutex::new(state),
        })
    }

    /// Time between two observations.
    pub fn interval(&self) -> Duration {
        self.state.lock().config.interval
    }

    /// An alert asks for actions: proposed in the next cycles, one knob a cycle, when nothing else is under way.
    pub fn ask_for(&self, alert: &AlertRecord, actions: &[Action]) {
        let mut wishes = self.wishes.lock();
        let of_one_knob = |action: &Action| {
            let written = action.written.clone();
            action.steps.clone().into_iter().map(move |step| Action { written: written.clone(), steps: vec![step] })
        };
        for action in actions.iter().flat_map(of_one_knob) {
            if wishes.len() >= MOST_WISHES {
                warn!(
                    alert = alert.id,
                    rule = alert.rule,
                    action = action.written,
                    "too many actions wait; this one is not done"
                );
                return;
            }
            wishes.push_back((alert.clone(), action));
        }
    }

    /// The next action that an alert asked for, judged like a strategy's proposals.
    fn grant_wishes(&self, state: &mut State, seen: &Observation) {
        if state.guard.pending().next().is_some() {
            return;
        }
        let Some((alert, action)) = self.wishes.lock().pop_front() else { return };
        let (settings, offered) = (self.settings.load(), self.offered(&state.config));
        let asked = alert::proposals(&alert, std::slice::from_ref(&action), seen, &settings, &offered);
        if asked.is_empty() {
            info!(
                alert = alert.id,
                action = action.written,
                "nothing to turn: it is so already, or it is not on offer"
            );
            return;
        }
        self.judge_own(state, seen, &alert::author(), &asked);
    }

    /// The host's own proposals, judged like a strategy's and written down for a replay.
    fn judge_own(&self, state: &mut State, seen: &Observation, author: &Identity, asked: &[Proposal]) -> Vec<Decision> {
        let asked: Vec<Proposal> = asked.iter().map(writable).collect();
        state.guard_told.push(GuardCall::Judged(asked.clone()));
        // What the strategy in service may turn does not bind the host.
        state.guard.offer(state.offered.clone());
        let judgement = state.guard.judge(seen, &self.settings.load(), state.next_cycle, author, asked);
        if let Some(settings) = judgement.settings {
            self.apply(settings);
        }
        self.write_down(state, judgement.decisions.clone());
        judgement.decisions
    }

    /// Judges changes that `author` asks for, in a cycle of their own that begins at once; a decision for each, in order.
    /// `None` while an experiment decides who tunes. Blocks as [`Self::cycle`] does.
    pub fn propose(&self, author: &str, asked: &[Proposal]) -> Option<Vec<Decision>> {
        let author = Identity {
            name: author.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            digest: String::new(),
            world: World::Tuner,
            source: "the API".to_owned(),
        };
        let mut state = self.state.lock();
        if state.turn.lane.is_some() {
            return None;
        }
        self.take_engine_results(&mut state);
        Some(self.cycle_with(&mut state, Some((&author, asked))))
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
        }
        self.take_engine_results(&mut state);
        self.settling.tick(now_ms(), || self.surroundings());
        if self.engine.as_ref().is_some_and(|engine| engine.state().phase == EnginePhase::Ready) {
            state.unproven.clear();
        }
        generation.strategy.trim();
        self.strategies.tick();
    }

    /// One cycle of the decision loop. Blocks for as long as the strategy's call takes.
    pub fn cycle(&self) {
        let mut state = self.state.lock();
        self.take_engine_results(&mut state);
        if !state.turn.is_fixed() {
            self.cycle_with(&mut state, None);
        }
    }

    /// A cycle in which the host's own proposals, if there are any, come before the strategy's. Returns what became of them.
    fn cycle_with(&self, state: &mut State, own: Option<(&Identity, &[Proposal])>) -> Vec<Decision> {
        let generation = self.subject(state);
        let is_arm = state.turn.is_of_another(&self.generation.load());
        let strategy = generation.strategy.clone();
        let now = Instant::now();
        let interval = state.last_observation.replace(now).map_or(state.config.interval, |last| now - last);
        let interval_ms = interval.as_millis().min(u128::from(u32::MAX)) as u32;
        let mut seen = self.observer.observe(now_ms(), interval_ms, fastrand::u64(..), generation.planning.read());

        let present = self.settings_of(state);
        let providers: Vec<String> = seen.providers.iter().map(|provider| provider.name.clone()).collect();
        seen.settings = present.list(&providers);

        let review = state.guard.review(&seen, &present);
        if let Some(settings) = review.settings {
            self.apply_for(state, settings);
            // The engine takes back what was rolled back, and the guard is told when it has. To a decision that no
            // engine had to take, that says nothing.
            state.awaiting_engine.extend(
                review.updates.iter().filter(|update| update.verdict == Verdict::RolledBack).map(|update| update.id),
            );
        }
        for update in review.updates {
            self.log_update(&update);
            self.store.update_decision(update);
        }
        let mut outcomes = review.outcomes;
        let is_taken_back = |outcome: &&Outcome| outcome.verdict == Verdict::RolledBack;
        let rolled_back = outcomes.iter().filter(is_taken_back).count() as u64;
        if !is_arm {
            self.strategies.count(DecisionCounts { rolled_back, ..DecisionCounts::default() });
        }

        let own = own.map_or_else(Vec::new, |(author, asked)| self.judge_own(state, &seen, author, asked));
        self.grant_wishes(state, &seen);

        let asked = Instant::now();
        let answer = strategy.propose(&seen);
        let took = asked.elapsed();
        let record = self.record(state, strategy.as_ref(), seen.clone(), &answer, took);
        match answer {
            Ok(proposals) => {
                // The fallback's successes say nothing about the strategy that it stands in for.
                let planning = generation.planning.read();
                let before = std::mem::replace(&mut state.planning_before, (planning.calls, planning.failures));
                let is_planning_well =
                    planning.failures == 0 || (planning.failures == before.1 && planning.calls > before.0);
                state.turn.succeeded();
                if is_planning_well && !is_arm && self.strategies.retired().is_none() {
                    state.supervisor.succeeded();
                }
                let cycle = record.id;
                self.store.record_cycle(record);
                if !proposals.is_empty() {
                    // A swap may have put a strategy with other grants in service since the last offer.
                    let granted = strategy.allowance().grants.of_offered(&state.offered);
                    state.guard.offer(granted);
                    let present = self.settings_of(state);
                    let judgement = state.guard.judge(&seen, &present, cycle, strategy.identity(), proposals);
                    outcomes.extend(judgement.outcomes);
                    if let Some(settings) = judgement.settings {
                        self.apply_for(state, settings);
                    }
                    let decided = self.write_down(state, judgement.decisions);
                    if !is_arm {
                        self.strategies.count(decided);
                    }
                }
                self.learn(&strategy, &outcomes);
                if !is_arm {
                    self.strategies.keep_state();
                }
                renew_if_due(state, strategy.as_ref());
            }
            Err(error) => {
                self.store.record_cycle(record);
                self.strategy_failed(state, &error.to_string());
            }
        }
        // What an experiment tries out is not what a restart begins with.
        if state.turn.lane.is_none() {
            self.keep_settled(state);
        }
        own
    }

    /// Makes durable what is settled of the host's settings.
    fn keep_settled(&self, state: &State) {
        let settled = state.guard.settled(&self.settings.load());
        self.tuned.keep(&settled, &state.config, &self.surroundings(), &state.authors);
    }

    fn record(
        &self,
        state: &mut State,
        strategy: &dyn Strategy,
        observation: Observation,
        answer: &Result<Vec<Proposal>, StrategyError>,
        took: Duration,
    ) -> CycleRecord {
        let (identity, told) = (strategy.identity(), strategy.told());
        let id = state.next_cycle;
        state.next_cycle += 1;
        let telemetry = &self.observer.telemetry;
        telemetry.add_to(&mut state.served);
        let served = std::mem::replace(&mut state.served, telemetry.totals());
        CycleRecord {
            id,
            at_ms: observation.now_ms,
            strategy: format!("{}@{}", identity.name, identity.version),
            digest: identity.digest.clone(),
            observation,
            proposals: answer.as_ref().map_or_else(|_| Vec::new(), |asked| asked.iter().map(writable).collect()),
            failure: answer.as_ref().err().map(ToString::to_string),
            duration_us: took.as_micros() as u64,
            told,
            guard: std::mem::take(&mut state.guard_told),
            requests: Some(served.requests()),
        }
    }

    fn write_down(&self, state: &mut State, decisions: Vec<Decision>) -> DecisionCounts {
        let mut decided = DecisionCounts::default();
        for decision in decisions {
            let id = KnobId::by_name(&decision.proposal.name);
            if let Some(applied) = &decision.applied {
                info!(decision = decision.id, knob = decision.proposal.name, scope = %decision.proposal.scope,
                    from = %decision.before, to = %applied, reason = decision.proposal.reason, "knob turned");
                decided.applied += 1;
                if id.is_some_and(|id| id.knob().reload) {
                    state.awaiting_engine.push(decision.id);
                }
                if let Some(id) = id {
                    let author = Author { strategy: decision.strategy.clone(), decision: decision.id };
                    state.authors.insert((id, decision.proposal.scope.clone()), author);
                }
            } else {
                decided.refused += 1;
                debug!(
                    decision = decision.id,
                    knob = decision.proposal.name,
                    detail = decision.detail,
                    "proposal refused"
                );
            }
            self.store.record_decision(decision);
        }
        decided
    }

    fn log_update(&self, update: &DecisionUpdate) {
        match &update.measured {
            Some(measured) => info!(decision = update.id, verdict = ?update.verdict, metric = measured.metric,
                before = measured.before, after = measured.after, detail = update.detail, "effect measured"),
            None => info!(decision = update.id, verdict = ?update.verdict, detail = update.detail, "decision ended"),
        }
    }

    fn learn(&self, strategy: &Arc<dyn Strategy>, outcomes: &[Outcome]) {
        if outcomes.is_empty() {
            return;
        }
        if let Err(error) = strategy.learn(outcomes) {
            warn!(strategy = strategy.identity().name, %error, "the strategy failed to learn");
        }
    }

    /// What became of changes that the engine had to take.
    fn take_engine_results(&self, state: &mut State) {
        let Some(engine) = &self.engine else { return };
        for result in engine.take_results() {
            let waiting = std::mem::take(&mut state.awaiting_engine);
            match result {
                EngineResult::Applied { at_ms } => {
                    self.settling.took_effect(at_ms, &self.surroundings());
                    for decision in waiting {
                        state.guard.took_effect(decision, at_ms);
                        state.guard_told.push(GuardCall::TookEffect { decision, at_ms });
                    }
                }
                EngineResult::Failed { why } => {
                    warn!(why, "the engine could not take the change");
                    self.give_up_unproven(state);
                    for decision in waiting {
                        state.guard.failed_to_apply(decision, &why);
                        state.guard_told.push(GuardCall::FailedToApply { decision, why: why.clone() });
                    }
                }
            }
        }
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

    /// The engine did not start with what an earlier run had found: it runs with the configuration's values, and so do we.
    fn give_up_unproven(&self, state: &mut State) {
        let mut settings = (*self.settings.load()).clone();
        for (id, scope) in std::mem::take(&mut state.unproven) {
            let value = state.config.settings.value(id, &scope);
            warn!(knob = id.name(), %scope, %value, "the engine did not start with what an earlier run had found; set back");
            settings = settings.with(id, &scope, value);
            state.authors.remove(&(id, scope));
        }
        self.apply(settings);
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

/// Makes the strategy's instance anew when it is old and nothing that it asked for is under way.
fn renew_if_due(state: &mut State, strategy: &dyn Strategy) {
    let age = state.next_cycle.saturating_sub(state.renewed_at_cycle);
    if age < CYCLES_BEFORE_RENEWAL || state.guard.pending().next().is_some() {
        return;
    }
    state.renewed_at_cycle = state.next_cycle;
    if let Err(error) = strategy.renew() {
        warn!(strategy = strategy.identity().name, %error, "its instance could not be made anew; it goes on with the old one");
    }
}
