//! Who answers: engines, whose speed follows from load and slots, and cloud services, whose times are distributions.

use serde::{Deserialize, Serialize};

use super::Amount;

/// One provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum ProviderSpec {
    /// A model server on this machine or one nearby.
    Engine(EngineSpec),
    /// A service that is never full.
    Cloud(CloudSpec),
}

/// A model server. The default is the one that was measured: Gemma 3 270M Q4_K_M in llama-server on two cores.
///
/// It processes prompts one after the other, at a speed of its own, and generates for all busy slots at once; while a
/// prompt is processed nothing is generated, as llama-server's batches do it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EngineSpec {
    /// Its name.
    pub name: String,
    /// As in the contract: `llama-cpp`, `ollama`, `vllm`, …
    pub kind: String,
    /// perfhost runs it: slots, context and KV cache type are knobs, and a change starts a new process.
    pub managed: bool,
    /// The models it offers. A managed engine has one, always loaded.
    pub models: Vec<ModelSpec>,
    /// Speed of prompt processing.
    pub prompt_tokens_per_second: f64,
    /// Speed of generation for all requests together, by how many there are; rising in `requests`, beginning with 1.
    pub generation: Vec<Generation>,
    /// Requests that each model generates for at once; a managed engine has the knob.
    pub slots: u32,
    /// Tokens of one slot, prompt and answer; a managed engine has the knob.
    pub context_tokens: u32,
    /// Memory for models; when it does not hold all, the one unused for longest makes room. Managed: the machine's.
    pub memory_bytes: u64,
    /// Seconds after which an unused model is unloaded; 0: never.
    pub keep_alive_s: f64,
}

/// One measured point of generation speed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generation {
    /// Requests generated for at once.
    pub requests: u32,
    /// Tokens per second, all together.
    pub tokens_per_second: f64,
}

/// One model of an engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelSpec {
    /// Its name.
    pub name: String,
    /// Its weights in memory.
    pub weights_bytes: u64,
    /// KV cache of one token at 16 bits.
    pub kv_bytes_per_token: u64,
    /// Seconds to load it.
    pub load_s: f64,
    /// Its speed over the engine's.
    pub speed: f64,
}

/// A cloud service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CloudSpec {
    /// Its name.
    pub name: String,
    /// As in the contract: `openai`, `groq`, …
    pub kind: String,
    /// The models it offers.
    pub models: Vec<String>,
    /// Milliseconds from the request to the first token.
    pub first_token_ms: Amount,
    /// Milliseconds for each further token of one answer.
    pub token_ms: Amount,
    /// Share of requests answered with 503, 0 to 1.
    pub failing: f64,
}

impl ProviderSpec {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            ProviderSpec::Engine(engine) => &engine.name,
            ProviderSpec::Cloud(cloud) => &cloud.name,
        }
    }

    /// Its kind.
    pub fn kind(&self) -> &str {
        match self {
            ProviderSpec::Engine(engine) => &engine.kind,
            ProviderSpec::Cloud(cloud) => &cloud.kind,
        }
    }

    /// The models it offers.
    pub fn models(&self) -> Vec<&str> {
        match self {
            ProviderSpec::Engine(engine) => engine.models.iter().map(|model| model.name.as_str()).collect(),
            ProviderSpec::Cloud(cloud) => cloud.models.iter().map(String::as_str).collect(),
        }
    }

    /// perfhost runs it.
    pub fn is_managed(&self) -> bool {
        matches!(self, ProviderSpec::Engine(engine) if engine.managed)
    }
}

impl Default for EngineSpec {
    fn default() -> Self {
        // Measured for eight clients: 79, 125 and 166 tokens/s with one, four and eight slots, prompts at 677 tokens/s,
        // one stream alone 84. That is time for prompts and generation together; 84, 138 and 190 are what generation
        // alone must be for the three to come out, with prompts half as long as answers (those 79 of 84 tell the length).
        let generation = [(1, 84.0), (4, 138.0), (8, 190.0)];
        Self {
            name: "local".to_owned(),
            kind: "llama-cpp".to_owned(),
            managed: true,
            models: vec![ModelSpec::default()],
            prompt_tokens_per_second: 677.0,
            generation: generation
                .map(|(requests, tokens_per_second)| Generation { requests, tokens_per_second })
                .to_vec(),
            slots: 1,
            context_tokens: 2_048,
            memory_bytes: 8 << 30,
            keep_alive_s: 0.0,
        }
    }
}

impl Default for ModelSpec {
    /// Gemma 3 270M Q4_K_M; 18 layers with keys and values of 256 numbers each. It loaded in one to five seconds, by
    /// how busy the machine was.
    fn default() -> Self {
        Self {
            name: "gemma-3-270m".to_owned(),
            weights_bytes: 253 << 20,
            kv_bytes_per_token: 18 * 512 * 2,
            load_s: 2.0,
            speed: 1.0,
        }
    }
}

impl Default for CloudSpec {
    fn default() -> Self {
        Self {
            name: "cloud".to_owned(),
            kind: "openai-compatible".to_owned(),
            models: vec![ModelSpec::default().name],
            first_token_ms: Amount::Varying { mean: 400.0, variation: 0.5 },
            token_ms: Amount::Varying { mean: 15.0, variation: 0.2 },
            failing: 0.0,
        }
    }
}
