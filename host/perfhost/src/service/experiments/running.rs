//! One experiment under way: gathers what workers report, lets the experiment look, and acts on what it decides.
//!
//! Owns the order of these steps. What is decided, and when, is `perfhost_strategy::experiment`'s business alone.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use perfhost_gateway::experiment::{Inlet, LiveExperiment, MOST_EVENTS, Outlet, outlet};
use perfhost_strategy::experiment::{Batch, CONTROL, Change, Confirmed, Event, Experiment, Phase, Regime, Verdict};
use perfhost_strategy::{Settings, Shared};
use tracing::{info, warn};

use super::arms::{self, RunningArm};
use super::record::Record;
use super::{ExperimentError, Parts};
use crate::service::promotion::{PromotedKnob, Promotion};

/// Events that one batch holds at most; the rest waits for the next look.
const MOST_IN_A_BATCH: usize = 50_000;

/// Requests that can be scored: the last ones.
const MOST_SCORABLE: usize = 65_536;

/// Scores that wait for the next look.
const MOST_SCORES: usize = 10_000;

/// A killed host goes on from the record and the batches after it; this bounds how many there are.
const BETWEEN_RECORDS_MS: u64 = 10_000;

/// Cycles for which an arm tunes before the next does, where arms serve at the same time: a minute at the default interval.
const LANE_CYCLES: u64 = 12;

/// An experiment under way.
pub(super) struct Running {
    pub(super) record: Record,
    arms: Vec<RunningArm>,
    outlet: Outlet,
    inlet: Inlet,
    source: u64,
    sequence: u64,
    /// The arm whose settings are in force, or that tunes.
    turn: Option<usize>,
    /// Since when the arm of a switchback serves; `None` while it does not yet.
    in_effect_ms: Option<u64>,
    /// Versions of the settings that workers were given last.
    published: Vec<u64>,
    scorable: BTreeMap<u64, (usize, u32)>,
    scorable_order: VecDeque<u64>,
    scores: Vec<Event>,
    recorded_ms: u64,
}

impl Running {
    /// Goes on with `record`, new or from before a restart, with these arms.
    pub(super) fn begin(
        parts: &Parts,
        record: Record,
        mut arms: Vec<RunningArm>,
        now_ms: u64,
    ) -> Result<Self, ExperimentError> {
        let is_fixed = arms::is_fixed(&arms);
        let is_together = record.experiment.spec().choice.regime == Regime::PerRequest;
        for arm in arms.iter_mut().skip(1).filter(|_| is_together && !is_fixed) {
            arm.own = Some(Arc::new(Shared::new(Arc::new(arm.settings.clone()))));
        }
        let (outlet, inlet) = outlet(MOST_EVENTS);
        let mut running = Self {
            record,
            arms,
            outlet,
            inlet,
            // As SQLite keeps it, and none but this process has it.
            source: fastrand::u64(1..1 << 62),
            sequence: 0,
            turn: None,
            in_effect_ms: None,
            published: Vec::new(),
            scorable: BTreeMap::new(),
            scorable_order: VecDeque::new(),
            scores: Vec::new(),
            recorded_ms: 0,
        };
        running.take_turns(parts, now_ms);
        running.publish(parts);
        running.write(parts, now_ms)?;
        Ok(running)
    }

    /// One look. Whether the experiment is over.
    pub(super) fn tick(&mut self, parts: &Parts, now_ms: u64) -> bool {
        self.gather(parts);
        let mut changes = match self.trouble(parts) {
            Some(why) => self.record.experiment.stop(now_ms, &why),
            None => self.record.experiment.tick(now_ms),
        };
        if !changes.is_empty() {
            self.act(parts, &changes, now_ms);
        }
        let has_happened = changes.iter().any(|change| *change != Change::Allocated);
        let Record { experiment, trail, .. } = &mut self.record;
        let is_confirming = matches!(experiment.verdict(), Some(Verdict::Promote { .. }));
        trail.look(now_ms, is_confirming, has_happened, || experiment.status());
        if experiment.phase() == Phase::Ended {
            return true;
        }
        if self.take_turns(parts, now_ms) {
            changes.push(Change::Allocated);
        }
        self.publish(parts);
        let is_due = now_ms.saturating_sub(self.recorded_ms) >= BETWEEN_RECORDS_MS;
        if (!changes.is_empty() || is_due)
            && let Err(error) = self.write(parts, now_ms)
        {
            warn!(%error, "the experiment could not be written down");
        }
        false
    }

