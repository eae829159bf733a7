//! Knobs: which are on offer, what other settings do to the host, and which values there were.

use std::sync::Arc;

use perfhost_strategy::knob::{Bounds, OfferedKnob};
use perfhost_strategy::scope::ScopeKind;
use perfhost_strategy::{KnobId, Scope, Settings, Value};
use serde::Serialize;

use super::Host;
use super::provider::Serving;
use crate::engine::Reload;
use crate::operator::Operator;
use crate::scenario::Scenario;

/// A knob that was turned, and when.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KnobTrack {
    /// Its name.
    pub name: &'static str,
    /// Where.
    pub scope: Scope,
    /// Seconds from the start, and the value from then on; the first is the start's.
    pub values: Vec<(f64, Value)>,
}

/// The knobs on offer in a scenario: global ones, those of each provider, and reload knobs of the managed engine.
pub(crate) fn offered(scenario: &Scenario) -> Vec<OfferedKnob> {
    let mut names: Vec<(&str, bool)> =
        scenario.providers.iter().map(|provider| (provider.name(), provider.is_managed())).collect();
    names.sort_unstable();
    let mut offered = Vec::new();
    for id in KnobId::ALL.iter().copied() {
        let knob = id.knob();
        let mut bounds_here = knob.bounds.clone();
        if id == KnobId::EngineThreads
            && let Bounds::IntegerRange(_, highest) = &mut bounds_here
        {
            *highest = (*highest).min(i64::from(scenario.machine.cores));
        }
        let scopes: Vec<Scope> = match knob.scope {
            ScopeKind::Global => vec![Scope::global()],
            _ => {
                let able = names.iter().filter(|(_, is_managed)| !knob.reload || *is_managed);
                able.map(|(name, _)| Scope::provider(name)).collect()
            }
        };
        let offer = |at| OfferedKnob { knob: knob.clone(), at, bounds_here: bounds_here.clone() };
        offered.extend(scopes.into_iter().map(offer));
    }
    offered
}

impl KnobTrack {
    /// The value that holds at a time, in seconds from the start.
    pub fn at(&self, seconds: f64) -> Option<&Value> {
        let after = self.values.partition_point(|(at_s, _)| *at_s <= seconds);
        after.checked_sub(1).map(|at| &self.values[at].1)
    }
}

impl<O: Operator> Host<'_, O> {
    /// Other settings hold from now on.
    pub(super) fn apply(&mut self, settings: Arc<Settings>) {
        let before = std::mem::replace(&mut self.settings, settings.clone());
        self.track(&before);
        self.admission.set_limit(settings.concurrency_limit);
        self.cache.set_capacity(settings.cache_capacity_bytes);
        for (name, provider) in self.fleet.provider_names.iter().zip(&mut self.providers) {
            provider.weight = settings.provider(name).weight;
        }
        self.admit();
        let Some(managed) = self.managed else { return };
        let name = &self.fleet.provider_names[managed];
        let wanted = settings.engine(name);
        if wanted == before.engine(name) {
            return;
        }
        let free = self.scenario.machine.memory_bytes.saturating_sub(self.used_bytes());
        let Serving::Engine(machine) = &mut self.providers[managed].serving else { return };
        machine.advance(self.now);
        match machine.reload(self.now, &wanted, free) {
            Reload::Same => self.operator.engine_changed(self.now, Ok(())),
            Reload::Loading => {}
            Reload::Refused(why) => self.operator.engine_changed(self.now, Err(&why)),
        }
        self.hear(managed);
    }

    /// Keeps the values of knobs that have changed.
    fn track(&mut self, before: &Settings) {
        let now_s = self.now.as_seconds();
        let places = |settings: &Settings| -> Vec<(KnobId, Scope)> {
            settings.changed().map(|(id, scope, _)| (id, scope.clone())).collect()
        };
        let mut changed = places(before);
        changed.extend(places(&self.settings));
        changed.sort_unstable();
        changed.dedup();
        for (id, scope) in changed {
            let (old, new) = (before.value(id, &scope), self.settings.value(id, &scope));
            if old == new {
                continue;
            }
            match self.knobs.iter_mut().find(|track| track.name == id.name() && track.scope == scope) {
                Some(track) => track.values.push((now_s, new)),
                None => self.knobs.push(KnobTrack { name: id.name(), scope, values: vec![(0.0, old), (now_s, new)] }),
            }
        }
    }
}
