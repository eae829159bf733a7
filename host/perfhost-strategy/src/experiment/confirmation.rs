//! After a promotion: does the winner hold up?
//!
//! A winner was picked because it looked good, and some of that was luck; up to 63 % of configurations that were best in a
//! test were found ≥ 30 % worse in service (TUNA, arXiv 2503.01801). So a small share of traffic stays with the arm that
//! was replaced, and the comparison is made again on fresh figures only. A winner that is then shown to fall short, harms a
//! guardrail, or does not even look better when time is up, is taken back.

use serde::{Deserialize, Serialize};

use super::spec::{Confirmation, Spec};
use super::stage::Stage;
use super::verdict::harmed;

/// The winner's place in a confirming stage; the arm that it replaced is at 0.
pub const WINNER: usize = 1;

/// How a confirmation ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Confirmed {
    /// Shown to be better on fresh figures.
    Confirmed,
    /// Time ran out; it looks better, or there was too little traffic to say.
    Kept {
        /// For people.
        why: String,
    },
    /// Taken back.
    Reverted {
        /// For people.
        why: String,
    },
}

/// Looks at a confirming stage.
pub fn look(spec: &Spec, confirmation: &Confirmation, stage: &Stage, now_ms: u64) -> Option<Confirmed> {
    let metric = &spec.objective.metric;
    let reverted = |why: String| Some(Confirmed::Reverted { why });
    if let Some(metric) = harmed(spec, stage, WINNER) {
        return reverted(format!("after its promotion it made {} worse than accepted", metric.name()));
    }
    let seen = stage.objective().comparison(WINNER)?;
    let has_enough = stage.fewest() >= spec.least_units;
    let worth = metric.gain_of(spec.objective.minimum_effect);
    if has_enough && seen.is_below(worth, spec.level) {
        return reverted(format!(
            "after its promotion its gain in {} was shown to be below what is worth a change",
            metric.name()
        ));
    }
    if has_enough && seen.is_above(0.0, spec.level) {
        return Some(Confirmed::Confirmed);
    }
    if now_ms.saturating_sub(stage.started_ms()) < confirmation.at_most_ms {
        return None;
    }
    let kept = |why: &str| Some(Confirmed::Kept { why: why.to_owned() });
    match seen.estimate() {
        _ if !has_enough => kept("too little traffic to compare it again"),
        Some(gain) if gain > 0.0 => kept("it looked better again, without proof in the time allowed"),
        _ => reverted(format!("after its promotion it did not look better in {}", metric.name())),
    }
}
