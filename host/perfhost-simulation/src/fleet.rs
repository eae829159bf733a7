//! Names and numbers of providers, targets and models, as the real host's fleet gives them (perfhost-upstream's
//! `fleet::view`): providers sorted by name, for each a target with an empty model first; models sorted, the first empty.

use std::collections::BTreeSet;

use perfhost_strategy::Scope;
use perfhost_strategy::plan::{FleetNames, Target};

use crate::scenario::{ProviderSpec, Scenario};

/// Everything that does not change while a scenario runs.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) names: FleetNames,
    /// Sorted by name.
    pub(crate) providers: Vec<ProviderSpec>,
    pub(crate) provider_names: Vec<String>,
    /// Who offers each model, by the model's number in `names.models`.
    pub(crate) offers: Vec<Vec<Offer>>,
    /// Where requests are measured: the host, each provider, each model at each provider.
    pub(crate) scopes: Vec<Scope>,
    /// Numbers of scopes by provider and by target.
    scope_of_provider: Vec<usize>,
    scope_of_target: Vec<usize>,
    provider_of_target: Vec<usize>,
}

/// A provider that offers a model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offer {
    pub(crate) target: usize,
    pub(crate) provider: usize,
    /// The model's number among the provider's own.
    pub(crate) model: usize,
}

/// The whole host's number among scopes.
pub(crate) const HOST: usize = 0;

impl Fleet {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let mut providers = scenario.providers.clone();
        providers.sort_by(|one, other| one.name().cmp(other.name()));
        let models: BTreeSet<&str> = providers.iter().flat_map(ProviderSpec::models).collect();
        let models: Vec<String> = std::iter::once("").chain(models).map(str::to_owned).collect();
        let mut fleet = Self {
            names: FleetNames { targets: Vec::new(), models: Vec::new() },
            provider_names: providers.iter().map(|provider| provider.name().to_owned()).collect(),
            offers: vec![Vec::new(); models.len()],
            scopes: vec![Scope::global()],
            scope_of_provider: Vec::new(),
            scope_of_target: Vec::new(),
            provider_of_target: Vec::new(),
            providers: Vec::new(),
        };
        for (at, provider) in providers.iter().enumerate() {
            fleet.scope_of_provider.push(fleet.scopes.len());
            fleet.scopes.push(Scope::provider(provider.name()));
            fleet.add_target(at, provider, "");
            let own = provider.models();
            for (number, name) in models.iter().enumerate().skip(1) {
                if let Some(model) = own.iter().position(|own| own == name) {
                    fleet.offers[number].push(Offer { target: fleet.names.targets.len(), provider: at, model });
                    fleet.add_target(at, provider, name);
                }
            }
        }
        fleet.names.models = models;
        fleet.providers = providers;
        fleet
    }

    fn add_target(&mut self, number: usize, provider: &ProviderSpec, model: &str) {
        let (provider, kind) = (provider.name().to_owned(), provider.kind().to_owned());
        self.scope_of_target.push(self.scopes.len());
        self.provider_of_target.push(number);
        if !model.is_empty() {
            self.scopes.push(Scope::model(&provider, model));
        }
        self.names.targets.push(Target { provider, model: model.to_owned(), kind });
    }

    /// The number of a model; 0 for one that nobody offers.
    pub(crate) fn model(&self, name: &str) -> usize {
        self.names.models.iter().position(|known| known == name).unwrap_or(0)
    }

    /// The provider that a target belongs to.
    pub(crate) fn provider_of(&self, target: u32) -> Option<usize> {
        self.provider_of_target.get(target as usize).copied()
    }

    /// The scopes in which a request counts.
    pub(crate) fn scopes_of(&self, provider: Option<usize>, model: usize) -> [Option<usize>; 3] {
        let provider_scope = provider.map(|provider| self.scope_of_provider[provider]);
        let offer = self.offers[model].iter().find(|offer| Some(offer.provider) == provider);
        [Some(HOST), provider_scope, offer.map(|offer| self.scope_of_target[offer.target])]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{CloudSpec, EngineSpec};

    #[test]
    fn numbers_are_those_of_the_real_host() {
        let cloud = |name: &str, models: &[&str]| {
            let models = models.iter().map(|model| (*model).to_owned()).collect();
            ProviderSpec::Cloud(CloudSpec { name: name.to_owned(), models, ..CloudSpec::default() })
        };
        let providers =
            vec![cloud("z", &["b", "a"]), ProviderSpec::Engine(EngineSpec::default()), cloud("a", &["gemma-3-270m"])];
        let fleet = Fleet::new(&Scenario { providers, ..Scenario::default() });
        assert_eq!(fleet.names.models, ["", "a", "b", "gemma-3-270m"]);
        let targets: Vec<String> =
            fleet.names.targets.iter().map(|target| format!("{}/{}", target.provider, target.model)).collect();
        assert_eq!(targets, ["a/", "a/gemma-3-270m", "local/", "local/gemma-3-270m", "z/", "z/a", "z/b"]);
        let gemma: Vec<_> = fleet.offers[3].iter().map(|offer| (offer.target, offer.provider)).collect();
        assert_eq!((gemma, fleet.offers[2][0].model), (vec![(1, 0), (3, 1)], 0));
        let scopes = |provider, model| {
            let numbers = fleet.scopes_of(provider, model).into_iter().flatten();
            numbers.map(|scope| fleet.scopes[scope].as_str()).collect::<Vec<_>>()
        };
        assert_eq!(scopes(Some(2), 2), ["", "z", "z/b"]);
        assert_eq!(scopes(None, 2), [""]);
    }
}
