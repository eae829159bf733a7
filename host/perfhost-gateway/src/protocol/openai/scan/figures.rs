//! The small objects that are parsed out of an answer, and how they are found.

use memchr::memmem;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::FinishReason;
use crate::protocol::openai::events::value_start;

/// llama.cpp's own measurements of one answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct EngineTimings {
    /// Prompt tokens found in the engine's cache.
    #[serde(rename = "cache_n")]
    pub cached_tokens: u32,
    /// Prompt tokens processed; the cached ones are not among them.
    #[serde(rename = "prompt_n")]
    pub prompt_tokens: u32,
    /// Time processing them, in milliseconds.
    pub prompt_ms: f64,
    /// Tokens generated.
    #[serde(rename = "predicted_n")]
    pub predicted_tokens: u32,
    /// Time generating them, in milliseconds.
    pub predicted_ms: f64,
    /// Tokens generated in a second.
    pub predicted_per_second: f64,
}

/// The `usage` object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct Usage {
    pub(super) prompt_tokens: u32,
    #[serde(default)]
    pub(super) completion_tokens: u32,
}

impl From<EngineTimings> for Usage {
    fn from(timings: EngineTimings) -> Self {
        Self {
            prompt_tokens: timings.prompt_tokens.saturating_add(timings.cached_tokens),
            completion_tokens: timings.predicted_tokens,
        }
    }
}

/// The last object of that name in a piece of JSON text that reads as a `T`. `name` with its quotes.
pub(super) fn last_object<T: DeserializeOwned>(name: &str, text: &[u8]) -> Option<T> {
    memmem::rfind_iter(text, name).find_map(|at| {
        let value = value_start(&text[at + name.len()..]).filter(|value| value.starts_with(b"{"))?;
        T::deserialize(&mut serde_json::Deserializer::from_slice(value)).ok()
    })
}

/// The last `finish_reason` that is no null.
pub(super) fn last_finish_reason(text: &[u8]) -> Option<FinishReason> {
    const NAME: &str = "\"finish_reason\"";
    memmem::rfind_iter(text, NAME).find_map(|at| {
        let value = value_start(&text[at + NAME.len()..])?.strip_prefix(b"\"")?;
        Some(match &value[..memchr::memchr(b'"', value)?] {
            b"stop" => FinishReason::Stop,
            b"length" => FinishReason::Length,
            b"tool_calls" | b"function_call" => FinishReason::ToolCalls,
            b"content_filter" => FinishReason::ContentFilter,
            _ => FinishReason::Other,
        })
    })
}

/// Names in a stream's event under which tokens come.
const TOKEN_NAMES: [&str; 8] = [
    "\"content\"",
    "\"text\"",
    "\"reasoning_content\"",
    "\"reasoning\"",
    "\"tool_calls\"",
    "\"function_call\"",
    "\"refusal\"",
    "\"data\"",
];

/// The event brings tokens: text that is not empty, or a call.
pub(super) fn brings_tokens(event: &[u8]) -> bool {
    TOKEN_NAMES.iter().any(|name| {
        memmem::find_iter(event, name).any(|at| {
            let Some(value) = value_start(&event[at + name.len()..]) else { return false };
            match value {
                [b'"', next, ..] => *next != b'"',
                // `"logprobs":{"content":[...]}` is a list too, but comes with text of its own.
                [b'[' | b'{', rest @ ..] => !matches!(rest.trim_ascii_start().first(), None | Some(b']' | b'}')),
                _ => false,
            }
        })
    })
}
