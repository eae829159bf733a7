//! The snapshot that a request is routed by: which targets serve a model.
//!
//! The index spaces of targets and models cover every provider whatever its health, so that they stay as they are while
//! providers go up and down; only the routes follow health.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use perfhost_strategy::plan::{FleetNames, Target};

use crate::provider::{Health, Provider, ProviderKind};

/// A target and the provider that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetRef {
    /// Index into [`FleetNames::targets`].
    pub target: u32,
    /// Index into [`FleetView::providers`].
    pub provider: usize,
}

/// All providers and routes at one moment.
#[derive(Debug, Default)]
pub struct FleetView {
    /// Rises with every change.
    pub version: u64,
    /// Rises only when [`FleetView::names`] changes: when strategies must be told.
    pub names_version: u64,
    /// Sorted by name.
    pub providers: Vec<Arc<Provider>>,
    /// What plan calls refer to. Targets are sorted by provider and model; each provider has one with an empty model
    /// name, for models that nobody lists. Models are sorted; the first is empty and stands for those models too.
    pub names: Arc<FleetNames>,
    indexes: HashMap<String, u32>,
    /// By model index.
    routes: Vec<Vec<TargetRef>>,
}

impl FleetView {
    /// The index of models that nobody lists, for plan calls.
    pub const UNLISTED_MODEL: u32 = 0;

    /// Index of a model, [`FleetView::UNLISTED_MODEL`] for one that no provider lists. An Ollama model is found without
    /// its `:latest` as well.
    pub fn model_index(&self, model: &str) -> u32 {
        self.indexes.get(model).copied().unwrap_or(Self::UNLISTED_MODEL)
    }

    /// Where the model of an index can be had. Providers that are down are left out unless all of them are.
    ///
    /// A model that nobody lists goes to every provider whose list is not known; with a single provider, to that one.
    /// Empty when nobody could serve it.
    pub fn targets_for(&self, model_index: u32) -> &[TargetRef] {
        self.routes.get(model_index as usize).map_or(&[], Vec::as_slice)
    }

    /// The provider of a target.
    pub fn provider(&self, target: TargetRef) -> Option<&Arc<Provider>> {
        self.providers.get(target.provider)
    }

    /// The view of `providers` now, or `None` when it would be the same. `providers` are sorted by name.
    pub(crate) fn rebuilt(&self, providers: &[Arc<Provider>]) -> Option<Self> {
        let lists: Vec<_> = providers.iter().map(|provider| provider.models()).collect();
        let listed: BTreeSet<&str> = lists.iter().flat_map(|list| list.iter().map(String::as_str)).collect();
        let mut names = FleetNames { targets: Vec::new(), models: vec![String::new()] };
        names.models.extend(listed.iter().filter(|model| !model.is_empty()).map(|model| (*model).to_owned()));
        let mut indexes: HashMap<String, u32> =
            names.models.iter().skip(1).zip(1..).map(|(model, index)| (model.clone(), index)).collect();

        let mut offers: Vec<Vec<TargetRef>> = vec![Vec::new(); names.models.len()];
        let mut wildcards = Vec::new();
        for (at, (provider, list)) in providers.iter().zip(&lists).enumerate() {
            for model in std::iter::once("").chain(list.iter().map(String::as_str).filter(|model| !model.is_empty())) {
                let offer = TargetRef { target: names.targets.len() as u32, provider: at };
                names.targets.push(Target {
                    provider: provider.name().to_owned(),
                    model: model.to_owned(),
                    kind: provider.kind().name().to_owned(),
                });
                match indexes.get(model) {
                    Some(index) => offers[*index as usize].push(offer),
                    None => wildcards.push(offer),
                }
            }
        }
        if providers.len() > 1 {
            wildcards.retain(|offer| lists[offer.provider].is_empty());
        }
        offers[Self::UNLISTED_MODEL as usize] = wildcards;
        add_short_names(&mut indexes, providers, &lists);

        let routes: Vec<_> = offers.into_iter().map(|offer| reachable(offer, providers)).collect();
        let is_names_changed = names != *self.names;
        let is_same_providers = providers.len() == self.providers.len()
            && providers.iter().zip(&self.providers).all(|(one, other)| Arc::ptr_eq(one, other));
        if is_same_providers && !is_names_changed && routes == self.routes {
            return None;
        }
        Some(Self {
            version: self.version + 1,
            names_version: self.names_version + u64::from(is_names_changed),
            providers: providers.to_vec(),
            names: if is_names_changed { Arc::new(names) } else { self.names.clone() },
            indexes,
            routes,
        })
    }
}

/// Ollama takes `gemma3` for `gemma3:latest`; so does routing, unless something else has the short name.
fn add_short_names(indexes: &mut HashMap<String, u32>, providers: &[Arc<Provider>], lists: &[Arc<[String]>]) {
    let ollama = providers.iter().zip(lists).filter(|(provider, _)| provider.kind() == ProviderKind::Ollama);
    for model in ollama.flat_map(|(_, list)| list.iter()) {
        if let (Some(short), Some(index)) = (model.strip_suffix(":latest"), indexes.get(model).copied()) {
            indexes.entry(short.to_owned()).or_insert(index);
        }
    }
}

