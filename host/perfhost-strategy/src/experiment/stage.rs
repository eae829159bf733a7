//! One stage of an experiment, running or confirming: its arms, what is under way, and all that was counted.
//!
//! Arms have *places* in a stage; place 0 is the incumbent, with which the others are compared.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::arm::CONTROL;
use super::assignment::Unit;
use super::event::Assigned;
use super::measure::Measure;
use super::metric::Metric;
use super::outcome::Outcome;
use super::regime::Regime;
use super::rounds::{Rounds, Turn};
use super::settlement::Settlement;
use super::spec::Spec;
use super::statistics::SampleRatio;
use super::statistics::adjustment::MOST_COVARIATES;

/// Requests whose scores are remembered, so that a second score for one changes nothing.
const MOST_SCORED: usize = 4_096;

/// What is counted in one stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// Index into [`Spec::arms`], by place.
    arms: Vec<usize>,
    /// Shares among counted units, by place.
    shares: Vec<f64>,
    /// Places that take no further part.
    is_out: Vec<bool>,
    /// The objective first, then the guardrails.
    measures: Vec<Measure>,
    settlement: Settlement,
    /// Of units, by place; in a switchback time decides, not chance.
    sample_ratio: Option<SampleRatio>,
    rounds: Option<Rounds>,
    started_ms: u64,
    scored: VecDeque<u64>,
}

impl Stage {
    /// A stage that begins now. `shares` are by place; a switchback has `gap` blocks of `gap_place` between rounds.
    pub fn begin(spec: &Spec, arms: Vec<usize>, shares: Vec<f64>, gap: (u32, usize), seed: u64, now_ms: u64) -> Self {
        let regime = &spec.choice.regime;
        let metrics: Vec<Metric> = [spec.objective.metric]
            .into_iter()
            .chain(spec.guardrails.iter().map(|guardrail| guardrail.metric))
            .collect();
        let gains = std::iter::once(spec.gains())
            .chain(spec.guardrails.iter().map(|guardrail| vec![guardrail.metric.loss_of(guardrail.tolerance), 0.0]));
        let both_sides = spec.level.split(spec.challengers());
        let measures = metrics.iter().zip(gains);
        let measures = measures.map(|(metric, gains)| Measure::new(*metric, regime, arms.len(), &gains, both_sides));
        let mut stage = Self {
            measures: measures.collect(),
            settlement: Settlement::new(spec.slo, metrics),
            sample_ratio: (*regime == Regime::PerRequest).then(|| SampleRatio::new(arms.len())),
            rounds: None,
            is_out: vec![false; arms.len()],
            started_ms: now_ms,
            scored: VecDeque::new(),
            arms,
            shares,
        };
        if let Regime::Switchback(timing) = *regime {
            let (gap, gap_place) = gap;
            let (rounds, turn) = Rounds::begin(seed, timing, stage.arms.len(), gap, gap_place, now_ms);
            stage.rounds = Some(rounds);
            stage.follow(&turn);
        }
        stage
    }

    /// A counted request got its arm. `shares` are those of the present allocation, by index into [`Spec::arms`].
    pub fn assigned(&mut self, assigned: &Assigned, unit: Unit, shares: &[f64]) {
        let Assigned { id, unit: key, at_ms, covariates, .. } = *assigned;
        let Some(place) = self.place(assigned.arm).filter(|place| !self.is_out[*place]) else { return };
        if let Some(rounds) = &self.rounds {
            if let Some(block) = assigned.block.filter(|block| rounds.is_counted(*block, at_ms)) {
                self.settlement.assign_to_block(id, block, at_ms);
            }
            return;
        }
        let before = self.settlement.units();
        if unit == Unit::Request {
            self.settlement.assign_request(id, place, at_ms, covariates);
        } else {
            self.settlement.assign_member(id, key, place, at_ms, covariates);
        }
        if let Some(ratio) = self.sample_ratio.as_mut().filter(|_| self.settlement.units() > before) {
            let shares: Vec<f64> = self.arms.iter().map(|arm| shares.get(*arm).copied().unwrap_or(0.0)).collect();
            ratio.observe(place, &shares);
        }
    }

    /// A request ended.
    pub fn finished(&mut self, id: u64, outcome: &Outcome) {
        self.settlement.finish(id, outcome);
    }

