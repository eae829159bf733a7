//! What an experiment is told when it starts, and what is wrong with that.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::arm::{Arm, MOST_ARMS};
use super::assignment::Unit;
use super::metric::{Metric, Scale};
use super::outcome::Slo;
use super::ramp::Ramp;
use super::regime::{Choice, Regime};
use super::statistics::Level;

/// Most guardrails.
pub const MOST_GUARDRAILS: usize = 8;

/// What is to be improved.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Objective {
    /// The metric.
    pub metric: Metric,
    /// Improvements up to this are not worth a change: points of a share (0.01), part of a time (0.05), or the metric's own
    /// unit. 0 for none; then there is no verdict of "no difference", only "inconclusive".
    pub minimum_effect: f64,
}

/// What must not get worse.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guardrail {
    /// The metric.
    pub metric: Metric,
    /// How much worse is accepted, above 0: points of a share, part of a time, or the metric's own unit.
    pub tolerance: f64,
}

/// Proof after promotion.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Confirmation {
    /// Share of traffic that stays with the arm that was replaced, 0.01 to 0.5. Default 0.1.
    pub holdout: f64,
    /// Longest time to go on comparing, milliseconds. Default one hour.
    pub at_most_ms: u64,
}

impl Default for Confirmation {
    fn default() -> Self {
        Self { holdout: 0.1, at_most_ms: 3_600_000 }
    }
}

/// An experiment's terms. They do not change while it runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// For people.
    pub name: String,
    /// All chance comes from here.
    pub seed: u64,
    /// What is compared; the first is the incumbent.
    pub arms: Vec<Arm>,
    /// How arms share traffic, from [`super::regime::choose`].
    pub choice: Choice,
    /// What is drawn by chance, per request.
    pub unit: Unit,
    /// What an answer has to keep to.
    pub slo: Slo,
    /// What is to be improved.
    pub objective: Objective,
    /// What must not get worse.
    pub guardrails: Vec<Guardrail>,
    /// Probability that the experiment ever names a winner that is none, over all looks and arms.
    pub level: Level,
    /// Units of each arm (rounds in a switchback) before any winner is named.
    pub least_units: u64,
    /// After this long it ends inconclusive, milliseconds.
    pub at_most_ms: u64,
    /// How shares grow.
    pub ramp: Ramp,
    /// Whether and how a promotion is confirmed.
    pub confirmation: Option<Confirmation>,
}

/// What is wrong with a [`Spec`].
#[derive(Debug, Clone, PartialEq, Error)]
pub enum SpecError {
    /// Too few or too many arms.
    #[error("experiment: {0} arms; allowed are 2 to {MOST_ARMS}")]
    Arms(usize),
    /// Two arms that could not be told apart in reports.
    #[error("experiment: two arms are called {0:?}; names must differ")]
    SameName(String),
    /// Too many guardrails.
    #[error("experiment: {0} guardrails; allowed are up to {MOST_GUARDRAILS}")]
    Guardrails(usize),
    /// A number is outside its range.
    #[error("experiment: {field} is {found}; allowed is {allowed}")]
    OutOfRange {
        /// Which.
        field: &'static str,
        /// Its value.
        found: f64,
        /// What is allowed.
        allowed: &'static str,
    },
    /// Percentiles have no meaning for one value a session.
    #[error("experiment: {0} cannot be compared by session or user; draw by request, or use goodput")]
    PercentileOfUnits(&'static str),
    /// Scores come long after requests ended, when a guardrail is of no use.
    #[error("experiment: feedback cannot be a guardrail; it may be the objective")]
    FeedbackGuardrail,
}

impl Spec {
    /// Terms with defaults: drawn by request, the default SLO, error rate as guardrail (one point more is accepted), 5 %,
    /// a day at most, confirmed after promotion.
    pub fn new(name: &str, seed: u64, arms: Vec<Arm>, choice: Choice, objective: Objective) -> Self {
        let least_units = if choice.regime == Regime::PerRequest { 20 } else { 4 };
        Self {
            name: name.to_owned(),
            seed,
            arms,
            choice,
            unit: Unit::Request,
            slo: Slo::default(),
            objective,
            guardrails: vec![Guardrail { metric: Metric::ErrorRate, tolerance: 0.01 }],
            level: Level::FIVE_PERCENT,
            least_units,
            at_most_ms: 86_400_000,
            ramp: Ramp::default(),
            confirmation: Some(Confirmation::default()),
        }
    }

