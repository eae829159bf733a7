//! A stream's events, put together to the body that the same request without `stream` would have got.

use std::collections::BTreeMap;

use perfhost_strategy::plan::Operation;
use serde_json::{Map, Value};

use super::ReplayError;
use super::merge::merge;
use crate::protocol::openai::events::{DONE, is_error, payload};

/// Fields of which the first event's value stays. Of all others the last that is no null does.
const FIRST_STAYS: [&str; 3] = ["id", "created", "model"];

/// Padding that streams carry and bodies do not.
const PADDING: &str = "obfuscation";

/// Reads the whole stream.
pub(super) fn body(operation: Operation, stream: &[u8]) -> Result<Map<String, Value>, ReplayError> {
    let mut top = Map::new();
    let mut choices: BTreeMap<u64, Map<String, Value>> = BTreeMap::new();
    let mut is_done = false;
    for event in stream.split(|byte| *byte == b'\n').filter_map(payload) {
        if event == DONE {
            is_done = true;
            break;
        }
        if is_error(event) {
            return Err(ReplayError::unreadable("an error is within the stream"));
        }
        let event: Map<String, Value> = serde_json::from_slice(event).map_err(ReplayError::unreadable)?;
        for (name, value) in event {
            match (name.as_str(), value) {
                ("choices", Value::Array(list)) => {
                    for choice in list {
                        let Value::Object(choice) = choice else { return Err(ReplayError::unreadable("a choice")) };
                        let index = choice.get("index").and_then(Value::as_u64).unwrap_or(0);
                        add_choice(choices.entry(index).or_default(), choice);
                    }
                }
                (PADDING, _) => {}
                (_, value) => set_top(&mut top, name, value),
            }
        }
    }
    if !is_done || choices.is_empty() {
        return Err(ReplayError::unreadable("the stream has no end or no choices"));
    }
    let object = if operation == Operation::Chat { "chat.completion" } else { "text_completion" };
    top.insert("object".to_owned(), object.into());
    let choices = choices.into_iter().map(|(index, choice)| finished(operation, index, choice)).collect();
    top.insert("choices".to_owned(), Value::Array(choices));
    Ok(top)
}

fn set_top(top: &mut Map<String, Value>, name: String, value: Value) {
    let stays = match top.get(&name) {
        None => false,
        Some(before) => value.is_null() || (FIRST_STAYS.contains(&name.as_str()) && !before.is_null()),
    };
    if !stays {
        top.insert(name, value);
    }
}

/// Adds an event's part of a choice. Parts that come in pieces are joined, all else is set.
fn add_choice(into: &mut Map<String, Value>, choice: Map<String, Value>) {
    for (name, value) in choice {
        let before = into.entry(name.as_str()).or_insert(Value::Null);
        match name.as_str() {
            "delta" | "text" | "logprobs" => merge(&name, before, value),
            _ if value.is_null() => {}
            _ => *before = value,
        }
    }
}

/// A joined choice as a body has it.
fn finished(operation: Operation, index: u64, mut choice: Map<String, Value>) -> Value {
    let mut fresh = Map::new();
    fresh.insert("index".to_owned(), index.into());
    if operation == Operation::Chat {
        let mut message = match choice.shift_remove("delta") {
            Some(Value::Object(message)) => message,
            _ => Map::new(),
        };
        message.entry("role").or_insert_with(|| "assistant".into());
        message.entry("content").or_insert(Value::Null);
        // A list of calls has its order; only a stream needs the index.
        for call in message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(call) = call.as_object_mut() {
                call.shift_remove("index");
            }
        }
        fresh.insert("message".to_owned(), Value::Object(message));
    } else {
        fresh.insert(
            "text".to_owned(),
            choice.shift_remove("text").filter(Value::is_string).unwrap_or_else(|| "".into()),
        );
    }
    choice.shift_remove("index");
    fresh.append(&mut choice);
    fresh.entry("finish_reason").or_insert(Value::Null);
    Value::Object(fresh)
}
