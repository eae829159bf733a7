//! The strategy that is replayed: made, told what the log says, and asked.

use std::sync::Arc;

use super::{Judged, is_same_change};
use crate::decision::CycleRecord;
use crate::journal::Call;
use crate::knob::OfferedKnob;
use crate::plan::{FleetNames, Target};
use crate::strategy::World;
use crate::{Observation, Outcome, Proposal, Strategy, StrategyError, Verdict};

/// What a strategy is told of a change that the log's strategy did not make.
const NOT_MADE: &str = "replayed: the log holds what came of other changes, and this one was not made";

/// Changes whose later outcome the log may still hold; the oldest goes first.
const MOST_OPEN_CHANGES: usize = 256;

pub(super) struct Subject {
    digest: String,
    parameters: Option<Vec<(String, String)>>,
    strategy: Option<Arc<dyn Strategy>>,
    is_own: bool,
    is_from_start: bool,
    /// Number and digest of the cycle before.
    before: Option<(u64, String)>,
    /// Proposals of the cycle before to which the log's strategy has no equal.
    not_made: Vec<Outcome>,
    /// Changes that it proposed as the log's strategy did: their outcomes are its own.
    shared: Vec<Proposal>,
}

impl Subject {
    pub(super) fn new(digest: &str, parameters: Option<Vec<(String, String)>>) -> Self {
        Self {
            digest: digest.to_owned(),
            parameters,
            strategy: None,
            is_own: false,
            is_from_start: false,
            before: None,
            not_made: Vec::new(),
            shared: Vec::new(),
        }
    }

    pub(super) fn is_own(&self) -> bool {
        self.is_own
    }

    pub(super) fn is_from_start(&self) -> bool {
        self.is_from_start
    }

    /// Tells the strategy what the log says up to this cycle, and asks it. The inner error is the strategy's.
    pub(super) fn ask<E>(
        &mut self,
        record: &CycleRecord,
        load: &mut dyn FnMut() -> Result<Arc<dyn Strategy>, E>,
    ) -> Result<Result<Vec<Proposal>, StrategyError>, E> {
        let is_gap = self.before.as_ref().is_some_and(|(id, _)| id + 1 != record.id);
        let is_other = self.before.as_ref().is_none_or(|(_, digest)| *digest != record.digest);
        self.before = Some((record.id, record.digest.clone()));
        self.is_own = self.parameters.is_none() && record.digest == self.digest;
        self.is_from_start &= !is_gap && record.told.lost == 0;
        let strategy =
            if self.is_own { self.tell_all(record, is_other, load)? } else { self.tell_other(record, load)? };
        let saved = (self.is_own && record.failure.is_some()).then(|| strategy.save());
        let answer = strategy.propose(&record.observation);
        if let (Some(Ok(saved)), Ok(_)) = (saved, &answer) {
            // A failure that did not come again: a time limit on a busy machine, say. The instance was lost then, and the
            // next one had only what was saved.
            let is_back = strategy.restore(&saved).and_then(|()| strategy.renew()).is_ok();
            self.is_from_start &= is_back;
        }
        Ok(answer)
    }

    /// Notes what the guard would have said, so that the strategy can be told what came of its proposals.
    pub(super) fn note_answer(&mut self, record: &CycleRecord, judged: &[Judged]) {
        self.not_made.clear();
        for judged in judged {
            let proposal = &judged.proposal;
            if record.proposals.iter().any(|recorded| is_same_change(recorded, proposal)) {
                self.shared.push(proposal.clone());
            } else {
                self.not_made.push(Outcome {
                    name: proposal.name.clone(),
                    scope: proposal.scope.clone(),
                    proposed: proposal.value.clone(),
                    verdict: Verdict::Refused,
                    detail: NOT_MADE.to_owned(),
                    measured: None,
                });
            }
        }
        let surplus = self.shared.len().saturating_sub(MOST_OPEN_CHANGES);
        self.shared.drain(..surplus);
    }

    /// Every recorded call, as it was. A call that fails now failed then.
    fn tell_all<E>(
        &mut self,
        record: &CycleRecord,
        is_other: bool,
        load: &mut dyn FnMut() -> Result<Arc<dyn Strategy>, E>,
    ) -> Result<Arc<dyn Strategy>, E> {
        if !record.told.has_beginning() && (is_other || self.strategy.is_none()) {
            self.begin_midway(&record.observation, load)?;
        }
        for call in &record.told.calls {
            let strategy = match (&self.strategy, call) {
                (Some(strategy), call) if *call != Call::Loaded => strategy.clone(),
                _ => {
                    let strategy = load()?;
                    self.strategy = Some(strategy.clone());
                    self.is_from_start = record.told.lost == 0;
                    strategy
                }
            };
            let _as_then = make(strategy.as_ref(), call);
        }
        self.present(load)
    }

