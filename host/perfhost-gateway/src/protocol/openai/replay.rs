//! A kept answer, sent again in the form that the client asks for.
//!
//! In the form it came in, an answer leaves byte for byte as it was, but for the usage chunk at the end of a stream, which
//! is there exactly if this client asked for it. In the other form it is rebuilt: every field that the provider sent is
//! kept, known or not. Identity and creation time stay those of the first answer.

mod from_stream;
mod merge;
mod to_stream;
mod usage_chunk;

use bytes::{Bytes, BytesMut};
use perfhost_cache::{Entry, Form};
use perfhost_strategy::plan::Operation;
use serde_json::{Value, json};

/// Why a kept answer cannot serve a request: treat it as a miss.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// The client needs the usage, and the kept answer has none.
    #[error("cache replay: the kept answer does not say its usage")]
    UsageUnknown,
    /// The kept answer does not read as the protocol's.
    #[error("cache replay: the kept answer cannot be turned into the form asked for: {reason}")]
    Unreadable {
        /// What does not read.
        reason: String,
    },
}

impl ReplayError {
    fn unreadable(reason: impl ToString) -> Self {
        Self::Unreadable { reason: reason.to_string() }
    }
}

/// The content type of a replay in that form. In the form it was kept in, an entry has its own.
pub fn content_type(form: Form) -> &'static str {
    match form {
        Form::Body => "application/json",
        Form::Stream => "text/event-stream",
    }
}

/// The bytes to send for a hit on `entry`, in the form `as_form`. `wants_usage` matters for streams only; a body always
/// says its usage.
///
/// # Errors
/// When the usage is needed and not known, or the answer cannot be turned: the request is then to be treated as a miss.
pub fn replay(
    operation: Operation,
    entry: &Entry,
    as_form: Form,
    wants_usage: bool,
) -> Result<Vec<Bytes>, ReplayError> {
    match (entry.form, as_form) {
        (Form::Body, Form::Body) => Ok(entry.chunks.clone()),
        (Form::Stream, Form::Stream) => usage_chunk::adjust(entry, wants_usage),
        _ if operation == Operation::Embedding => Err(ReplayError::unreadable("an embedding has one form only")),
        (Form::Stream, Form::Body) => {
            let mut body = from_stream::body(operation, &whole(entry))?;
            if body.get("usage").is_none_or(Value::is_null) {
                body.insert("usage".to_owned(), known_usage(entry)?);
            }
            let bytes = serde_json::to_vec(&body).map_err(ReplayError::unreadable)?;
            Ok(vec![Bytes::from(bytes)])
        }
        (Form::Body, Form::Stream) => {
            let events = to_stream::events(operation, &whole(entry), wants_usage.then(|| known_usage(entry)))?;
            Ok(vec![events])
        }
    }
}

/// The usage that was counted when the answer was kept.
fn known_usage(entry: &Entry) -> Result<Value, ReplayError> {
    if entry.prompt_tokens == 0 {
        return Err(ReplayError::UsageUnknown);
    }
    let (prompt, output) = (u64::from(entry.prompt_tokens), u64::from(entry.output_tokens));
    Ok(json!({"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}))
}

/// The answer in one piece; no copy for one of ordinary size.
fn whole(entry: &Entry) -> Bytes {
    if let [only] = entry.chunks.as_slice() {
        return only.clone();
    }
    let mut whole = BytesMut::with_capacity(entry.bytes());
    for chunk in &entry.chunks {
        whole.extend_from_slice(chunk);
    }
    whole.freeze()
}

/// One event with that payload.
fn push_event(events: &mut Vec<u8>, payload: &Value) -> Result<(), ReplayError> {
    events.extend_from_slice(b"data: ");
    serde_json::to_writer(&mut *events, payload).map_err(ReplayError::unreadable)?;
    events.extend_from_slice(b"\n\n");
    Ok(())
}

#[cfg(test)]
mod tests;
