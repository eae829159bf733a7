//! The kinds of provider, and their names.

use std::fmt;
use std::str::FromStr;

/// What software or service answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProviderKind {
    /// llama.cpp's `llama-server`.
    LlamaCpp,
    /// Ollama.
    Ollama,
    /// vLLM.
    Vllm,
    /// LM Studio.
    LmStudio,
    /// OpenAI's own service.
    OpenAi,
    /// Anthropic's own service.
    Anthropic,
    /// Groq's own service.
    Groq,
    /// Anything else with the OpenAI API.
    OpenAiCompatible,
}

impl ProviderKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::LlamaCpp,
        Self::Ollama,
        Self::Vllm,
        Self::LmStudio,
        Self::OpenAi,
        Self::Anthropic,
        Self::Groq,
        Self::OpenAiCompatible,
    ];

    /// As in configuration, metrics and a strategy's targets.
    pub fn name(self) -> &'static str {
        match self {
            Self::LlamaCpp => "llama-cpp",
            Self::Ollama => "ollama",
            Self::Vllm => "vllm",
            Self::LmStudio => "lm-studio",
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Groq => "groq",
            Self::OpenAiCompatible => "openai-compatible",
        }
    }

    /// A paid service elsewhere, probed less often.
    pub fn is_cloud(self) -> bool {
        matches!(self, Self::OpenAi | Self::Anthropic | Self::Groq)
    }
}

impl fmt::Display for ProviderKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for ProviderKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|kind| kind.name()).collect();
            format!("{text} is not a kind of provider; known: {}", known.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_back_from_its_name() {
        for kind in ProviderKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert!("gemini".parse::<ProviderKind>().is_err_and(|message| message.contains("known: llama-cpp, ollama")));
    }
}
