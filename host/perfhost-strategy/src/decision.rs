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
    /// Requests since the cycle before; `None` in records of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<CycleRequests>,
}

/// What the whole host served between two cycles.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CycleRequests {
    /// Successes and errors.
    pub total: u64,
    /// Errors among them.
    pub errors: u64,
    /// Turned away by admission.
    pub rejected: u64,
    /// Answered from the cache or by an equal request under way.
    pub cache_hits: u64,
    /// Cacheable, and not there.
    pub cache_misses: u64,
}

/// What became of the proposals of one cycle, the host's own included. A change that was taken back later is in
/// `rolled_back` and nowhere else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validations {
    /// All.
    pub total: u64,
    /// Taken as asked.
    pub applied: u64,
    /// Taken, nearer to the value before.
    pub clamped: u64,
    /// Not taken.
    pub refused: u64,
    /// Taken back.
    pub rolled_back: u64,
}

/// One cycle in short.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CycleSummary {
    /// [`CycleRecord::id`].
    pub id: u64,
    /// When it began, Unix time in milliseconds.
    pub at_ms: u64,
    /// Time since the cycle before.
    pub interval_ms: u32,
    /// Time in the strategy's call, in microseconds.
    pub duration_us: u64,
    /// Who was asked, as `name@version`.
    pub strategy: String,
    /// SHA-256 of the strategy's file, in hexadecimal.
    pub digest: String,
    /// The strategy answered.
    pub is_success: bool,
    /// How the call failed, if it did.
    pub failure: Option<String>,
    /// Requests since the cycle before, where they were counted.
    pub requests: Option<CycleRequests>,
    /// Changes that the strategy asked for.
    pub proposals: u64,
    /// Other calls of the strategy since its cycle before: what it was told.
    pub told: u64,
    /// Questions that it asked of history meanwhile.
    pub history_questions: u64,
    /// What became of the proposals. Filled in when it is read: verdicts may change.
    #[serde(default)]
    pub validations: Validations,
}

impl CycleRecord {
    /// It in short, without what became of its proposals.
    pub fn summary(&self) -> CycleSummary {
        CycleSummary {
            id: self.id,
            at_ms: self.at_ms,
            interval_ms: self.observation.interval_ms,
            duration_us: self.duration_us,
            strategy: self.strategy.clone(),
            digest: self.digest.clone(),
            is_success: self.failure.is_none(),
            failure: self.failure.clone(),
            requests: self.requests,
            proposals: self.proposals.len() as u64,
            told: self.told.calls.len() as u64,
            history_questions: self.told.history.len() as u64,
            validations: Validations::default(),
        }
    }
}

impl Validations {
    /// Counts one decision that is at this verdict.
    pub fn count(&mut self, verdict: Verdict) {
        self.total += 1;
        match verdict {
            Verdict::Applied => self.applied += 1,
            Verdict::Clamped => self.clamped += 1,
            Verdict::Refused => self.refused += 1,
            Verdict::RolledBack => self.rolled_back += 1,
        }
    }
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
