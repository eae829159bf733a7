//! Every way in which the gateway itself answers a `/v1` request with an error, and the one place where it becomes HTTP.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use perfhost_telemetry::RequestOutcome;
use perfhost_upstream::UpstreamError;

use crate::access::Denied;
use crate::admission::Refusal;
use crate::protocol::openai::{self, ProtocolError};

/// When to come back to an engine that is being started.
const ENGINE_RETRY_AFTER: Duration = Duration::from_secs(2);

/// Models that a "no such model" message names.
const NAMED_MODELS: usize = 20;

/// A request that got no answer from a provider.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("{method} {path} is not served; {served}")]
    NotFound { method: String, path: String, served: &'static str },
    #[error("{path} takes {allowed}, not {method}")]
    MethodNotAllowed { method: String, path: String, allowed: &'static str },
    #[error("the request body is larger than the limit of {limit_bytes} bytes")]
    BodyTooLarge { limit_bytes: usize },
    #[error("the request body did not arrive within {} s", .0.as_secs())]
    BodyTimeout(Duration),
    #[error("the request body broke off: {0}")]
    BodyBroken(hyper::Error),
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    #[error("the model {model:?} is not offered by any provider; {}", offered(.known))]
    ModelNotFound { model: String, known: Vec<String> },
    #[error(
        "no provider is connected; run `perfhost setup` to fetch an engine and a small model and start perfhost again, or name a provider with --upstream URL"
    )]
    NoProvider,
    #[error("too many requests: {0}")]
    Refused(#[from] Refusal),
    #[error("the engine {provider} is starting; it will answer again in a moment")]
    EngineRestarting { provider: String },
    #[error("no provider could be reached: {0}")]
    Upstream(UpstreamError),
    #[error("{provider} did not begin to answer within {} ms", .after.as_millis())]
    FirstByteTimeout { provider: String, after: Duration },
    #[error("the request was not answered within {} ms in all", .after.as_millis())]
    TotalTimeout { after: Duration },
    #[error("the model {model:?} does not exist")]
    NoSuchModel { model: String },
}

impl Failure {
    /// Status, OpenAI error type and code.
    fn wire(&self) -> (StatusCode, &'static str, &'static str) {
        let invalid = "invalid_request_error";
        match self {
            Failure::Denied(Denied::WrongToken(_)) => (StatusCode::UNAUTHORIZED, invalid, "invalid_api_key"),
            Failure::Denied(_) => (StatusCode::FORBIDDEN, invalid, "forbidden"),
            Failure::NotFound { .. } => (StatusCode::NOT_FOUND, invalid, "unknown_url"),
            Failure::MethodNotAllowed { .. } => (StatusCode::METHOD_NOT_ALLOWED, invalid, "method_not_allowed"),
            Failure::BodyTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, invalid, "body_too_large"),
            Failure::BodyTimeout(_) => (StatusCode::REQUEST_TIMEOUT, invalid, "body_timeout"),
            Failure::BodyBroken(_) => (StatusCode::BAD_REQUEST, invalid, "body_broken"),
            Failure::Protocol(_) => (StatusCode::BAD_REQUEST, invalid, "invalid_body"),
            Failure::ModelNotFound { .. } | Failure::NoSuchModel { .. } => {
                (StatusCode::NOT_FOUND, invalid, "model_not_found")
            }
            Failure::NoProvider => (StatusCode::SERVICE_UNAVAILABLE, "server_error", "no_provider"),
            Failure::Refused(Refusal::QueueFull { .. }) => {
                (StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", "queue_full")
            }
            Failure::Refused(Refusal::WaitedTooLong { .. }) => {
                (StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", "queue_timeout")
            }
            Failure::EngineRestarting { .. } => (StatusCode::SERVICE_UNAVAILABLE, "server_error", "engine_restarting"),
            Failure::Upstream(_) => (StatusCode::BAD_GATEWAY, "server_error", "upstream_unreachable"),
            Failure::FirstByteTimeout { .. } => (StatusCode::GATEWAY_TIMEOUT, "server_error", "first_byte_timeout"),
            Failure::TotalTimeout { .. } => (StatusCode::GATEWAY_TIMEOUT, "server_error", "total_timeout"),
        }
    }

    /// The field of the body that is at fault.
    fn param(&self) -> Option<&str> {
        match self {
            Failure::Protocol(error) => error.param(),
            Failure::ModelNotFound { .. } => Some("model"),
            _ => None,
        }
    }

    /// What the request is recorded as.
    pub(crate) fn outcome(&self) -> RequestOutcome {
        match self {
            Failure::Refused(_) => RequestOutcome::Rejected,
            Failure::NoProvider | Failure::EngineRestarting { .. } => RequestOutcome::Unavailable,
            Failure::Upstream(_) => RequestOutcome::UpstreamError,
            Failure::BodyBroken(_) => RequestOutcome::Cancelled,
            Failure::FirstByteTimeout { .. } | Failure::TotalTimeout { .. } => RequestOutcome::Timeout,
            _ => RequestOutcome::ClientError,
        }
    }

    /// The answer to the client.
    pub(crate) fn into_response(self) -> Response<Bytes> {
        let (status, kind, code) = self.wire();
        let mut response = openai::error_response_about(status, kind, code, &self.to_string(), self.param());
        let headers = response.headers_mut();
        match &self {
            Failure::Refused(refusal) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(refusal.retry_after().as_secs()));
            }
            Failure::EngineRestarting { .. } => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(ENGINE_RETRY_AFTER.as_secs()));
            }
            Failure::MethodNotAllowed { allowed, .. } => {
                headers.insert(header::ALLOW, HeaderValue::from_static(allowed));
            }
            // What is left of the body is not read, so the connection cannot be used again.
            Failure::BodyTooLarge { .. } | Failure::BodyTimeout(_) | Failure::BodyBroken(_) => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}

fn offered(models: &[String]) -> String {
    if models.is_empty() {
        return "no provider lists any models".to_owned();
    }
    let named = models.iter().take(NAMED_MODELS).map(String::as_str).collect::<Vec<_>>().join(", ");
    match models.len().saturating_sub(NAMED_MODELS) {
        0 => format!("offered are {named}"),
        more => format!("offered are {named} and {more} more"),
    }
}
