//! The experiment itself: a step function of batches of events and ticks of a clock.
//!
//! The same calls give the same answers, and what was written and read back goes on exactly as if it had not been. It
//! owns phases and who serves; how evidence is weighed is [`super::verdict`]'s and [`super::confirmation`]'s business.

use serde::{Deserialize, Serialize};

use super::arm::CONTROL;
use super::assignment::{Allocation, mix};
use super::confirmation::{self, Confirmed, WINNER};
use super::event::{Batch, Event};
use super::metric::Metric;
use super::ramp::Step;
use super::spec::{Spec, SpecError};
use super::stage::Stage;
use super::verdict::{self, Finding, Verdict};

/// Sources whose batches are told apart; beyond it the one not heard of for longest is forgotten.
const MOST_SOURCES: usize = 256;

/// An arm that is called for and not in service after this long ends the experiment: milliseconds.
const SWITCH_AT_MOST_MS: u64 = 600_000;

/// Where an experiment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Arms are compared.
    Running,
    /// A winner serves, and is compared again with a small holdout.
    Confirming,
    /// Over; one arm serves everybody.
    Ended,
}

/// What the host has to act on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// Who gets which arm has changed: publish [`Experiment::allocation`]. In a switchback put
    /// [`Allocation::serving`] in service and say so by [`Experiment::in_effect`].
    Allocated,
    /// This challenger is out for harming this guardrail; the others go on.
    Dropped(usize, Metric),
    /// This arm won: make it the one in service.
    Promoted(usize),
    /// The promotion did not hold up: put the incumbent back in service.
    Reverted,
    /// Nothing further will happen.
    Ended,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// Taken in.
    New,
    /// Seen before; nothing changed.
    Duplicate,
}

/// A comparison of arms on live traffic. See [the module](super) for how to drive it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Experiment {
    spec: Spec,
    phase: Phase,
    stage: Stage,
    step: Step,
    allocation: Allocation,
    epoch: u32,
    /// By index into [`Spec::arms`].
    is_alive: Vec<bool>,
    dropped: Vec<(usize, Metric)>,
    /// Last batch of each source, latest last.
    sources: Vec<(u64, u64)>,
    duplicates: u64,
    started_ms: u64,
    /// Time never runs backwards in here, whatever the host's clock does.
    now_ms: u64,
    verdict: Option<Verdict>,
    confirmed: Option<Confirmed>,
}

impl Experiment {
    /// Begins. `now_ms` is Unix time in milliseconds, here and everywhere.
    pub fn start(spec: Spec, now_ms: u64) -> Result<Self, SpecError> {
        spec.check()?;
        let arms = spec.arms.len();
        let step = spec.ramp.first(now_ms);
        let shares = vec![1.0 / arms as f64; arms];
        let gap = (spec.ramp.gap(&step, arms), CONTROL);
        let stage = Stage::begin(&spec, (0..arms).collect(), shares, gap, spec.seed, now_ms);
        let mut experiment = Self {
            phase: Phase::Running,
            allocation: Allocation::single(spec.seed, 0, arms, CONTROL, None),
            stage,
            step,
            epoch: 0,
            is_alive: vec![true; arms],
            dropped: Vec::new(),
            sources: Vec::new(),
            duplicates: 0,
            started_ms: now_ms,
            now_ms,
            verdict: None,
            confirmed: None,
            spec,
        };
        experiment.allocation = experiment.allocate();
        Ok(experiment)
    }

    /// Takes in a batch; one that was taken in before changes nothing.
    pub fn apply(&mut self, batch: &Batch) -> Applied {
        let known = self.sources.iter().position(|(source, _)| *source == batch.source);
        if known.is_some_and(|at| self.sources[at].1 >= batch.sequence) {
            self.duplicates += 1;
            return Applied::Duplicate;
        }
        if let Some(at) = known {
            self.sources.remove(at);
        } else if self.sources.len() >= MOST_SOURCES {
            self.sources.remove(0);
        }
        self.sources.push((batch.source, batch.sequence));
        for event in &batch.events {
            self.observe(event);
        }
        Applied::New
    }