    /// Somebody ends it.
    pub(super) fn stop(&mut self, parts: &Parts, why: &str, now_ms: u64) {
        self.gather(parts);
        let changes = self.record.experiment.stop(now_ms, why);
        self.act(parts, &changes, now_ms);
    }

    /// Takes a score for a request that was counted; whether it was.
    pub(super) fn score(&mut self, parts: &Parts, id: u64, score: f64) -> bool {
        if !self.scorable.contains_key(&id) {
            self.gather(parts);
        }
        let Some((arm, epoch)) = self.scorable.get(&id).copied() else { return false };
        let has_room = self.scores.len() < MOST_SCORES;
        if has_room {
            self.scores.push(Event::Scored { id, arm, epoch, score });
        }
        has_room
    }

    /// Writes down how it stands.
    pub(super) fn write(&mut self, parts: &Parts, now_ms: u64) -> Result<(), ExperimentError> {
        let providers = parts.provider_names();
        self.note_settings(parts);
        self.record.arms = self.arms.iter().map(|arm| arm.record(&providers)).collect();
        self.record.unreported = self.inlet.refused();
        self.recorded_ms = now_ms;
        self.record.write(&parts.store)
    }

    /// What the arm whose turn it is has come to.
    fn note_settings(&mut self, parts: &Parts) {
        let is_tuned = self.record.experiment.spec().is_switchback() && !arms::is_fixed(&self.arms);
        if let Some(turn) = self.turn.filter(|_| is_tuned) {
            self.arms[turn].settings = parts.tuner.settled();
        }
    }

    /// It is over: everybody is served by the arm that stays, with its settings, and the rest is given back.
    pub(super) fn end(mut self, parts: &Parts, now_ms: u64) -> Record {
        let stays = self.record.experiment.in_service();
        let settings = self.settings_of(stays, &parts.settings.load());
        self.note_settings(parts);
        self.turn = None;
        parts.live.store(Arc::new(None));
        parts.tuner.end_turns(stays as u32, Some(settings));
        parts.strategies.dismiss();
        self.gather(parts);
        self.record.ended_ms = Some(now_ms);
        let next = self.record.experiment.status().forecast.next;
        info!(experiment = self.record.id, "ended: {next}");
        self.record.trail.note(now_ms, format!("ended: {next}"));
        if let Err(error) = self.write(parts, now_ms) {
            warn!(%error, "the experiment could not be written down");
        }
        self.record
    }

    fn gather(&mut self, parts: &Parts) {
        let mut events = self.inlet.take(MOST_IN_A_BATCH);
        events.append(&mut self.scores);
        if events.is_empty() {
            return;
        }
        self.note(&events);
        self.sequence += 1;
        let batch = Batch { source: self.source, sequence: self.sequence, events };
        self.record.experiment.apply(&batch);
        parts.store.record_batch(self.record.id, batch);
    }

    /// Remembers what the experiment itself does not: classes, and who may be scored.
    fn note(&mut self, events: &[Event]) {
        let Record { experiment, classes, .. } = &mut self.record;
        let (metric, slo) = (experiment.spec().objective.metric, experiment.spec().slo);
        let burn_in_ms = match experiment.spec().choice.regime {
            Regime::Switchback(timing) => timing.burn_in_ms,
            Regime::PerRequest => 0,
        };
        for event in events {
            match event {
                Event::Assigned(request) => {
                    // What burn-in leaves out of the verdict is left out here too.
                    let is_settled = burn_in_ms == 0
                        || self.in_effect_ms.is_some_and(|since_ms| request.at_ms >= since_ms + burn_in_ms);
                    if is_settled {
                        classes.assigned(request);
                    }
                    if self.scorable.insert(request.id, (request.arm, request.epoch)).is_none() {
                        self.scorable_order.push_back(request.id);
                    }
                    if self.scorable_order.len() > MOST_SCORABLE
                        && let Some(oldest) = self.scorable_order.pop_front()
                    {
                        self.scorable.remove(&oldest);
                    }
                }
                Event::Finished { id, outcome, .. } => classes.finished(*id, outcome, &metric, &slo),
                Event::Scored { .. } => {}
            }
        }
    }

