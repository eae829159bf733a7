//! What experiments found, by workload class and machine: kept beside the experiments themselves, and longer.

use perfhost_telemetry::Store;
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::record::Record;
use super::report;

/// Key in the store.
const KEY: &str = "experiment-findings";

/// Findings that are kept; the oldest go first.
const MOST_FINDINGS: usize = 500;

/// The class of all requests together.
const ALL: &str = "all requests";

/// One challenger against one incumbent, in one class, on one machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Finding {
    experiment: u64,
    /// Unix time in milliseconds.
    at_ms: u64,
    machine: String,
    serves: String,
    class: String,
    metric: String,
    incumbent: String,
    challenger: String,
    change: Option<f64>,
    lower: Option<f64>,
    upper: Option<f64>,
    samples: u64,
    /// How the experiment ended.
    ending: String,
}

/// What is known, oldest first.
pub(super) fn read(store: &Store) -> Vec<Finding> {
    let bytes =
        store.state(KEY).inspect_err(|error| warn!(%error, "what experiments found cannot be read")).ok().flatten();
    let read = bytes.map(|bytes| serde_json::from_slice(&bytes));
    let read = read.transpose().inspect_err(|error| warn!(%error, "what experiments found does not read"));
    read.ok().flatten().unwrap_or_default()
}

/// Adds what an experiment found that has ended.
pub(super) fn keep(store: &Store, record: &Record) {
    let (status, spec) = (record.experiment.status(), record.experiment.spec());
    let of = |challenger: String, class: &str| Finding {
        experiment: record.id,
        at_ms: record.ended_ms.unwrap_or_default(),
        machine: record.machine.clone(),
        serves: record.serves.clone(),
        class: class.to_owned(),
        metric: spec.objective.metric.name().to_owned(),
        incumbent: spec.arms[0].name.clone(),
        challenger,
        change: None,
        lower: None,
        upper: None,
        samples: 0,
        ending: report::ending(&record.experiment).to_owned(),
    };
    let whole = status.effects.iter().map(|effect| Finding {
        change: effect.change,
        lower: effect.lower,
        upper: effect.upper,
        samples: effect.samples,
        ..of(effect.challenger.clone(), ALL)
    });
    let classes = record.classes.effects(&spec.objective.metric);
    let by_class = classes.iter().map(|effect| Finding {
        change: Some(effect.change),
        lower: Some(effect.lower),
        upper: Some(effect.upper),
        samples: effect.counts.iter().sum(),
        ..of(spec.arms[effect.arm].name.clone(), effect.class)
    });
    let mut findings = read(store);
    findings.extend(whole.chain(by_class));
    let excess = findings.len().saturating_sub(MOST_FINDINGS);
    findings.drain(..excess);
    match serde_json::to_vec(&findings) {
        Ok(bytes) => store.put_state(KEY, &bytes),
        Err(error) => warn!(%error, "what the experiment found could not be kept"),
    }
}
