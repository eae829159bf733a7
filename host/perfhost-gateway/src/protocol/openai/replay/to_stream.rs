//! A body, cut into the events that the same request with `stream` would have got.
//!
//! Each choice of a chat comes as one event with its role, one for each part of its message, and one that ends it; each
//! choice of a completion as one event.

use bytes::Bytes;
use perfhost_strategy::plan::Operation;
use serde_json::{Map, Value, json};

use super::{ReplayError, push_event};

/// Fields of the body that every event repeats. Others, such as an engine's timings, come with the last event.
const ON_EVERY_EVENT: [&str; 5] = ["id", "created", "model", "system_fingerprint", "service_tier"];

/// Parts of a message that come before all others: what the model thought before it spoke.
const THOUGHTS: [&str; 2] = ["reasoning_content", "reasoning"];

/// The events of `body`, `[DONE]` included. `usage` is there if the client wants a usage chunk: what to send if the body
/// itself says none.
pub(super) fn events(
    operation: Operation,
    body: &[u8],
    usage: Option<Result<Value, ReplayError>>,
) -> Result<Bytes, ReplayError> {
    let mut rest: Map<String, Value> = serde_json::from_slice(body).map_err(ReplayError::unreadable)?;
    let Some(Value::Array(choices)) = rest.shift_remove("choices") else {
        return Err(ReplayError::unreadable("the body has no choices"));
    };
    let own_usage = rest.shift_remove("usage").filter(|usage| !usage.is_null());
    let object = if operation == Operation::Chat { "chat.completion.chunk" } else { "text_completion" };
    rest.insert("object".to_owned(), object.into());
    let mut base = Map::new();
    for name in ON_EVERY_EVENT.iter().chain(&["object"]) {
        if let Some(value) = rest.shift_remove(*name) {
            base.insert((*name).to_owned(), value);
        }
    }

    let mut parts = Vec::new();
    for (at, choice) in choices.into_iter().enumerate() {
        let Value::Object(choice) = choice else { return Err(ReplayError::unreadable("a choice")) };
        let index = choice.get("index").cloned().unwrap_or_else(|| at.into());
        match operation {
            Operation::Chat => chat_parts(index, choice, &mut parts)?,
            _ => parts.push(text_part(index, choice)),
        }
    }
    let mut events = Vec::with_capacity(body.len() + 512 * (parts.len() + 2));
    let last = parts.len().saturating_sub(1);
    for (at, part) in parts.into_iter().enumerate() {
        let mut event = base.clone();
        event.insert("choices".to_owned(), Value::Array(vec![part]));
        if at == last {
            event.append(&mut rest);
        }
        push_event(&mut events, &Value::Object(event))?;
    }
    if let Some(counted) = usage {
        let mut event = base;
        event.insert("choices".to_owned(), json!([]));
        event.insert("usage".to_owned(), own_usage.map_or(counted, Ok)?);
        push_event(&mut events, &Value::Object(event))?;
    }
    events.extend_from_slice(b"data: [DONE]\n\n");
    Ok(Bytes::from(events))
}

fn chat_parts(index: Value, mut choice: Map<String, Value>, parts: &mut Vec<Value>) -> Result<(), ReplayError> {
    let Some(Value::Object(message)) = choice.shift_remove("message") else {
        return Err(ReplayError::unreadable("a choice has no message"));
    };
    choice.shift_remove("index");
    let mut logprobs = choice.shift_remove("logprobs").unwrap_or(Value::Null);
    let event = |delta: Value, logprobs: Value, finish_reason: Value| json!({"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason});

    let mut opening = Map::new();
    let mut bodies = Vec::new();
    for (name, value) in message {
        let is_opening = name == "role" || is_empty(&value);
        match is_opening {
            true => _ = opening.insert(name, value),
            false => bodies.push((name, value)),
        }
    }
    bodies.sort_by_key(|(name, _)| !THOUGHTS.contains(&name.as_str()));
    parts.push(event(Value::Object(opening), Value::Null, Value::Null));
    for (name, mut value) in bodies {
        if name == "tool_calls" {
            number(&mut value);
        }
        let its_logprobs = if name == "content" { logprobs.take() } else { Value::Null };
        let mut delta = Map::new();
        delta.insert(name, value);
        parts.push(event(Value::Object(delta), its_logprobs, Value::Null));
    }
    let finish_reason = choice.shift_remove("finish_reason").unwrap_or(Value::Null);
    let mut end = event(json!({}), logprobs, finish_reason);
    if let Some(end) = end.as_object_mut() {
        end.append(&mut choice);
    }
    parts.push(end);
    Ok(())
}

/// A text comes as one event that also ends it.
fn text_part(index: Value, mut choice: Map<String, Value>) -> Value {
    choice.insert("index".to_owned(), index);
    Value::Object(choice)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

/// Gives each call the index that a stream needs.
fn number(calls: &mut Value) {
    for (at, call) in calls.as_array_mut().into_iter().flatten().enumerate() {
        if let Some(call) = call.as_object_mut() {
            call.shift_insert(0, "index".to_owned(), at.into());
        }
    }
}
