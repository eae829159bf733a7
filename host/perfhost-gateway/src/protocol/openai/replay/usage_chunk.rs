//! The usage chunk at the end of a kept stream: there exactly if this client asked for it.

use bytes::Bytes;
use memchr::memmem;
use perfhost_cache::Entry;
use serde_json::{Map, Value, json};

use super::{ReplayError, known_usage, push_event, whole};
use crate::protocol::openai::events::{DONE, payload, value_start};

/// Where the lines of the last events lie in a stream.
struct End {
    /// The line before `[DONE]`, with the empty line after it.
    last: std::ops::Range<usize>,
    /// Where the line of `[DONE]` begins.
    done: usize,
}

/// The stream as it was, with the usage chunk dropped or added where this client's wish differs from the first one's.
pub(super) fn adjust(entry: &Entry, wants_usage: bool) -> Result<Vec<Bytes>, ReplayError> {
    let stream = whole(entry);
    let Some(end) = find_end(&stream) else { return Err(ReplayError::unreadable("the stream has no end")) };
    let last = payload(first_line(&stream[end.last.clone()])).unwrap_or_default();
    let has_usage = is_usage_chunk(last);
    if has_usage == wants_usage {
        return Ok(entry.chunks.clone());
    }
    if has_usage {
        return Ok(vec![stream.slice(..end.last.start), stream.slice(end.done..)]);
    }
    // Some providers put the usage on the event that ends the last choice: say the same in a chunk of its own.
    let mut like: Map<String, Value> = serde_json::from_slice(last).map_err(ReplayError::unreadable)?;
    let usage = match like.shift_remove("usage") {
        Some(usage @ Value::Object(_)) => usage,
        _ => known_usage(entry)?,
    };
    let mut chunk = Map::new();
    for name in ["id", "object", "created", "model", "system_fingerprint"] {
        if let Some(value) = like.shift_remove(name) {
            chunk.insert(name.to_owned(), value);
        }
    }
    chunk.insert("choices".to_owned(), json!([]));
    chunk.insert("usage".to_owned(), usage);
    let mut event = Vec::new();
    push_event(&mut event, &Value::Object(chunk))?;
    Ok(vec![stream.slice(..end.done), Bytes::from(event), stream.slice(end.done..)])
}

fn find_end(stream: &[u8]) -> Option<End> {
    let mut starts = memmem::rfind_iter(stream, b"data:").filter(|at| *at == 0 || stream[at - 1] == b'\n');
    let done = starts.find(|at| payload(first_line(&stream[*at..])) == Some(DONE))?;
    let last = starts.next()?;
    Some(End { last: last..done, done })
}

fn first_line(text: &[u8]) -> &[u8] {
    memchr::memchr(b'\n', text).map_or(text, |end| &text[..end])
}

/// The event has a usage and no choices.
fn is_usage_chunk(event: &[u8]) -> bool {
    let value = |name: &str| memmem::find(event, name.as_bytes()).and_then(|at| value_start(&event[at + name.len()..]));
    let has_no_choices = value("\"choices\"")
        .and_then(|list| list.strip_prefix(b"["))
        .is_some_and(|list| list.trim_ascii_start().starts_with(b"]"));
    has_no_choices && value("\"usage\"").is_some_and(|usage| usage.starts_with(b"{"))
}
