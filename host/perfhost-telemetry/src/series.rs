//! Which series a request belongs to: provider, model, strategy and operation, interned to a small number.
//!
//! Owns the bound on how many there are. Series are never given up, so a number stays valid as long as the process.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use perfhost_strategy::plan::Operation;

/// Series that are kept apart. Later ones share their provider's series for model `other`.
pub const MAX_SERIES: usize = 4_096;

/// Series for model `other` that are kept apart beyond [`MAX_SERIES`]; after these all share [`SeriesId::OTHER`].
pub const MAX_OTHER_SERIES: usize = 256;

/// Longest name kept; longer ones are cut.
pub const MAX_NAME_BYTES: usize = 256;

/// Stands in every name of what is not kept apart.
pub const OTHER: &str = "other";

/// Number of one series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesId(u32);

impl SeriesId {
    /// The series of everything that is past the bounds.
    pub const OTHER: SeriesId = SeriesId(0);

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// The names behind a [`SeriesId`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesNames {
    /// Provider's name.
    pub provider: String,
    /// Model's name there.
    pub model: String,
    /// Strategy that planned it, as it was given to [`crate::Telemetry::series`].
    pub strategy: String,
    /// What was asked.
    pub operation: Operation,
}

type ByOperation = [Option<SeriesId>; 3];

/// All series.
pub(crate) struct SeriesRegistry {
    inner: RwLock<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Nested so that a lookup borrows its three names instead of building a key.
    ids: HashMap<String, HashMap<String, HashMap<String, ByOperation>>>,
    names: Vec<Arc<SeriesNames>>,
}

impl SeriesRegistry {
    pub(crate) fn new() -> Self {
        let other = SeriesNames {
            provider: OTHER.to_owned(),
            model: OTHER.to_owned(),
            strategy: OTHER.to_owned(),
            operation: Operation::Chat,
        };
        Self { inner: RwLock::new(Inner { ids: HashMap::new(), names: vec![Arc::new(other)] }) }
    }

    /// The number of a series, new or known.
    pub(crate) fn intern(&self, provider: &str, model: &str, strategy: &str, operation: Operation) -> SeriesId {
        let (provider, model, strategy) = (cut(provider), cut(model), cut(strategy));
        if let Some(known) = self.inner.read().find(provider, model, strategy, operation) {
            return known;
        }
        let mut inner = self.inner.write();
        if let Some(known) = inner.find(provider, model, strategy, operation) {
            return known;
        }
        if inner.names.len() < MAX_SERIES {
            return inner.add(provider, model, strategy, operation);
        }
        if let Some(known) = inner.find(provider, OTHER, strategy, operation) {
            return known;
        }
        if inner.names.len() < MAX_SERIES + MAX_OTHER_SERIES {
            return inner.add(provider, OTHER, strategy, operation);
        }
        SeriesId::OTHER
    }

    /// The names behind a number.
    pub(crate) fn names(&self, id: SeriesId) -> Option<Arc<SeriesNames>> {
        self.inner.read().names.get(id.index()).cloned()
    }
}

impl Inner {
    fn find(&self, provider: &str, model: &str, strategy: &str, operation: Operation) -> Option<SeriesId> {
        self.ids.get(provider)?.get(model)?.get(strategy)?[operation as usize]
    }

    fn add(&mut self, provider: &str, model: &str, strategy: &str, operation: Operation) -> SeriesId {
        let id = SeriesId(self.names.len() as u32);
        self.names.push(Arc::new(SeriesNames {
            provider: provider.to_owned(),
            model: model.to_owned(),
            strategy: strategy.to_owned(),
            operation,
        }));
        let models = self.ids.entry(provider.to_owned()).or_default();
        let strategies = models.entry(model.to_owned()).or_default();
        strategies.entry(strategy.to_owned()).or_default()[operation as usize] = Some(id);
        id
    }
}

fn cut(name: &str) -> &str {
    &name[..name.floor_char_boundary(MAX_NAME_BYTES)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_give_equal_numbers() {
        let registry = SeriesRegistry::new();
        let first = registry.intern("ollama", "gemma", "balanced", Operation::Chat);
        assert_eq!(registry.intern("ollama", "gemma", "balanced", Operation::Chat), first);
        assert_ne!(registry.intern("ollama", "gemma", "balanced", Operation::Embedding), first);
        assert_ne!(registry.intern("ollama", "gemma", "aggressive", Operation::Chat), first);
        assert_eq!(registry.names(first).map(|names| names.model.clone()).as_deref(), Some("gemma"));
    }

    #[test]
    fn series_past_the_bound_share_their_providers_other_model() {
        let registry = SeriesRegistry::new();
        for at in 0..MAX_SERIES * 2 {
            registry.intern("p", &format!("m{at}"), "s", Operation::Chat);
        }
        let late = registry.intern("p", "late", "s", Operation::Chat);
        let names = registry.names(late).unwrap();
        assert_eq!((names.provider.as_str(), names.model.as_str()), ("p", OTHER));
        for at in 0..MAX_OTHER_SERIES * 2 {
            registry.intern(&format!("p{at}"), "m", "s", Operation::Chat);
        }
        assert_eq!(registry.intern("later", "m", "s", Operation::Chat), SeriesId::OTHER);
        assert_eq!(registry.inner.read().names.len(), MAX_SERIES + MAX_OTHER_SERIES);
    }

    #[test]
    fn long_names_are_cut_at_a_character() {
        let registry = SeriesRegistry::new();
        let long = "ä".repeat(1_000);
        let id = registry.intern("p", &long, "s", Operation::Chat);
        assert!(registry.names(id).unwrap().model.len() <= MAX_NAME_BYTES);
    }
}
