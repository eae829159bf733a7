//! Answers of the host's own API, and the one place where its errors become HTTP.

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use perfhost_telemetry::StoreError;
use serde_json::{Value, json};

use crate::access::Denied;
use crate::answer::Answer;
use crate::control::ControlError;
use crate::failure::Failure;

/// An answer before it is HTTP.
pub(crate) struct Reply {
    status: StatusCode,
    content_type: &'static str,
    body: Bytes,
    allow: Option<&'static str>,
}

/// An error before it is HTTP.
#[derive(Debug)]
pub(crate) struct Trouble {
    status: StatusCode,
    code: String,
    message: String,
    allow: Option<&'static str>,
}

impl Reply {
    pub(crate) fn json(value: &Value) -> Self {
        Self::text("application/json", value.to_string())
    }

    pub(crate) fn text(content_type: &'static str, body: String) -> Self {
        Self { status: StatusCode::OK, content_type, body: body.into(), allow: None }
    }

    pub(crate) fn into_response(self) -> Response<Answer> {
        let mut response = Response::new(Answer::whole(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Some(allow) = self.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}

impl Trouble {
    pub(crate) fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into(), allow: None }
    }

    /// A query parameter or body that does not read; `message` names what is allowed.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", message)
    }

    pub(crate) fn internal(message: &str) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    pub(crate) fn not_found(path: &str, served: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("{path} is not served; served are /v1 and {served}"))
    }

    pub(crate) fn method(method: &Method, allow: &'static str) -> Self {
        let message = format!("this path takes {allow}, not {method}");
        Self { allow: Some(allow), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message) }
    }

    pub(crate) fn unless_method(method: &Method, allowed: &[Method], allow: &'static str) -> Result<(), Self> {
        if allowed.contains(method) { Ok(()) } else { Err(Self::method(method, allow)) }
    }

    pub(crate) fn into_reply(self) -> Reply {
        let body = json!({ "error": { "code": self.code, "message": self.message } }).to_string().into();
        Reply { status: self.status, content_type: "application/json", body, allow: self.allow }
    }
}

impl From<Denied> for Trouble {
    fn from(denied: Denied) -> Self {
        let (status, code) = match denied {
            Denied::WrongToken(_) => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Denied::UnknownHost => (StatusCode::FORBIDDEN, "unknown_host"),
            Denied::ForeignOrigin => (StatusCode::FORBIDDEN, "foreign_origin"),
            Denied::ContentType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_type"),
        };
        Self::new(status, code, denied.to_string())
    }
}

impl From<ControlError> for Trouble {
    fn from(error: ControlError) -> Self {
        let message = error.to_string();
        match error {
            ControlError::Invalid { code, .. } => Self::new(StatusCode::UNPROCESSABLE_ENTITY, &code, message),
            ControlError::Refused { code, .. } => Self::new(StatusCode::FORBIDDEN, &code, message),
            ControlError::NotFound { .. } => Self::new(StatusCode::NOT_FOUND, "not_found", message),
            ControlError::Conflict { code, .. } => Self::new(StatusCode::CONFLICT, &code, message),
            ControlError::Failed { .. } => Self::internal(&message),
        }
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "store", error.to_string())
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        let message = failure.to_string();
        match failure {
            Failure::BodyTooLarge { .. } => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message),
            Failure::BodyTimeout(_) => Self::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", message),
            _ => Self::invalid(message),
        }
    }
}
