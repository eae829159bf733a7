//! Which knobs are on offer, where, and within which bounds: the registry's, narrowed by configuration and hardware.

use std::sync::Arc;

use perfhost_strategy::knob::{Bounds, OfferedKnob};
use perfhost_strategy::scope::ScopeKind;
use perfhost_strategy::{KnobId, Scope};
use perfhost_upstream::{Fleet, Provider};

use crate::config::Config;

/// One provider, as far as it matters for what can be turned there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The provider's name.
    pub provider: String,
    /// perfhost runs its engine, and so can turn reload knobs.
    pub is_managed: bool,
}

impl Place {
    /// All providers of a fleet.
    pub fn of(fleet: &Fleet) -> Vec<Self> {
        let place =
            |provider: &Arc<Provider>| Self { provider: provider.name().to_owned(), is_managed: provider.is_managed() };
        fleet.providers().iter().map(place).collect()
    }
}

/// The knobs on offer: global ones, those of each provider, and reload knobs where perfhost runs the engine. A knob that
/// the configuration fixes is left out. `logical_cores` is 0 where they are not known.
pub fn offered(config: &Config, logical_cores: u32, places: &[Place]) -> Vec<OfferedKnob> {
    let mut offered = Vec::new();
    for id in KnobId::ALL.iter().copied() {
        let knob = id.knob();
        let Some(mut bounds_here) = config.limits.get(&id).cloned().unwrap_or_else(|| Some(knob.bounds.clone())) else {
            continue;
        };
        if id == KnobId::EngineThreads
            && let Bounds::IntegerRange(_, highest) = &mut bounds_here
            && logical_cores > 0
        {
            *highest = (*highest).min(i64::from(logical_cores));
        }
        let scopes: Vec<Scope> = match knob.scope {
            ScopeKind::Global => vec![Scope::global()],
            _ => places
                .iter()
                .filter(|place| !knob.reload || place.is_managed)
                .map(|place| Scope::provider(&place.provider))
                .collect(),
        };
        offered.extend(scopes.into_iter().map(|at| OfferedKnob {
            knob: knob.clone(),
            at,
            bounds_here: bounds_here.clone(),
        }));
    }
    offered
}
