//! Advice on which variant of a model to run, and the facts it is asked with.

use serde::{Deserialize, Serialize};

/// One variant that could be run. What is not known is `None`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// The model.
    pub model: String,
    /// As its publisher names it, for example `Q4_K_M`.
    pub variant_name: String,
    /// Mean bits per weight.
    pub bits_per_weight: f32,
    /// Size of its file.
    pub size_bytes: u64,
    /// Bytes of KV cache for one token at 16 bits.
    pub kv_bytes_per_token: u64,
    /// Measured generation speed of one request.
    pub tokens_per_second: Option<f32>,
    /// Measured perplexity over that of the 16-bit variant, minus 1.
    pub quality_loss: Option<f32>,
    /// It is loaded now.
    pub is_loaded: bool,
}

/// One recommendation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Advice {
    /// The model.
    pub model: String,
    /// The variant to run.
    pub variant_name: String,
    /// KV cache type: `f16`, `q8_0` or `q4_0`.
    pub kv_type: String,
    /// For people.
    pub reason: String,
    /// 0 to 1.
    pub confidence: f64,
}