    fn observe(&mut self, event: &Event) {
        match event {
            Event::Assigned(assigned) if assigned.epoch == self.epoch && self.phase != Phase::Ended => {
                self.stage.assigned(assigned, self.spec.unit, self.allocation.shares());
            }
            Event::Assigned(_) => {}
            Event::Finished { id, outcome, .. } => self.stage.finished(*id, outcome),
            Event::Scored { id, arm, epoch, score } if *epoch == self.epoch => self.stage.scored(*id, *arm, *score),
            Event::Scored { .. } => {}
        }
    }

    /// Looks: settles what is due, ends what can be ended, takes the next step of ramp or timetable. Call it about once a
    /// second, and as often as you like: no look costs anything in certainty.
    pub fn tick(&mut self, now_ms: u64) -> Vec<Change> {
        self.now_ms = self.now_ms.max(now_ms);
        let now_ms = self.now_ms;
        let mut changes = Vec::new();
        if self.phase == Phase::Ended {
            return changes;
        }
        self.stage.settle(now_ms);
        match self.phase {
            Phase::Running => self.look(&mut changes),
            _ => self.confirm(&mut changes),
        }
        if self.phase != Phase::Ended {
            self.stage.tick(now_ms);
            self.check_switch(&mut changes);
        }
        let allocation = self.allocate();
        if allocation != self.allocation {
            self.allocation = allocation;
            changes.push(Change::Allocated);
        }
        changes
    }

    fn look(&mut self, changes: &mut Vec<Change>) {
        match verdict::look(&self.spec, &self.stage, self.now_ms) {
            Some(Finding::End(verdict)) => self.decide(verdict, changes),
            Some(Finding::Drop { place, metric }) => {
                let arm = self.stage.arm(place);
                self.is_alive[arm] = false;
                self.dropped.push((arm, metric));
                self.stage.drop_place(place, self.now_ms);
                changes.push(Change::Dropped(arm, metric));
            }
            None => {
                let needed = if self.spec.is_switchback() { 1 } else { self.spec.ramp.step_units };
                let harmful = verdict::looks_harmful(&self.spec, &self.stage);
                let next = self.spec.ramp.next(&self.step, self.now_ms, self.stage.fewest(), needed, harmful);
                if let Some(step) = next {
                    self.step = step;
                    self.stage.set_gap(self.spec.ramp.gap(&step, self.spec.arms.len()));
                }
            }
        }
    }

    fn decide(&mut self, verdict: Verdict, changes: &mut Vec<Change>) {
        let winner = match verdict {
            Verdict::Promote { arm, .. } if arm != CONTROL => Some(arm),
            _ => None,
        };
        self.verdict = Some(verdict);
        self.epoch += 1;
        if let Some(winner) = winner {
            changes.push(Change::Promoted(winner));
        }
        let Some((winner, confirmation)) = winner.zip(self.spec.confirmation) else {
            self.end(changes);
            return;
        };
        self.phase = Phase::Confirming;
        let seed = mix(self.spec.seed, u64::from(self.epoch));
        let shares =
            Allocation::confirming(self.spec.seed, self.epoch, self.spec.arms.len(), winner, confirmation.holdout);
        let shares = vec![shares.shares()[CONTROL], shares.shares()[winner]];
        // One round has a block of the holdout; the winner's own blocks between rounds make the share right.
        let gap = ((1.0 / confirmation.holdout).round() as u32).saturating_sub(2);
        self.stage = Stage::begin(&self.spec, vec![CONTROL, winner], shares, (gap, WINNER), seed, self.now_ms);
    }

    fn confirm(&mut self, changes: &mut Vec<Change>) {
        let confirmation = self.spec.confirmation.unwrap_or_default();
        let Some(confirmed) = confirmation::look(&self.spec, &confirmation, &self.stage, self.now_ms) else { return };
        if matches!(confirmed, Confirmed::Reverted { .. }) {
            changes.push(Change::Reverted);
        }
        self.confirmed = Some(confirmed);
        self.end(changes);
    }

    fn end(&mut self, changes: &mut Vec<Change>) {
        self.phase = Phase::Ended;
        changes.push(Change::Ended);
    }

