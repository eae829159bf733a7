//! Reading a provider's list of models.

use serde::Deserialize;

/// What `GET /v1/models` answers, as far as it is needed. Ollama, llama.cpp, vLLM, LM Studio, Anthropic and the OpenAI
/// API itself all write it so.
#[derive(Debug, Deserialize)]
pub(crate) struct Listing {
    /// `null` from an Ollama without models.
    data: Option<Vec<Listed>>,
}

#[derive(Debug, Deserialize)]
struct Listed {
    id: String,
    #[serde(default)]
    owned_by: Option<String>,
}

impl Listing {
    /// `None` for what is not a list of models.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
        // An object without `data` would pass as an empty list otherwise.
        value.get("data")?;
        Self::deserialize(value).ok()
    }

    /// Who the software says owns the first model; each has its own word for it.
    pub(crate) fn owner(&self) -> Option<&str> {
        self.data.as_ref()?.first()?.owned_by.as_deref()
    }

    /// Names of the models.
    pub(crate) fn into_names(self) -> Vec<String> {
        self.data.unwrap_or_default().into_iter().map(|listed| listed.id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_told_from_other_answers() {
        let full = Listing::parse(br#"{"object":"list","data":[{"id":"m","owned_by":"vllm","x":1},{"id":"n"}]}"#);
        let full = full.expect("a list");
        assert_eq!(full.owner(), Some("vllm"));
        assert_eq!(full.into_names(), ["m", "n"]);
        let empty = Listing::parse(br#"{"object":"list","data":null}"#).expect("an empty list");
        assert!(empty.into_names().is_empty());
        for other in [&b"<html>"[..], b"{}", br#"{"data":"x"}"#, br#"[1]"#] {
            assert!(Listing::parse(other).is_none());
        }
    }
}
