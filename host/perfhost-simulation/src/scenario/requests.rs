//! What requests ask for.

use serde::{Deserialize, Serialize};

use super::Amount;

/// What requests ask for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Requests {
    /// Tokens of a prompt.
    pub prompt_tokens: Amount,
    /// Tokens of an answer.
    pub output_tokens: Amount,
    /// The limit that clients set on the tokens of an answer; 0 for none.
    pub max_tokens: u32,
    /// Share of requests that want a stream, 0 to 1.
    pub streamed: f64,
    /// Share of requests that expect the same answer again (temperature 0 or a seed), 0 to 1.
    pub deterministic: f64,
    /// Requests that were asked before; without it every one is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeats: Option<Repeats>,
    /// Which models are asked for; empty: the first model of the first provider.
    pub models: Vec<ModelShare>,
    /// Users who ask, each with a session; 0: sessions are not known.
    pub users: u32,
    /// Seconds after which a client goes away without its answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience_s: Option<Amount>,
}

/// Requests that come from a list of known ones, the popular more often: the one at rank r with a weight of
/// 1 / r^exponent (Zipf's law).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repeats {
    /// Share of all requests that are from the list, 0 to 1.
    pub share: f64,
    /// Length of the list.
    pub distinct: u32,
    /// How uneven popularity is; 0: all equally popular.
    pub exponent: f64,
}

/// How often a model is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelShare {
    /// Its name.
    pub name: String,
    /// Its weight among all.
    pub share: f64,
}

impl Default for Requests {
    /// Streams of 32 to 96 tokens on prompts half as long: with it the default engine reproduces its measured figures.
    fn default() -> Self {
        Self {
            prompt_tokens: Amount::Between { from: 16.0, to: 48.0 },
            output_tokens: Amount::Between { from: 32.0, to: 96.0 },
            max_tokens: 0,
            streamed: 1.0,
            deterministic: 0.0,
            repeats: None,
            models: Vec::new(),
            users: 0,
            patience_s: None,
        }
    }
}
