//! Where a knob or a metric applies: the whole host, one provider, or one model at one provider.

use std::fmt;

use serde::{Deserialize, Serialize};

/// `""` for the whole host, `"provider"`, or `"provider/model"`. Model names may contain further slashes.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scope(String);

/// The three kinds of scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ScopeKind {
    /// The whole host.
    Global,
    /// One provider.
    Provider,
    /// One model at one provider.
    Model,
}

impl Scope {
    /// The whole host.
    pub fn global() -> Self {
        Self(String::new())
    }

    /// One provider.
    pub fn provider(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// One model at one provider.
    pub fn model(provider: &str, model: &str) -> Self {
        Self(format!("{provider}/{model}"))
    }

    /// Reads the written form; every string is a scope.
    pub fn parse(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The written form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Which kind it is.
    pub fn kind(&self) -> ScopeKind {
        match (self.0.is_empty(), self.0.contains('/')) {
            (true, _) => ScopeKind::Global,
            (false, false) => ScopeKind::Provider,
            (false, true) => ScopeKind::Model,
        }
    }

    /// The provider's name, for provider and model scopes.
    pub fn provider_name(&self) -> Option<&str> {
        (!self.0.is_empty()).then(|| self.0.split('/').next().unwrap_or(&self.0))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "host" } else { &self.0 })
    }
}
