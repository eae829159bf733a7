//! Why an experiment was not started, found or stopped.

use perfhost_gateway::ControlError;
use perfhost_strategy::experiment::SpecError;
use perfhost_telemetry::StoreError;
use thiserror::Error;

use crate::service::strategies::SwapError;

/// Why an experiment was not started, found or stopped.
#[derive(Debug, Error)]
pub enum ExperimentError {
    /// The request does not read.
    #[error("the experiment's terms do not read: {0}")]
    Shape(#[from] serde_json::Error),
    /// A term is not one of those that are known.
    #[error("{field} is {found:?}; allowed is {allowed}")]
    Term {
        /// Which.
        field: &'static str,
        /// What it is.
        found: String,
        /// What it may be.
        allowed: String,
    },
    /// Terms that read and make no experiment.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// An arm's strategy cannot be had.
    #[error("arm {arm}: {error}")]
    Arm {
        /// As it was named.
        arm: String,
        /// Why.
        error: Box<SwapError>,
    },
    /// An experiment compares what is recorded.
    #[error(
        "requests are not recorded, so there is nothing to compare; \
         start the host with telemetry.enabled = true (without --no-telemetry)"
    )]
    NotRecording,
    /// One at a time: two would be each other's noise.
    #[error("experiment {0} is running; one runs at a time (see `perfhost ab status`, `perfhost ab stop`)")]
    Running(u64),
    /// There is none of this number.
    #[error("there is no experiment {0}; see `perfhost ab list`")]
    Unknown(u64),
    /// Only a running one can be stopped.
    #[error("experiment {0} has ended")]
    Ended(u64),
    /// A record cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record in the store is damaged.
    #[error("the record of experiment {id} does not read: {error}")]
    Record {
        /// Which.
        id: u64,
        /// Why.
        error: serde_json::Error,
    },
    /// A score for something that is no request.
    #[error("{0:?} is no request's id; answers carry it as x-perfhost-request-id")]
    NoRequest(String),
}

impl From<ExperimentError> for ControlError {
    fn from(error: ExperimentError) -> Self {
        let message = error.to_string();
        let invalid = |code: &str| ControlError::Invalid { code: code.to_owned(), message: message.clone() };
        match error {
            ExperimentError::Shape(_) | ExperimentError::Term { .. } => invalid("invalid_terms"),
            ExperimentError::Spec(_) => invalid("invalid_experiment"),
            ExperimentError::NoRequest(_) => invalid("invalid_request_id"),
            ExperimentError::Arm { error, .. } => invalid(error.code()),
            ExperimentError::NotRecording => ControlError::Conflict { code: "not_recording".to_owned(), message },
            ExperimentError::Running(_) => ControlError::Conflict { code: "experiment_running".to_owned(), message },
            ExperimentError::Ended(_) => ControlError::Conflict { code: "experiment_ended".to_owned(), message },
            ExperimentError::Unknown(_) => ControlError::NotFound { message },
            ExperimentError::Store(_) | ExperimentError::Record { .. } => ControlError::Failed { message },
        }
    }
}