fn reachable(offers: Vec<TargetRef>, providers: &[Arc<Provider>]) -> Vec<TargetRef> {
    let is_up = |offer: &TargetRef| providers[offer.provider].health() != Health::Down;
    if offers.iter().any(is_up) { offers.into_iter().filter(is_up).collect() } else { offers }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Endpoint;
    use crate::fleet::Fleet;
    use crate::provider::ProviderConfig;

    fn fleet(providers: &[(&str, ProviderKind, &[&str])]) -> Arc<Fleet> {
        let fleet = Fleet::new();
        for (name, kind, models) in providers {
            let endpoint = Endpoint::loopback(1).expect("endpoint");
            let config =
                ProviderConfig { name: (*name).to_owned(), kind: *kind, endpoint, key: None, is_managed: false };
            fleet.add(config).set_models(models.iter().map(|model| (*model).to_owned()).collect());
        }
        fleet
    }

    /// Where a model goes, as `provider/model kind` of each target.
    fn route(fleet: &Fleet, model: &str) -> Vec<String> {
        let view = fleet.view().load();
        let shown = |offer: &TargetRef| {
            let target = &view.names.targets[offer.target as usize];
            assert_eq!(view.provider(*offer).expect("a provider").name(), target.provider);
            format!("{}/{} {}", target.provider, target.model, target.kind)
        };
        view.targets_for(view.model_index(model)).iter().map(shown).collect()
    }

    use ProviderKind::{LlamaCpp, Ollama, OpenAi, Vllm};

    #[test]
    fn a_listed_model_goes_to_all_who_list_it_and_an_unlisted_one_to_those_without_a_list() {
        let fleet = fleet(&[("b", LlamaCpp, &["m"]), ("a", Vllm, &["m", "n"]), ("c", OpenAi, &[])]);
        assert_eq!(route(&fleet, "m"), ["a/m vllm", "b/m llama-cpp"]);
        assert_eq!(route(&fleet, "n"), ["a/n vllm"]);
        assert_eq!(route(&fleet, "x"), ["c/ openai"]);
        assert_eq!(route(&fleet, ""), ["c/ openai"]);
    }

    #[test]
    fn a_single_provider_gets_every_model_and_several_with_lists_only_theirs() {
        let single = fleet(&[("a", LlamaCpp, &["m"])]);
        assert_eq!(route(&single, "x"), ["a/ llama-cpp"]);
        let several = fleet(&[("a", LlamaCpp, &["m"]), ("b", Vllm, &["n"])]);
        assert!(route(&several, "x").is_empty());
        assert!(route(&Fleet::new(), "m").is_empty());
    }

    #[test]
    fn a_provider_that_is_down_is_left_out_unless_all_are() {
        let fleet = fleet(&[("a", Vllm, &["m"]), ("b", Vllm, &["m"])]);
        let (a, b) = (fleet.provider("a").expect("a"), fleet.provider("b").expect("b"));
        a.note_unreachable();
        assert_eq!(route(&fleet, "m").len(), 2, "degraded still serves");
        a.note_unreachable();
        assert_eq!((a.health(), route(&fleet, "m")), (Health::Down, vec!["b/m vllm".to_owned()]));
        b.set_health(Health::Down);
        assert_eq!(route(&fleet, "m").len(), 2, "nothing else is left");
        a.note_reachable();
        assert_eq!(route(&fleet, "m"), ["a/m vllm"]);
    }

    #[test]
    fn names_keep_their_version_while_only_health_changes() {
        let fleet = fleet(&[("a", Vllm, &["m"]), ("b", Vllm, &["m"])]);
        let before = fleet.view().load();
        fleet.refresh();
        assert_eq!(fleet.view().load().version, before.version, "nothing differs");
        fleet.provider("a").expect("a").set_health(Health::Down);
        let after = fleet.view().load();
        assert!(after.version > before.version && after.names_version == before.names_version);
        assert!(Arc::ptr_eq(&after.names, &before.names));
        fleet.remove("b");
        assert!(fleet.view().load().names_version > before.names_version);
    }

    #[test]
    fn an_ollama_model_is_found_by_its_short_name() {
        let fleet = fleet(&[("a", Ollama, &["gemma3:latest", "qwen:0.5b"]), ("b", Vllm, &["m"])]);
        assert_eq!(route(&fleet, "gemma3"), ["a/gemma3:latest ollama"]);
        assert_eq!(fleet.view().load().model_index("gemma3"), fleet.view().load().model_index("gemma3:latest"));
        assert!(route(&fleet, "qwen").is_empty());
    }

    #[test]
    fn the_first_model_name_stands_for_unlisted_ones() {
        let view = fleet(&[("a", Vllm, &["m"])]).view().load();
        assert_eq!(view.names.models, ["", "m"]);
        assert_eq!((view.model_index("m"), view.model_index("")), (1, FleetView::UNLISTED_MODEL));
    }
}
