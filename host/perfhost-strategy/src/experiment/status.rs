//! How an experiment stands, for people and the API: effects with their intervals, samples, shares, what comes next and how
//! long it may take.

use serde::Serialize;

use super::arm::CONTROL;
use super::comparison::Comparison;
use super::confirmation::{Confirmed, WINNER};
use super::measure::Measure;
use super::metric::Metric;
use super::regime::Choice;
use super::run::{Experiment, Phase};
use super::spec::Spec;
use super::statistics::{Interval, Level};
use super::verdict::{Verdict, side, unproven};

/// One challenger against the incumbent in one metric. Changes are challenger against incumbent: a difference of shares,
/// a ratio minus 1 for times, or a difference in the metric's unit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Effect {
    /// The challenger.
    pub challenger: String,
    /// Metric's name.
    pub metric: &'static str,
    /// Whether less of it is better.
    pub is_less_better: bool,
    /// The change so far.
    pub change: Option<f64>,
    /// Smallest change that is not excluded, at all looks together.
    pub lower: Option<f64>,
    /// Largest change that is not excluded.
    pub upper: Option<f64>,
    /// The incumbent's figure.
    pub incumbent: Option<f64>,
    /// The challenger's.
    pub figure: Option<f64>,
    /// Units of both, or rounds.
    pub samples: u64,
}

/// One arm.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ArmStatus {
    /// Its name.
    pub name: String,
    /// Share of all traffic that it serves and that is counted, 0 to 1; in a switchback the share of time.
    pub share: f64,
    /// Units (requests, sessions or users) settled, or blocks.
    pub samples: u64,
    /// Why it is out, if it is.
    pub out: Option<String>,
}

/// What may happen, and when.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Forecast {
    /// For people.
    pub next: String,
    /// At the present pace and effect: milliseconds until something is shown. `None` when that cannot be said.
    pub expected_ms: Option<u64>,
    /// Milliseconds until time runs out.
    pub at_most_ms: u64,
}

/// An experiment at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// Running, confirming or ended.
    pub phase: Phase,
    /// How arms share traffic, and why.
    pub choice: Choice,
    /// Since when, Unix time in milliseconds.
    pub started_ms: u64,
    /// The arms.
    pub arms: Vec<ArmStatus>,
    /// The objective, by challenger.
    pub effects: Vec<Effect>,
    /// The guardrails, by challenger.
    pub guardrails: Vec<Effect>,
    /// Step of the ramp, counted from 1, and how many there are with that of equal shares.
    pub ramp_step: (usize, usize),
    /// Probability of a mismatch as large as seen, if shares were right; `None` in a switchback.
    pub sample_ratio_p: Option<f64>,
    /// Requests under way.
    pub under_way: usize,
    /// Results that came after the deadline had settled them.
    pub late_results: u64,
    /// Requests not counted for want of room.
    pub turned_away: u64,
    /// Batches that came twice.
    pub duplicates: u64,
    /// Rounds that gave no observation.
    pub void_rounds: u64,
    /// How it ended.
    pub verdict: Option<Verdict>,
    /// How the confirmation ended.
    pub confirmed: Option<Confirmed>,
    /// What comes next.
    pub forecast: Forecast,
}

impl Experiment {
    /// How it stands at the last tick.
    pub fn status(&self) -> Status {
        let (spec, stage) = (self.spec(), self.stage());
        let (started_ms, _) = self.times_ms();
        let of = |measure: &Measure, side: Level| -> Vec<Effect> {
            stage.challengers().filter_map(|place| effect(spec, measure, stage.arm(place), place, side)).collect()
        };
        let side = side(spec);
        Status {
            name: spec.name.clone(),
            phase: self.phase(),
            choice: spec.choice.clone(),
            started_ms,
            arms: (0..spec.arms.len()).map(|arm| self.arm_status(arm)).collect(),
            effects: of(stage.objective(), side),
            guardrails: stage.guardrails().iter().flat_map(|measure| of(measure, side)).collect(),
            ramp_step: (self.step().at + 1, spec.ramp.shares.len() + 1),
            sample_ratio_p: stage.sample_ratio().map(|ratio| ratio.p_value()),
            under_way: stage.settlement().open(),
            late_results: stage.settlement().late(),
            turned_away: stage.settlement().turned_away(),
            duplicates: self.duplicates(),
            void_rounds: stage.rounds().map_or(0, |rounds| rounds.void()),
            verdict: self.verdict().cloned(),
            confirmed: self.confirmed().cloned(),
            forecast: self.forecast(),
        }
    }

    fn arm_status(&self, arm: usize) -> ArmStatus {
        let (spec, stage) = (self.spec(), self.stage());
        let place = stage.place(arm);
        let share = match (self.phase(), stage.rounds()) {
            (Phase::Ended, _) => f64::from(arm == self.in_service()),
            (_, None) => self.allocation().counted(arm),
            (_, Some(rounds)) => place.map_or(0.0, |place| rounds.share(place)),
        };
        ArmStatus {
            name: spec.arms[arm].name.clone(),
            share,
            samples: place.map_or(0, |place| stage.objective().count(place)),
            out: self
                .dropped()
                .iter()
                .find(|(dropped, _)| *dropped == arm)
                .map(|(_, metric)| format!("it made {} worse than accepted", metric.name())),
        }
    }