    /// Gains of the objective that verdicts ask about: worth a change, none, and as much the other way.
    pub fn gains(&self) -> Vec<f64> {
        let Objective { metric, minimum_effect } = &self.objective;
        vec![metric.gain_of(*minimum_effect), 0.0, -metric.gain_of(*minimum_effect)]
    }

    /// How many arms challenge the incumbent.
    pub fn challengers(&self) -> usize {
        self.arms.len().saturating_sub(1)
    }

    /// Whether arms take turns in blocks.
    pub fn is_switchback(&self) -> bool {
        self.choice.regime != Regime::PerRequest
    }

    /// Finds what is wrong.
    pub fn check(&self) -> Result<(), SpecError> {
        if !(2..=MOST_ARMS).contains(&self.arms.len()) {
            return Err(SpecError::Arms(self.arms.len()));
        }
        for (at, arm) in self.arms.iter().enumerate() {
            if self.arms[..at].iter().any(|other| other.name == arm.name) {
                return Err(SpecError::SameName(arm.name.clone()));
            }
        }
        if self.guardrails.len() > MOST_GUARDRAILS {
            return Err(SpecError::Guardrails(self.guardrails.len()));
        }
        let metrics = self.guardrails.iter().map(|guardrail| &guardrail.metric).chain([&self.objective.metric]);
        for metric in metrics {
            if *metric == Metric::LatencyP95 && self.unit != Unit::Request && !self.is_switchback() {
                return Err(SpecError::PercentileOfUnits(metric.name()));
            }
            if let Metric::Mix(mix) = metric {
                let weights = [mix.response_time, mix.resources, mix.quality];
                let least = weights.into_iter().fold(f64::INFINITY, f64::min);
                range("weight of a mix", least, |weight| weight >= 0.0, "0 or more")?;
                range("sum of a mix's weights", weights.iter().sum(), |sum| sum > 0.0 && sum < 1e6, "above 0")?;
                range("slowest_ms of a mix", mix.slowest_ms, |ms| ms > 0.0, "above 0")?;
                range("dearest of a mix", mix.dearest, |cost| cost > 0.0, "above 0")?;
            }
        }
        if self.guardrails.iter().any(|guardrail| guardrail.metric == Metric::Feedback) {
            return Err(SpecError::FeedbackGuardrail);
        }
        let effect = self.objective.minimum_effect;
        if self.objective.metric.scale() == Scale::Unit {
            range("minimum_effect", effect, |effect| (0.0..1e12).contains(&effect), "0 or more")?;
        } else {
            range("minimum_effect", effect, |effect| (0.0..0.9).contains(&effect), "0 to 0.9")?;
        }
        for guardrail in &self.guardrails {
            range(
                "tolerance of a guardrail",
                guardrail.tolerance,
                |tolerance| tolerance > 0.0 && tolerance < 1e6,
                "above 0",
            )?;
        }
        let deadline = self.slo.deadline_ms as f64;
        range("deadline_ms", deadline, |ms| (1.0..=3_600_000.0).contains(&ms), "1 to 3,600,000")?;
        for share in &self.ramp.shares {
            range("share of a ramp's step", *share, |share| (0.001..=0.5).contains(&share), "0.001 to 0.5")?;
        }
        if let Some(pair) = self.ramp.shares.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(SpecError::OutOfRange {
                field: "share of a ramp's step",
                found: pair[1],
                allowed: "more than the step before",
            });
        }
        if let Some(confirmation) = &self.confirmation {
            range("holdout", confirmation.holdout, |share| (0.01..=0.5).contains(&share), "0.01 to 0.5")?;
        }
        if let Regime::Switchback(timing) = self.choice.regime {
            let counted = timing.block_ms.saturating_sub(timing.burn_in_ms) as f64;
            range("counted part of a block in ms", counted, |ms| ms >= 1.0, "at least 1")?;
        }
        Ok(())
    }
}

fn range(
    field: &'static str,
    found: f64,
    is_allowed: impl Fn(f64) -> bool,
    allowed: &'static str,
) -> Result<(), SpecError> {
    if is_allowed(found) { Ok(()) } else { Err(SpecError::OutOfRange { field, found, allowed }) }
}
