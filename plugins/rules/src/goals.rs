//! What an action means here and now: which knobs in which scopes, and to what value.

use perfhost_strategy::rule::{Place, Rule, Step};
use perfhost_strategy::scope::ScopeKind;
use perfhost_strategy::{KnobId, Value};
use strategy_kit::engine::engines;
use strategy_kit::seen::{HOST, LONG_MS};
use strategy_kit::types::Health;
use strategy_kit::{Knobs, Seen};

use crate::sight::{Sight, within};

/// The cache takes at most this part of free memory.
const MEMORY_PART: i64 = 8;

/// What goals depend on.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// What is measured and set.
    pub sight: Sight<'a>,
    /// What may be turned.
    pub knobs: &'a Knobs,
    /// KV cache of one token at 16 bits, for the memory of a slot.
    pub kv_bytes_per_token: f64,
}

impl Circumstances<'_> {
    /// The scopes in which a step of a rule turns its knob.
    pub fn scopes(&self, rule: &Rule, step: &Step) -> Vec<String> {
        if step.knob.knob().scope == ScopeKind::Global {
            return vec![HOST.to_owned()];
        }
        let offered = || self.knobs.scopes_of(step.knob.name());
        match (&step.place, rule.trigger.provider()) {
            (Place::Provider(provider), _) => vec![provider.clone()],
            (Place::Unsaid, Some(provider)) => vec![provider.to_owned()],
            (Place::Unsaid, None) => offered().map(str::to_owned).collect(),
            (Place::Heavier, _) => match self.lightest() {
                Some(lightest) => offered().filter(|scope| *scope != lightest).map(str::to_owned).collect(),
                None => Vec::new(),
            },
        }
    }

    /// The provider with the shortest median time per output token over the last minute; `None` where fewer than two
    /// that answer were measured.
    fn lightest(&self) -> Option<&str> {
        let seen = &self.sight.0;
        let measured = seen.observation.providers.iter().filter(|provider| provider.health != Health::Down);
        let mut measured: Vec<(f64, &str)> = measured
            .filter_map(|provider| {
                let times = seen.summary("time_per_output_token_ms", &provider.name, LONG_MS)?;
                Some((times.p50, provider.name.as_str()))
            })
            .collect();
        measured.sort_by(|one, other| one.0.total_cmp(&other.0));
        if measured.len() < 2 { None } else { measured.first().map(|(_, name)| *name) }
    }

    /// The value that a step leads to from `present`; `None` when it changes nothing, or depends on something that is not
    /// measured. More slots or cache than memory allows are never wanted.
    pub fn goal(&self, step: &Step, scope: &str, present: &Value) -> Option<Value> {
        let wanted = step.goal(present, |aim| aim.measured(&self.sight, scope))?;
        let bounded = within(self.knobs, step.knob, scope, &wanted);
        let value = match (&bounded, present) {
            (Value::Integer(wanted), Value::Integer(present)) if wanted > present => {
                Value::Integer(self.within_memory(step.knob, scope, *present, *wanted))
            }
            _ => bounded,
        };
        (value != *present).then_some(value)
    }

    fn within_memory(&self, knob: KnobId, scope: &str, present: i64, wanted: i64) -> i64 {
        let seen: &Seen<'_> = &self.sight.0;
        match knob {
            KnobId::EngineSlots => {
                let engines = engines(seen, self.knobs, self.kv_bytes_per_token);
                let engine = engines.iter().find(|engine| engine.scope == scope);
                let has_memory = |slots: &i64| engine.is_none_or(|engine| engine.has_memory_for(*slots));
                (present + 1..=wanted).rev().find(has_memory).unwrap_or(present)
            }
            KnobId::CacheCapacity => {
                let free = i64::try_from(seen.observation.hardware.memory_free_bytes).unwrap_or(i64::MAX);
                wanted.min(free / MEMORY_PART).max(present)
            }
            _ => wanted,
        }
    }
}
