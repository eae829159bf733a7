//! What the decision log keeps: each cycle's input, each proposal with the verdict on it, and its effect once measured.
//!
//! Owns the records and what makes them writable. Who decides is [`crate::guard`]; who stores them is telemetry.

use serde::{Deserialize, Serialize};

use crate::journal::{GuardCall, Told};
use crate::proposal::{ExpectedEffect, Measurement};
use crate::{Observation, Proposal, Value, Verdict};

/// Longest reason that a record keeps, in characters; the rest is cut.
pub const MOST_REASON_CHARACTERS: usize = 1_000;

/// One proposal and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Rises by one with every decision; unique in one data directory.
    pub id: u64,
    /// The cycle that asked for it: [`CycleRecord::id`].
    pub cycle: u64,
    /// When it was judged, Unix time in milliseconds.
    pub at_ms: u64,
    /// Who asked, as `name@version`.
    pub strategy: String,
    /// SHA-256 of the strategy's file, in hexadecimal.
    pub digest: String,
    /// What was asked for, as [`writable`] gives it.
    pub proposal: Proposal,
    /// The guard's answer; becomes [`Verdict::RolledBack`] when the change is taken back.
    pub verdict: Verdict,
    /// Why, in words.
    pub detail: String,
    /// The knob's value when the proposal was judged. For a knob that does not exist, the value that was asked for.
    pub before: Value,
    /// The value that was set; `None` when refused.
    pub applied: Option<Value>,
    /// The effect, once known.
    pub measured: Option<Measurement>,
    /// The guardrail metric that got worse, when that is why it was rolled back.
    pub guardrail: Option<String>,
}

/// What was learned of an earlier decision. Replaces the fields of the same names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionUpdate {
    /// [`Decision::id`].
    pub id: u64,
    /// The verdict now.
    pub verdict: Verdict,
    /// Why, in words.
    pub detail: String,
    /// The effect, if it could be measured.
    pub measured: Option<Measurement>,
    /// The guardrail metric that got worse, if one did.
    pub guardrail: Option<String>,
}

/// One call of a strategy's `propose`: its whole input and its whole answer, and what was said to strategy and guard since
/// the cycle before, so that [`crate::replay`] can make the call again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CycleRecord {
    /// Rises by one with every cycle; unique in one data directory.
    pub id: u64,
    /// When, Unix time in milliseconds.
    pub at_ms: u64,
    /// Who was asked, as `name@version`.
    pub strategy: String,
    /// SHA-256 of the strategy's file, in hexadecimal.
    pub digest: String,
    /// What it saw.
    pub observation: Observation,
    /// What it asked for, each as [`writable`] gives it.
    pub proposals: Vec<Proposal>,
    /// How the call failed, if it did.
    pub failure: Option<String>,
    /// Time in the call, in microseconds.
    pub duration_us: u64,
    /// What the strategy was told since its cycle before.
    #[serde(default, skip_serializing_if = "Told::is_empty")]
    pub told: Told,
    /// What the guard was told since the cycle before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guard: Vec<GuardCall>,
}

impl Decision {
    /// Takes over what was learned later. An update of another decision changes nothing.
    pub fn update(&mut self, update: &DecisionUpdate) {
        if update.id == self.id {
            self.verdict = update.verdict;
            self.detail.clone_from(&update.detail);
            self.measured.clone_from(&update.measured);
            self.guardrail.clone_from(&update.guardrail);
        }
    }
}

/// A proposal as the guard judges and records keep it. JSON has no NaN or infinity and would turn them into null, which
/// cannot be read back: such a value becomes its text, such a confidence or expected ratio -1. All three are refused, now
/// and when the record is replayed. Long reasons are cut.
pub fn writable(proposal: &Proposal) -> Proposal {
    let value = match &proposal.value {
        Value::Number(number) if !number.is_finite() => Value::Text(number.to_string()),
        other => other.clone(),
    };
    let finite = |number: f64| if number.is_finite() { number } else { -1.0 };
    let expected = proposal.expected.as_ref();
    Proposal {
        name: proposal.name.clone(),
        scope: proposal.scope.clone(),
        value,
        reason: proposal.reason.chars().take(MOST_REASON_CHARACTERS).collect(),
        expected: expected
            .map(|expected| ExpectedEffect { metric: expected.metric.clone(), ratio: finite(expected.ratio) }),
        confidence: finite(proposal.confidence),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scope;

    fn proposal(number: f64) -> Proposal {
        Proposal {
            name: "candidate_weight".to_owned(),
            scope: Scope::provider("local"),
            value: Value::Number(number),
            reason: "é".repeat(2_000),
            expected: Some(ExpectedEffect { metric: "tokens_per_second".to_owned(), ratio: number }),
            confidence: number,
        }
    }

    #[test]
    fn what_is_writable_can_be_read_back_and_stays_refusable() {
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.1] {
            let written = writable(&proposal(number));
            let read: Proposal = serde_json::from_str(&serde_json::to_string(&written).unwrap()).unwrap();
            assert_eq!(read, written);
            assert_eq!(read.reason.chars().count(), MOST_REASON_CHARACTERS);
            assert_eq!(read.confidence, if number.is_finite() { number } else { -1.0 });
        }
        assert_eq!(writable(&proposal(f64::NAN)).value, Value::Text("NaN".to_owned()));
    }

    #[test]
    fn an_update_touches_only_its_own_decision() {
        let decision = Decision {
            id: 4,
            cycle: 1,
            at_ms: 0,
            strategy: String::new(),
            digest: String::new(),
            proposal: proposal(0.5),
            verdict: Verdict::Applied,
            detail: String::new(),
            before: Value::Number(1.0),
            applied: Some(Value::Number(0.5)),
            measured: None,
            guardrail: None,
        };
        let update = |id| DecisionUpdate {
            id,
            verdict: Verdict::RolledBack,
            detail: "why".to_owned(),
            measured: None,
            guardrail: Some("error_rate".to_owned()),
        };
        let mut updated = decision.clone();
        updated.update(&update(5));
        assert_eq!(updated, decision);
        updated.update(&update(4));
        assert_eq!((updated.verdict, updated.guardrail.as_deref()), (Verdict::RolledBack, Some("error_rate")));
        assert_eq!(updated.applied, decision.applied);
    }
}