    /// What makes going on pointless.
    fn trouble(&self, parts: &Parts) -> Option<String> {
        let expected = &self.arms[self.record.experiment.in_service()];
        let serving = parts.strategies.serving();
        if serving.digest != expected.enlisted.digest() {
            return Some(format!(
                "{}@{} was put in service in place of {}",
                serving.name, serving.version, expected.name
            ));
        }
        parts.tuner.lane_failure()
    }

    fn act(&mut self, parts: &Parts, changes: &[Change], now_ms: u64) {
        for change in changes {
            let what = match change {
                Change::Allocated => continue,
                Change::Ended => continue,
                Change::Dropped(arm, metric) => {
                    format!("{} is out: it made {} worse than accepted", self.arms[*arm].name, metric.name())
                }
                Change::Promoted(arm) => {
                    self.put_in_service(parts, *arm);
                    self.note_promotion(now_ms);
                    format!("{} is promoted", self.arms[*arm].name)
                }
                // What somebody has put in service meanwhile stays.
                Change::Reverted if !self.has_winner_in_service(parts) => continue,
                Change::Reverted => {
                    self.put_in_service(parts, CONTROL);
                    format!("{} is back in service", self.arms[CONTROL].name)
                }
            };
            info!(experiment = self.record.id, "{what}");
            self.record.trail.note(now_ms, what);
        }
        let Record { experiment, trail, .. } = &mut self.record;
        if changes.contains(&Change::Ended) {
            let what = match (experiment.verdict(), experiment.confirmed()) {
                (_, Some(Confirmed::Confirmed)) => "confirmed: the winner is better on fresh figures too".to_owned(),
                (_, Some(Confirmed::Kept { why })) => format!("not confirmed, and kept: {why}"),
                (_, Some(Confirmed::Reverted { why })) => format!("taken back: {why}"),
                (Some(verdict), None) => verdict_in_words(experiment, verdict),
                (None, None) => return,
            };
            trail.note(now_ms, what);
        }
    }

    fn has_winner_in_service(&self, parts: &Parts) -> bool {
        let serving = parts.strategies.serving().digest;
        match self.record.experiment.verdict() {
            Some(Verdict::Promote { arm, .. }) => self.arms[*arm].enlisted.digest() == serving,
            _ => false,
        }
    }

    /// For a restart: what has been put in service and stays, with the knobs that make it. An incumbent that stays was there
    /// before; of it only the knobs count, where an earlier promotion is kept.
    pub(super) fn promotion(&self, parts: &Parts) -> Option<Promotion> {
        let stays = self.record.experiment.in_service();
        let arm = self.arms.get(stays)?;
        let before = Promotion::read(&parts.store).filter(|before| before.digest == arm.enlisted.digest());
        let is_kept = stays != CONTROL || (before.is_some() && !arm.fixed.is_empty());
        if !is_kept || parts.strategies.serving().digest != arm.enlisted.digest() {
            return None;
        }
        let config = parts.config.lock().clone();
        let knobs = arm.fixed.iter().map(|(id, scope, value)| PromotedKnob {
            name: id.name().to_owned(),
            scope: scope.clone(),
            value: value.clone(),
            configured: config.settings.value(*id, scope),
        });
        Some(Promotion {
            experiment: self.record.id,
            plugins: config.plugins.clone(),
            configured: parts.strategies.configured(),
            strategy: arm.enlisted.label(),
            digest: arm.enlisted.digest().to_owned(),
            on: parts.tuner.surroundings().in_words(),
            knobs: knobs.collect(),
        })
    }

    fn note_promotion(&mut self, now_ms: u64) {
        let Record { experiment, trail, .. } = &mut self.record;
        if let Some(Verdict::Promote { arm, gain, gains }) = experiment.verdict() {
            let metric = &experiment.spec().objective.metric;
            let changes = gains.map(|gains| metric.changes(gains));
            let range = changes.map(|changes| (changes.lower, changes.upper));
            trail.decided(now_ms, &experiment.spec().arms[*arm].name, metric.change(*gain), range);
        }
    }

    fn put_in_service(&mut self, parts: &Parts, arm: usize) {
        let detail = format!("experiment {}", self.record.id);
        let enlisted = parts.strategies.promote(&self.arms[arm].enlisted, &detail);
        self.arms[arm].enlisted = enlisted;
    }

