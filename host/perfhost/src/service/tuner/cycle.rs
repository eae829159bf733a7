//! One cycle: observe, review earlier changes, ask the strategy, let the guard judge, apply, write down, let it learn.
//!
//! Owns the order of these steps.

use std::sync::Arc;
use std::time::{Duration, Instant};

use perfhost_strategy::decision::{CycleRecord, Decision, DecisionUpdate, writable};
use perfhost_strategy::generation::DecisionCounts;
use perfhost_strategy::journal::GuardCall;
use perfhost_strategy::strategy::{Identity, StrategyError, World};
use perfhost_strategy::{KnobId, Observation, Outcome, Proposal, Strategy, Verdict};
use tracing::{debug, info, warn};

use super::{State, Tuner, now_ms};
use crate::service::tuned::Author;

/// Cycles after which a strategy's instance is made anew, at the next moment when nothing is under way. An hour at the
/// default interval: memory that a guest loses is given back, and a replay need not go further back than that.
const CYCLES_BEFORE_RENEWAL: u64 = 720;

impl Tuner {
    /// One cycle of the decision loop. Blocks for as long as the strategy's call takes.
    pub fn cycle(&self) {
        let mut state = self.state.lock();
        self.take_engine_results(&mut state);
        if self.may_tune(&mut state) {
            self.cycle_with(&mut state, None);
        }
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
        self.write_down_endings(review.updates);
        let mut outcomes = review.outcomes;
        if !is_arm {
            self.count_taken_back(&outcomes);
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

    /// The host's own proposals, judged like a strategy's and written down for a replay.
    pub(super) fn judge_own(
        &self,
        state: &mut State,
        seen: &Observation,
        author: &Identity,
        asked: &[Proposal],
    ) -> Vec<Decision> {
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

    /// Makes durable what is settled of the host's settings.
    pub(super) fn keep_settled(&self, state: &State) {
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

    /// What became of earlier decisions.
    pub(super) fn write_down_endings(&self, updates: Vec<DecisionUpdate>) {
        for update in updates {
            match &update.measured {
                Some(measured) => info!(decision = update.id, verdict = ?update.verdict, metric = measured.metric,
                    before = measured.before, after = measured.after, detail = update.detail, "effect measured"),
                None => {
                    info!(decision = update.id, verdict = ?update.verdict, detail = update.detail, "decision ended")
                }
            }
            self.store.update_decision(update);
        }
    }

    /// For the history of the strategy in service.
    pub(super) fn count_taken_back(&self, outcomes: &[Outcome]) {
        let is_taken_back = |outcome: &&Outcome| outcome.verdict == Verdict::RolledBack;
        let rolled_back = outcomes.iter().filter(is_taken_back).count() as u64;
        self.strategies.count(DecisionCounts { rolled_back, ..DecisionCounts::default() });
    }

    pub(super) fn learn(&self, strategy: &Arc<dyn Strategy>, outcomes: &[Outcome]) {
        if outcomes.is_empty() {
            return;
        }
        if let Err(error) = strategy.learn(outcomes) {
            warn!(strategy = strategy.identity().name, %error, "the strategy failed to learn");
        }
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