    fn check_switch(&mut self, changes: &mut Vec<Change>) {
        let Some(current) = self.stage.rounds().map(|rounds| *rounds.current()) else { return };
        let waited_ms = self.now_ms.saturating_sub(current.called_ms);
        if current.in_effect_ms.is_none() && waited_ms >= SWITCH_AT_MOST_MS {
            let name = &self.spec.arms[self.stage.arm(current.place)].name;
            let why = format!("{name} was not in service {} s after its turn began", waited_ms / 1_000);
            changes.extend(self.stop(self.now_ms, &why));
        }
    }

    /// In a switchback: the arm that [`Allocation::serving`] names serves since `at_ms`.
    pub fn in_effect(&mut self, at_ms: u64) {
        self.stage.in_effect(at_ms);
    }

    /// Ends at once; the arm that was in service before, or was promoted, serves. Also for an arm that cannot be put in
    /// service: a promotion that is being confirmed is then taken back.
    pub fn stop(&mut self, now_ms: u64, why: &str) -> Vec<Change> {
        self.now_ms = self.now_ms.max(now_ms);
        let mut changes = Vec::new();
        match self.phase {
            Phase::Ended => return changes,
            Phase::Running => self.verdict = Some(Verdict::Stopped { why: why.to_owned() }),
            Phase::Confirming => {
                self.confirmed = Some(Confirmed::Reverted { why: why.to_owned() });
                changes.push(Change::Reverted);
            }
        }
        self.epoch += 1;
        self.end(&mut changes);
        self.allocation = self.allocate();
        changes.push(Change::Allocated);
        changes
    }

    /// Goes on after the process was restarted. What was under way then has no end that anybody saw; its deadline makes it
    /// a failure. A block that was cut through does not count.
    pub fn resume(&mut self, now_ms: u64) {
        self.now_ms = self.now_ms.max(now_ms);
        if self.phase != Phase::Ended {
            self.stage.restart_round(self.now_ms);
            self.allocation = self.allocate();
        }
    }

    /// Who gets which arm now.
    pub fn allocation(&self) -> &Allocation {
        &self.allocation
    }

    fn allocate(&self) -> Allocation {
        let Self { spec, epoch, .. } = self;
        let (seed, epoch, arms) = (spec.seed, *epoch, spec.arms.len());
        if self.phase == Phase::Ended {
            return Allocation::single(seed, epoch, arms, self.in_service(), None);
        }
        if let Some(current) = self.stage.rounds().map(|rounds| rounds.current()) {
            return Allocation::single(seed, epoch, arms, self.stage.arm(current.place), current.block);
        }
        match (self.phase, self.spec.confirmation) {
            (Phase::Confirming, Some(confirmation)) => {
                Allocation::confirming(seed, epoch, arms, self.in_service(), confirmation.holdout)
            }
            _ => Allocation::equal(seed, epoch, &self.is_alive, spec.ramp.enrolled(&self.step, arms)),
        }
    }

    /// The arm that serves whoever takes no part: the incumbent, or the winner from its promotion on.
    pub fn in_service(&self) -> usize {
        match (&self.verdict, &self.confirmed) {
            (Some(Verdict::Promote { .. }), Some(Confirmed::Reverted { .. })) => CONTROL,
            (Some(Verdict::Promote { arm, .. }), _) => *arm,
            _ => CONTROL,
        }
    }

    /// Its terms.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// How the comparison ended; `None` while it runs.
    pub fn verdict(&self) -> Option<&Verdict> {
        self.verdict.as_ref()
    }

    /// How the confirmation ended.
    pub fn confirmed(&self) -> Option<&Confirmed> {
        self.confirmed.as_ref()
    }

    pub(super) fn stage(&self) -> &Stage {
        &self.stage
    }

    pub(super) fn step(&self) -> &Step {
        &self.step
    }

    pub(super) fn dropped(&self) -> &[(usize, Metric)] {
        &self.dropped
    }

    pub(super) fn duplicates(&self) -> u64 {
        self.duplicates
    }

    pub(super) fn times_ms(&self) -> (u64, u64) {
        (self.started_ms, self.now_ms)
    }
}
