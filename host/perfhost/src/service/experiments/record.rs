//! What is kept of an experiment: enough to go on with it after a restart, and to tell about it afterwards.

use perfhost_strategy::experiment::{Experiment, Phase};
use perfhost_strategy::observation::Setting;
use perfhost_telemetry::Store;
use serde::{Deserialize, Serialize};

use super::ExperimentError;
use super::classes::Classes;
use super::request::StartRequest;
use super::trail::Trail;

/// One arm as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ArmRecord {
    /// In the experiment.
    pub(super) name: String,
    /// The strategy, as `name@version`.
    pub(super) strategy: String,
    /// SHA-256 of its plugin.
    pub(super) digest: String,
    /// What it had come to at the end of its last turn, or what is fixed.
    pub(super) settings: Vec<Setting>,
}

/// One experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Its number.
    pub(super) id: u64,
    /// What was asked for.
    pub(super) request: StartRequest,
    /// The machine, in words.
    pub(super) machine: String,
    /// What served: providers, engine and model, in words.
    pub(super) serves: String,
    /// By place.
    pub(super) arms: Vec<ArmRecord>,
    /// The experiment itself.
    pub(super) experiment: Experiment,
    /// Its course.
    pub(super) trail: Trail,
    /// Effects by workload class.
    pub(super) classes: Classes,
    /// Requests that were not counted for want of room on their way out of the workers.
    pub(super) unreported: u64,
    /// When it ended, Unix time in milliseconds.
    pub(super) ended_ms: Option<u64>,
    /// Started by continuous mode.
    #[serde(default)]
    pub(super) is_automatic: bool,
}

impl Record {
    /// From the store, with all that came after it was written.
    pub(super) fn read(store: &Store, id: u64) -> Result<Self, ExperimentError> {
        let stored = store.experiment(id)?.ok_or(ExperimentError::Unknown(id))?;
        let mut record: Self =
            serde_json::from_str(&stored.record).map_err(|error| ExperimentError::Record { id, error })?;
        for batch in &stored.batches {
            record.experiment.apply(batch);
        }
        Ok(record)
    }

    /// Writes it, in the place of the one before.
    pub(super) fn write(&self, store: &Store) -> Result<(), ExperimentError> {
        let text = serde_json::to_string(self).map_err(|error| ExperimentError::Record { id: self.id, error })?;
        store.record_experiment(self.id, text);
        Ok(())
    }

    /// Whether it is over.
    pub(super) fn is_over(&self) -> bool {
        self.ended_ms.is_some() || self.experiment.phase() == Phase::Ended
    }
}
