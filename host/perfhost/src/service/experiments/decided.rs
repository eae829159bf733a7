//! What the configured experiment came to, so that a restart does not ask again what was answered. Owns when an answer
//! holds: the same plugins byte for byte, the same question, and an ending that is one.

use perfhost_telemetry::Store;
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::record::Record;
use super::report;
use super::request::{ArmRequest, StartRequest};
use crate::service::promotion::Promotion;

/// Key in the store.
const KEY: &str = "experiment-decided";

/// Endings after which the same experiment would be asked again for nothing. The others say why nothing could be said.
const DECISIONS: [&str; 6] =
    ["promoted-confirmed", "promoted", "reverted", "incumbent-better", "no-difference", "guardrail-breach"];

/// The last experiment that was decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Decided {
    /// Its number.
    pub(super) experiment: u64,
    /// How it ended, in a word.
    pub(super) ending: String,
    /// As they were named.
    arms: Vec<ArmRequest>,
    /// SHA-256 of each.
    digests: Vec<String>,
}

/// What a start of the host asks of these arms.
pub(super) fn configured(arms: &[String]) -> StartRequest {
    StartRequest { arms: arms.iter().cloned().map(ArmRequest::Named).collect(), ..StartRequest::default() }
}

impl Decided {
    fn of(record: &Record) -> Option<Self> {
        let ending = report::ending(&record.experiment);
        let digests: Vec<String> = record.arms.iter().map(|arm| arm.digest.clone()).collect();
        let asked = &record.request;
        let is_plain = is_same_question(asked, &StartRequest { arms: asked.arms.clone(), ..StartRequest::default() });
        let is_decision = DECISIONS.contains(&ending) && is_plain && digests.len() == asked.arms.len();
        let (experiment, ending, arms) = (record.id, ending.to_owned(), asked.arms.clone());
        is_decision.then_some(Self { experiment, ending, arms, digests })
    }

    /// Whether `asked` is what it decided.
    pub(super) fn is_about(&self, asked: &StartRequest) -> bool {
        self.arms == asked.arms
    }

    /// Whether the arms were these files.
    pub(super) fn has_compared(&self, digests: &[String]) -> bool {
        self.digests == digests
    }

    /// Whether this experiment made the promotion.
    pub(super) fn is_by(&self, promotion: &Promotion) -> bool {
        self.experiment == promotion.experiment
    }
}

/// Two requests may differ in how fast they go about it.
fn is_same_question(one: &StartRequest, other: &StartRequest) -> bool {
    let of = |request: &StartRequest| {
        let StartRequest { arms, objective, guardrails, mix, slo, unit, error_bound, .. } = request.clone();
        StartRequest { arms, objective, guardrails, mix, slo, unit, error_bound, ..StartRequest::default() }
    };
    of(one) == of(other)
}

/// Keeps what an experiment came to that has ended, if it is what the configuration asks of these arms.
pub(super) fn keep(store: &Store, record: &Record, arms: &[String]) {
    let Some(decided) = Decided::of(record).filter(|decided| decided.is_about(&configured(arms))) else { return };
    match serde_json::to_vec(&decided) {
        Ok(bytes) => store.put_state(KEY, &bytes),
        Err(error) => warn!(%error, "what the experiment came to could not be kept"),
    }
}

/// The last one.
pub(super) fn read(store: &Store) -> Option<Decided> {
    let bytes = store.state(KEY).inspect_err(|error| warn!(%error, "the last decision cannot be read")).ok()??;
    let read = serde_json::from_slice(&bytes);
    read.inspect_err(|error| warn!(%error, "the last decision does not read; its experiment begins again")).ok()
}