    /// Somebody scored a request. The first score counts.
    pub fn scored(&mut self, id: u64, arm: usize, score: f64) {
        let Some(place) = self.place(arm) else { return };
        if !(0.0..=1.0).contains(&score) || self.scored.contains(&id) {
            return;
        }
        self.scored.push_back(id);
        if self.scored.len() > MOST_SCORED {
            self.scored.pop_front();
        }
        for measure in self.measures.iter_mut().filter(|measure| *measure.metric() == Metric::Feedback) {
            measure.observe(place, &self.shares, score, &[0.0; MOST_COVARIATES]);
        }
    }

    /// Counts what is settled by now.
    pub fn settle(&mut self, now_ms: u64) {
        for unit in self.settlement.take_settled(now_ms) {
            if let (Some(rounds), Some(block)) = (&mut self.rounds, unit.key) {
                let Some(round) = rounds.settle(block, unit.tallies) else { continue };
                let counted_ms = rounds.counted_ms();
                let mut is_void = false;
                for (at, measure) in self.measures.iter_mut().enumerate() {
                    let blocks: Vec<_> = round.iter().map(|tallies| tallies.get(at)).collect();
                    is_void |= !measure.observe_round(&blocks, counted_ms) && at == 0;
                }
                rounds.note(is_void);
            } else if !self.is_out[unit.place] {
                for (measure, tally) in self.measures.iter_mut().zip(&unit.tallies) {
                    if let Some(value) = tally.unit_value() {
                        measure.observe(unit.place, &self.shares, value, &unit.covariates);
                    }
                }
            }
        }
    }

    /// Lets the timetable of a switchback go on; whether another arm, or another block, begins.
    pub fn tick(&mut self, now_ms: u64) -> bool {
        let Some(turn) = self.rounds.as_mut().and_then(|rounds| rounds.tick(now_ms)) else { return false };
        self.follow(&turn);
        true
    }

    /// The arm that was called for serves.
    pub fn in_effect(&mut self, at_ms: u64) {
        if let Some(rounds) = &mut self.rounds {
            rounds.in_effect(at_ms);
        }
    }

    /// Begins the round under way anew.
    pub fn restart_round(&mut self, now_ms: u64) {
        if let Some(turn) = self.rounds.as_mut().map(|rounds| rounds.restart(now_ms)) {
            self.follow(&turn);
        }
    }

    /// Another number of uncounted blocks between rounds.
    pub fn set_gap(&mut self, gap: u32) {
        if let Some(rounds) = &mut self.rounds {
            rounds.set_gap(gap);
        }
    }

    /// The arm at `place` takes no further part.
    pub fn drop_place(&mut self, place: usize, now_ms: u64) {
        self.is_out[place] = true;
        if let Some(rounds) = &mut self.rounds {
            rounds.drop_place(place);
            self.restart_round(now_ms);
        }
    }

    fn follow(&mut self, turn: &Turn) {
        if let Some((block, at_ms)) = turn.closed {
            self.settlement.close_block(block, at_ms);
        }
        if let Some((block, place)) = turn.opened {
            self.settlement.open_block(block, place);
        }
    }

    /// Place of an arm.
    pub fn place(&self, arm: usize) -> Option<usize> {
        self.arms.iter().position(|of| *of == arm)
    }

    /// The arm at `place`; the incumbent for one that does not exist.
    pub fn arm(&self, place: usize) -> usize {
        self.arms.get(place).copied().unwrap_or(CONTROL)
    }

    /// Places of challengers that take part.
    pub fn challengers(&self) -> impl Iterator<Item = usize> + '_ {
        (1..self.arms.len()).filter(|place| !self.is_out[*place])
    }

    /// The objective.
    pub fn objective(&self) -> &Measure {
        &self.measures[0]
    }

    /// The guardrails, in the order of [`Spec::guardrails`].
    pub fn guardrails(&self) -> &[Measure] {
        &self.measures[1..]
    }

    /// What is under way.
    pub fn settlement(&self) -> &Settlement {
        &self.settlement
    }

    /// The check of shares; none in a switchback.
    pub fn sample_ratio(&self) -> Option<&SampleRatio> {
        self.sample_ratio.as_ref()
    }

    /// The timetable of a switchback.
    pub fn rounds(&self) -> Option<&Rounds> {
        self.rounds.as_ref()
    }

    /// When it began, Unix time in milliseconds.
    pub fn started_ms(&self) -> u64 {
        self.started_ms
    }

    /// Settled units, or rounds, of the arm with fewest.
    pub fn fewest(&self) -> u64 {
        match &self.rounds {
            Some(rounds) => rounds.complete(),
            None => (0..self.arms.len())
                .filter(|place| !self.is_out[*place])
                .map(|place| self.objective().count(place))
                .min()
                .unwrap_or(0),
        }
    }
}