    /// What is true for every strategy: the knobs on offer, the fleet, and outcomes of changes that it asked for too.
    fn tell_other<E>(
        &mut self,
        record: &CycleRecord,
        load: &mut dyn FnMut() -> Result<Arc<dyn Strategy>, E>,
    ) -> Result<Arc<dyn Strategy>, E> {
        let is_new = self.strategy.is_none();
        if is_new && !record.told.has_beginning() {
            self.begin_midway(&record.observation, load)?;
        } else if is_new {
            self.is_from_start = record.told.lost == 0;
        }
        let strategy = self.present(load)?;
        for call in &record.told.calls {
            let _refused = match call {
                Call::Configured { knobs, .. } => {
                    let knobs: Vec<OfferedKnob> = knobs.iter().filter_map(|offer| offer.offered()).collect();
                    strategy.configure(self.parameters.as_deref().unwrap_or_default(), &knobs)
                }
                Call::Fleet(names) => fleet(strategy.as_ref(), names),
                Call::Learned(outcomes) => {
                    let told = self.outcomes(outcomes);
                    if told.is_empty() { Ok(()) } else { strategy.learn(&told) }
                }
                Call::Loaded | Call::Restored { .. } | Call::Renewed => Ok(()),
            };
        }
        if !self.not_made.is_empty() {
            let _refused = strategy.learn(&std::mem::take(&mut self.not_made));
        }
        Ok(strategy)
    }

    /// The recorded outcomes of changes that this strategy proposed as well.
    fn outcomes(&mut self, recorded: &[Outcome]) -> Vec<Outcome> {
        let is_of = |proposal: &Proposal, outcome: &Outcome| {
            proposal.name == outcome.name && proposal.scope == outcome.scope && proposal.value == outcome.proposed
        };
        let has_proposed = |outcome: &&Outcome| self.shared.iter().any(|proposal| is_of(proposal, outcome));
        let told: Vec<Outcome> = recorded.iter().filter(has_proposed).cloned().collect();
        // Refusals, rollbacks and measurements are the last word on a change.
        for outcome in &told {
            let is_last =
                outcome.measured.is_some() || matches!(outcome.verdict, Verdict::Refused | Verdict::RolledBack);
            if is_last && let Some(at) = self.shared.iter().position(|proposal| is_of(proposal, outcome)) {
                self.shared.remove(at);
            }
        }
        told
    }

    /// Starts where the log does not say how the strategy started: with what the observation shows.
    fn begin_midway<E>(
        &mut self,
        seen: &Observation,
        load: &mut dyn FnMut() -> Result<Arc<dyn Strategy>, E>,
    ) -> Result<(), E> {
        let strategy = load()?;
        let _refused = strategy.configure(self.parameters.as_deref().unwrap_or_default(), &offered_in(seen));
        let _refused = fleet(strategy.as_ref(), &fleet_in(seen));
        self.strategy = Some(strategy);
        self.is_from_start = false;
        Ok(())
    }

    fn present<E>(&mut self, load: &mut dyn FnMut() -> Result<Arc<dyn Strategy>, E>) -> Result<Arc<dyn Strategy>, E> {
        if let Some(strategy) = &self.strategy {
            return Ok(strategy.clone());
        }
        let strategy = load()?;
        self.strategy = Some(strategy.clone());
        Ok(strategy)
    }
}

fn make(strategy: &dyn Strategy, call: &Call) -> Result<(), StrategyError> {
    match call {
        Call::Loaded => Ok(()),
        Call::Configured { parameters, knobs } => {
            let knobs: Vec<OfferedKnob> = knobs.iter().filter_map(|offer| offer.offered()).collect();
            strategy.configure(parameters, &knobs)
        }
        Call::Restored { state } => strategy.restore(state),
        Call::Fleet(names) => strategy.fleet(names),
        Call::Learned(outcomes) => strategy.learn(outcomes),
        Call::Renewed => strategy.renew(),
    }
}

fn fleet(strategy: &dyn Strategy, names: &FleetNames) -> Result<(), StrategyError> {
    if strategy.identity().world == World::Strategy { strategy.fleet(names) } else { Ok(()) }
}

/// Every knob whose setting the observation shows, with the registry's bounds.
pub(crate) fn offered_in(seen: &Observation) -> Vec<OfferedKnob> {
    let offered = seen.settings.iter().filter_map(|setting| {
        let knob = crate::KnobId::by_name(&setting.name)?.knob();
        Some(OfferedKnob { at: setting.scope.clone(), bounds_here: knob.bounds.clone(), knob })
    });
    offered.collect()
}

/// Every model of every provider that the observation shows.
pub(crate) fn fleet_in(seen: &Observation) -> FleetNames {
    let targets: Vec<Target> = seen
        .providers
        .iter()
        .flat_map(|provider| {
            provider.models.iter().map(|model| Target {
                provider: provider.name.clone(),
                model: model.clone(),
                kind: provider.kind.clone(),
            })
        })
        .collect();
    let mut models: Vec<String> = targets.iter().map(|target| target.model.clone()).collect();
    models.sort_unstable();
    models.dedup();
    FleetNames { targets, models }
}
