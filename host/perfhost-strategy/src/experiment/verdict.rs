//! When an experiment ends, and how. A wrong winner is worse than none.
//!
//! The level is spent so that, over all looks, the probability of ever naming a winner that is none is at most
//! [`Spec::level`]: an equal part for each challenger, half of that for each direction. A promotion needs the objective
//! *and* every guardrail, so guardrails need no part of their own. Alarms (harm, sample ratio) stop and never promote; they
//! have levels of their own.

use serde::{Deserialize, Serialize};

use super::arm::CONTROL;
use super::metric::Metric;
use super::spec::Spec;
use super::stage::Stage;
use super::statistics::{Interval, Level};

/// Level of the sample-ratio check. Strict, because its alarm ends the experiment.
const SAMPLE_RATIO_LEVEL: Level = Level::ONE_IN_A_THOUSAND;

/// How an experiment ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Verdict {
    /// This arm is better by more than the minimum effect and harms no guardrail: put it in service. The incumbent may win
    /// too; then nothing changes.
    Promote {
        /// Index into [`Spec::arms`].
        arm: usize,
        /// Its gain over the incumbent; of the incumbent over the best challenger when it wins.
        gain: f64,
        /// Gains that are not excluded.
        gains: Option<Interval>,
    },
    /// No challenger differs from the incumbent by more than the minimum effect.
    NoDifference,
    /// Time ran out before anything was shown.
    Inconclusive {
        /// For people.
        why: String,
    },
    /// A challenger made a guardrail worse than accepted, and no other is left.
    GuardrailBreach {
        /// Index into [`Spec::arms`].
        arm: usize,
        /// Which.
        metric: Metric,
    },
    /// Arms did not get the traffic they should have; nothing that was counted can be trusted.
    SampleRatioMismatch,
    /// Somebody ended it, or an arm could not be put in service.
    Stopped {
        /// For people.
        why: String,
    },
}

/// What a look at the figures calls for.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    /// The end.
    End(Verdict),
    /// One of several challengers breached a guardrail; the others go on.
    Drop {
        /// Its place in the stage.
        place: usize,
        /// Which guardrail.
        metric: Metric,
    },
}

/// Level of each bound on a challenger's gain.
pub fn side(spec: &Spec) -> Level {
    spec.level.split(2 * spec.challengers())
}

/// Level of showing that a guardrail is not harmed. All guardrails and the objective have to be shown, so it is not split
/// among them.
pub fn guardrail_side(spec: &Spec) -> Level {
    spec.level.split(spec.challengers())
}

/// Level of an alarm that a guardrail is harmed.
pub fn alarm_side(spec: &Spec) -> Level {
    spec.level.split(spec.challengers() * spec.guardrails.len())
}

/// Looks at a running stage.
pub fn look(spec: &Spec, stage: &Stage, now_ms: u64) -> Option<Finding> {
    if stage.sample_ratio().is_some_and(|ratio| ratio.is_mismatch(SAMPLE_RATIO_LEVEL)) {
        return Some(Finding::End(Verdict::SampleRatioMismatch));
    }
    if let Some((place, metric)) = stage.challengers().find_map(|place| Some((place, harmed(spec, stage, place)?))) {
        let is_last = stage.challengers().count() == 1;
        let breach = Verdict::GuardrailBreach { arm: stage.arm(place), metric };
        return Some(if is_last { Finding::End(breach) } else { Finding::Drop { place, metric } });
    }
    let winner = (stage.fewest() >= spec.least_units).then(|| decided(spec, stage)).flatten();
    let is_over = now_ms.saturating_sub(stage.started_ms()) >= spec.at_most_ms;
    let over = || Verdict::Inconclusive { why: "the time allowed ran out before anything was shown".to_owned() };
    winner.or_else(|| is_over.then(over)).map(Finding::End)
}

/// The guardrail that the challenger at `place` is shown to have harmed beyond what is accepted.
pub fn harmed(spec: &Spec, stage: &Stage, place: usize) -> Option<Metric> {
    let mut guardrails = spec.guardrails.iter().zip(stage.guardrails());
    guardrails.find_map(|(guardrail, measure)| {
        let loss = guardrail.metric.loss_of(guardrail.tolerance);
        measure.comparison(place)?.is_below(loss, alarm_side(spec)).then_some(guardrail.metric)
    })
}

/// Guardrails of which it is not yet shown that the challenger at `place` keeps to them.
pub fn unproven<'a>(spec: &'a Spec, stage: &'a Stage, place: usize) -> impl Iterator<Item = Metric> + 'a {
    spec.guardrails.iter().zip(stage.guardrails()).filter_map(move |(guardrail, measure)| {
        let loss = guardrail.metric.loss_of(guardrail.tolerance);
        let is_kept = measure.comparison(place).is_some_and(|seen| seen.is_above(loss, guardrail_side(spec)));
        (!is_kept).then_some(guardrail.metric)
    })
}

/// Whether some guardrail looks worse than accepted, shown or not: reason enough not to widen a challenger's share.
pub fn looks_harmful(spec: &Spec, stage: &Stage) -> bool {
    stage.challengers().any(|place| {
        spec.guardrails.iter().zip(stage.guardrails()).any(|(guardrail, measure)| {
            let loss = guardrail.metric.loss_of(guardrail.tolerance);
            measure.comparison(place).and_then(|seen| seen.estimate()).is_some_and(|gain| gain < loss)
        })
    })
}

fn decided(spec: &Spec, stage: &Stage) -> Option<Verdict> {
    let side = side(spec);
    let worth = spec.objective.metric.gain_of(spec.objective.minimum_effect);
    let seen: Vec<_> =
        stage.challengers().filter_map(|place| Some((place, stage.objective().comparison(place)?))).collect();
    let best = seen
        .iter()
        .filter(|(place, seen)| seen.is_above(worth, side) && unproven(spec, stage, *place).next().is_none())
        .filter_map(|(place, seen)| Some((*place, seen, seen.estimate()?)))
        .max_by(|(_, _, a), (_, _, b)| a.total_cmp(b));
    if let Some((place, seen, gain)) = best {
        return Some(Verdict::Promote { arm: stage.arm(place), gain, gains: seen.interval(side) });
    }
    // A challenger that may still win, or whose guardrails are still being proven, keeps the experiment going.
    if seen.is_empty() || !seen.iter().all(|(_, seen)| seen.is_below(worth, side)) {
        return None;
    }
    if seen.iter().all(|(_, seen)| seen.is_below(-worth, side)) {
        let nearest = seen.iter().filter_map(|(_, seen)| Some((seen, seen.estimate()?)));
        let (seen, gain) = nearest.max_by(|(_, a), (_, b)| a.total_cmp(b))?;
        let gains = seen.interval(side).map(|gains| gains.map(|gain| -gain));
        return Some(Verdict::Promote { arm: CONTROL, gain: -gain, gains });
    }
    let is_resolved = seen.iter().all(|(_, seen)| seen.is_below(-worth, side) || seen.is_above(-worth, side));
    (worth > 0.0 && is_resolved).then_some(Verdict::NoDifference)
}
