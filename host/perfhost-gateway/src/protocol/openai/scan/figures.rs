//! The small objects that are parsed out of an answer, and how they are found.

use std::sync::OnceLock;

use memchr::memmem::Finder;
use serde::Deserialize;
use serde::de::DeserializeOwned;

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

/// A field's name with its quotes, ready to be searched for: making the searcher costs more than most searches.
pub(super) struct Name {
    quoted: &'static str,
    searcher: OnceLock<Finder<'static>>,
}

impl Name {
    const fn new(quoted: &'static str) -> Self {
        Self { quoted, searcher: OnceLock::new() }
    }

    /// What follows the colon after each place where the name stands.
    fn values<'text>(&'static self, text: &'text [u8]) -> impl Iterator<Item = &'text [u8]> {
        let searcher = self.searcher.get_or_init(|| Finder::new(self.quoted));
        searcher.find_iter(text).filter_map(|at| value_start(&text[at + self.quoted.len()..]))
    }
}

pub(super) static USAGE: Name = Name::new("\"usage\"");
pub(super) static TIMINGS: Name = Name::new("\"timings\"");

/// The last object of that name in a piece of JSON text that reads as a `T`.
pub(super) fn last_object<T: DeserializeOwned>(name: &'static Name, text: &[u8]) -> Option<T> {
    let objects = name.values(text).filter(|value| value.starts_with(b"{"));
    objects.filter_map(|value| T::deserialize(&mut serde_json::Deserializer::from_slice(value)).ok()).last()
}

/// Names in a stream's event under which tokens come.
static TOKENS: [Name; 8] = [
    Name::new("\"content\""),
    Name::new("\"text\""),
    Name::new("\"reasoning_content\""),
    Name::new("\"reasoning\""),
    Name::new("\"tool_calls\""),
    Name::new("\"function_call\""),
    Name::new("\"refusal\""),
    Name::new("\"data\""),
];

/// The event brings tokens: text that is not empty, or a call.
pub(super) fn brings_tokens(event: &[u8]) -> bool {
    TOKENS.iter().any(|name| {
        name.values(event).any(|value| match value {
            [b'"', next, ..] => *next != b'"',
            // `"logprobs":{"content":[...]}` is a list too, but comes with text of its own.
            [b'[' | b'{', rest @ ..] => !matches!(rest.trim_ascii_start().first(), None | Some(b']' | b'}')),
            _ => false,
        })
    })
}