    /// Lets the arm that is due have its turn. Whether another one has.
    fn take_turns(&mut self, parts: &Parts, now_ms: u64) -> bool {
        let Record { experiment, .. } = &self.record;
        let is_fixed = arms::is_fixed(&self.arms);
        let due = match experiment.spec().choice.regime {
            Regime::Switchback(_) => experiment.allocation().serving().unwrap_or(CONTROL),
            Regime::PerRequest if is_fixed => experiment.in_service(),
            Regime::PerRequest => {
                let lane_ms = LANE_CYCLES * parts.tuner.interval().as_millis().max(1) as u64;
                (now_ms / lane_ms) as usize % self.arms.len()
            }
        };
        let is_switchback = experiment.spec().is_switchback();
        let has_changed = self.turn != Some(due);
        if has_changed {
            let settings = is_switchback.then(|| self.arms[due].settings.clone());
            let left = parts.tuner.take_turn(self.arms[due].lane(due, is_fixed), settings);
            if let Some(before) = self.turn.filter(|_| is_switchback && !is_fixed) {
                self.arms[before].settings = left;
            }
            self.turn = Some(due);
        }
        if is_switchback {
            self.note_effect(parts, now_ms, has_changed);
        }
        has_changed
    }

    /// A block counts from when its arm serves: at once, or when an engine has started with its settings. Each block asks
    /// anew, also when the same arm goes on.
    fn note_effect(&mut self, parts: &Parts, now_ms: u64, has_changed: bool) {
        if has_changed {
            self.in_effect_ms = None;
        }
        if parts.tuner.is_in_effect() {
            self.record.experiment.in_effect(now_ms);
            self.in_effect_ms.get_or_insert(now_ms);
        }
    }

    /// Tells workers who serves whom, if that has changed.
    fn publish(&mut self, parts: &Parts) {
        let experiment = &self.record.experiment;
        let regime = &experiment.spec().choice.regime;
        let host = parts.settings.load();
        let live = parts.live.load();
        let versions: Vec<u64> = match regime {
            // Where arms take turns workers read the host's settings anyway.
            Regime::Switchback(_) => Vec::new(),
            Regime::PerRequest => {
                let own = self.arms.iter().map(|arm| arm.own.as_ref().map_or(0, |own| own.version()));
                std::iter::once(host.version).chain(own).collect()
            }
        };
        let generations = self.arms.iter().map(|arm| &arm.enlisted.generation);
        let is_current = live.as_ref().as_ref().is_some_and(|live| {
            live.allocation == *experiment.allocation()
                && live.arms.iter().zip(generations).all(|(live, ours)| Arc::ptr_eq(&live.generation, ours))
        });
        if is_current && versions == self.published {
            return;
        }
        self.published = versions;
        let live = LiveExperiment {
            allocation: experiment.allocation().clone(),
            unit: experiment.spec().unit,
            arms: self.arms.iter().map(|arm| arm.live(regime, &host)).collect(),
            outlet: self.outlet.clone(),
        };
        parts.live.store(Arc::new(Some(live)));
    }

    /// What the host's settings are to be when this arm alone serves.
    fn settings_of(&self, arm: usize, host: &Settings) -> Settings {
        match self.record.experiment.spec().choice.regime {
            Regime::Switchback(_) if self.turn == Some(arm) => host.clone(),
            Regime::Switchback(_) => self.arms[arm].settings.clone(),
            Regime::PerRequest => self.arms[arm].beside(host),
        }
    }
}

fn verdict_in_words(experiment: &Experiment, verdict: &Verdict) -> String {
    let name = |arm: &usize| experiment.spec().arms[*arm].name.clone();
    match verdict {
        Verdict::Promote { arm, .. } => format!("{} is better", name(arm)),
        Verdict::NoDifference => "no difference worth a change".to_owned(),
        Verdict::Inconclusive { why } => format!("inconclusive: {why}"),
        Verdict::GuardrailBreach { arm, metric } => format!("{} made {} worse than accepted", name(arm), metric.name()),
        Verdict::SampleRatioMismatch => "arms did not get their shares of traffic".to_owned(),
        Verdict::Stopped { why } => format!("stopped: {why}"),
    }
}
