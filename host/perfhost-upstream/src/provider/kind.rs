//! The kinds of provider, and their names.

use std::fmt;
use std::str::FromStr;

use crate::endpoint::Endpoint;

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

    /// The kind that a host name or port tells; [`ProviderKind::OpenAiCompatible`] when neither does.
    pub fn guess(endpoint: &Endpoint) -> Self {
        match (endpoint.host.as_str(), endpoint.port) {
            ("api.openai.com", _) => Self::OpenAi,
            ("api.anthropic.com", _) => Self::Anthropic,
            ("api.groq.com", _) => Self::Groq,
            (_, 11_434) => Self::Ollama,
            _ => Self::OpenAiCompatible,
        }
    }

    /// The environment variable that usually holds the key of such a service.
    pub fn key_variable(self) -> Option<&'static str> {
        match self {
            Self::OpenAi => Some("OPENAI_API_KEY"),
            Self::Anthropic => Some("ANTHROPIC_API_KEY"),
            Self::Groq => Some("GROQ_API_KEY"),
            _ => None,
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
