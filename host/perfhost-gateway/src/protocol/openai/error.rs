//! How the host's own errors look in the OpenAI protocol: `{"error":{"message","type","param","code"}}`.
//!
//! Which failure has which status, and what it says, is decided where failures are listed; here is only the shape.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use serde::Serialize;

#[derive(Serialize)]
struct Document<'a> {
    error: Body<'a>,
}

#[derive(Serialize)]
struct Body<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    param: Option<&'a str>,
    code: &'a str,
}

fn document(kind: &str, code: &str, message: &str, param: Option<&str>) -> Vec<u8> {
    let document = Document { error: Body { message, kind, param, code } };
    // Four strings always serialise; an empty document would only say less.
    serde_json::to_vec(&document).unwrap_or_default()
}

/// An error response. `kind` is OpenAI's error type (`invalid_request_error`, `server_error`, `rate_limit_error`), `code`
/// the machine-readable cause.
pub fn error_response(status: StatusCode, kind: &str, code: &str, message: &str) -> Response<Bytes> {
    error_response_about(status, kind, code, message, None)
}

/// An error response that names the field of the request which is at fault.
pub fn error_response_about(
    status: StatusCode,
    kind: &str,
    code: &str,
    message: &str,
    param: Option<&str>,
) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(document(kind, code, message, param)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An error inside a stream that has begun, where no status can be sent any more: clients raise it when they read it.
/// What follows it is the end of the connection, never `[DONE]`.
pub fn error_event(kind: &str, code: &str, message: &str) -> Bytes {
    let mut event = b"data: ".to_vec();
    event.extend_from_slice(&document(kind, code, message, None));
    event.extend_from_slice(b"\n\n");
    Bytes::from(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_the_shape_that_clients_read() {
        let response = error_response_about(
            StatusCode::BAD_REQUEST,
            "invalid_request_error",
            "invalid_body",
            "a \"quoted\"\nmessage",
            Some("model"),
        );
        assert_eq!(
            (response.status(), &response.headers()[CONTENT_TYPE]),
            (StatusCode::BAD_REQUEST, &"application/json".parse().unwrap())
        );
        let document: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        let expected = serde_json::json!({"error": {
            "message": "a \"quoted\"\nmessage", "type": "invalid_request_error", "param": "model", "code": "invalid_body",
        }});
        assert_eq!(document, expected);
    }

    #[test]
    fn an_error_event_is_one_line() {
        let event = error_event("server_error", "upstream_broke_off", "line one\nline two");
        assert!(event.starts_with(b"data: {\"error\":") && event.ends_with(b"}\n\n"));
        assert_eq!(event.iter().filter(|byte| **byte == b'\n').count(), 2);
    }
}