    fn forecast(&self) -> Forecast {
        let (spec, stage) = (self.spec(), self.stage());
        let (_, now_ms) = self.times_ms();
        let elapsed_ms = now_ms.saturating_sub(stage.started_ms());
        let left = |at_most_ms: u64| at_most_ms.saturating_sub(elapsed_ms);
        match self.phase() {
            Phase::Ended => Forecast { next: self.ending(), expected_ms: None, at_most_ms: 0 },
            Phase::Confirming => {
                let at_most_ms = left(spec.confirmation.unwrap_or_default().at_most_ms);
                let seen = stage.objective().comparison(WINNER);
                let expected_ms =
                    seen.and_then(|seen| needed_ms(seen, 0.0, spec.level, elapsed_ms)).filter(|ms| *ms <= at_most_ms);
                let next = format!("{} serves and is compared again with a holdout", spec.arms[self.in_service()].name);
                Forecast { next, expected_ms, at_most_ms }
            }
            Phase::Running => {
                let at_most_ms = left(spec.at_most_ms);
                let worth = spec.objective.metric.gain_of(spec.objective.minimum_effect);
                let leader =
                    stage.challengers().filter_map(|place| Some((place, stage.objective().comparison(place)?))).max_by(
                        |(_, a), (_, b)| a.estimate().unwrap_or(f64::MIN).total_cmp(&b.estimate().unwrap_or(f64::MIN)),
                    );
                let expected_ms = leader
                    .and_then(|(_, seen)| needed_ms(seen, worth, side(spec), elapsed_ms))
                    .filter(|ms| *ms <= at_most_ms);
                let next = leader.map_or_else(String::new, |(place, seen)| self.expectation(place, seen, worth));
                Forecast { next, expected_ms, at_most_ms }
            }
        }
    }

    fn expectation(&self, place: usize, seen: &Comparison, worth: f64) -> String {
        let (spec, stage) = (self.spec(), self.stage());
        let (challenger, incumbent) = (&spec.arms[stage.arm(place)].name, &spec.arms[0].name);
        let Some(gain) = seen.estimate() else { return "no outcome is settled yet".to_owned() };
        let unproven: Vec<_> = unproven(spec, stage, place).map(|metric: Metric| metric.name()).collect();
        if seen.is_above(worth, side(spec)) && !unproven.is_empty() {
            return format!(
                "{challenger} is better; it is promoted when {} is shown to be unharmed",
                unproven.join(", ")
            );
        }
        if gain > worth {
            format!("{challenger} leads; it is promoted when its gain is shown to be worth the change")
        } else if gain < -worth {
            format!("{incumbent} leads; it stays when that is shown")
        } else {
            format!("no difference worth a change so far; {incumbent} stays when that is shown")
        }
    }

    fn ending(&self) -> String {
        let serving = &self.spec().arms[self.in_service()].name;
        match (self.verdict(), self.confirmed()) {
            (Some(Verdict::Promote { .. }), Some(Confirmed::Reverted { why })) => format!("{serving} is back: {why}"),
            (Some(Verdict::Promote { .. }), Some(Confirmed::Kept { why })) => {
                format!("{serving} stays in service: {why}")
            }
            (Some(Verdict::Promote { arm: CONTROL, .. }), _) => format!("{serving} is better and stays"),
            (Some(Verdict::Promote { .. }), _) => format!("{serving} is in service"),
            (Some(Verdict::NoDifference), _) => format!("no difference worth a change; {serving} stays"),
            (Some(Verdict::Inconclusive { why } | Verdict::Stopped { why }), _) => format!("{serving} stays: {why}"),
            (Some(Verdict::GuardrailBreach { arm, metric }), _) => {
                let breacher = &self.spec().arms[*arm].name;
                format!("{serving} stays: {breacher} made {} worse than accepted", metric.name())
            }
            (Some(Verdict::SampleRatioMismatch), _) => {
                format!("{serving} stays: arms did not get their shares of traffic, so nothing can be said")
            }
            (None, _) => format!("{serving} serves"),
        }
    }
}

fn effect(spec: &Spec, measure: &Measure, arm: usize, place: usize, side: Level) -> Option<Effect> {
    let seen = measure.comparison(place)?;
    let metric = measure.metric();
    let changes = seen.interval(side).map(|gains| metric.changes(gains));
    let finite = |of: fn(Interval) -> f64| changes.map(of).filter(|bound| bound.is_finite());
    Some(Effect {
        challenger: spec.arms[arm].name.clone(),
        metric: metric.name(),
        is_less_better: metric.is_less_better(),
        change: seen.estimate().map(|gain| metric.change(gain)),
        lower: finite(|changes| changes.lower),
        upper: finite(|changes| changes.upper),
        incumbent: measure.figure(0),
        figure: measure.figure(place),
        samples: seen.count(),
    })
}

/// How long until the interval has shrunk to clear `worth` one way or the other, if it shrinks with the square root of what
/// is counted, at the pace so far.
fn needed_ms(seen: &Comparison, worth: f64, side: Level, elapsed_ms: u64) -> Option<u64> {
    let (gain, interval) = (seen.estimate()?, seen.interval(side)?);
    let half = 0.5 * interval.width();
    let distance = (gain - worth).abs().min((gain + worth).abs());
    let factor = (half / distance).powi(2) - 1.0;
    let needed_ms = factor.max(0.0) * elapsed_ms as f64;
    (needed_ms.is_finite() && needed_ms < 1e15).then_some(needed_ms as u64)
}
