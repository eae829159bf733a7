//! The immutable snapshot of every knob's value. Hot paths read the typed fields of [`Settings`], never a map or a lock.
//!
//! A new snapshot is made by [`Settings::with`]; it reaches the hot paths through [`crate::Shared`].

use std::collections::BTreeMap;
use std::time::Duration;

use crate::knob::KnobId;
use crate::observation::Setting;
use crate::scope::{Scope, ScopeKind};
use crate::value::Value;

/// Every knob's value at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Rises by one with every change.
    pub version: u64,
    /// Admission: requests under way at once.
    pub concurrency_limit: usize,
    /// Admission: requests waiting.
    pub queue_length: usize,
    /// Admission: longest wait.
    pub queue_wait: Duration,
    /// From sending to the first byte.
    pub first_byte_timeout: Duration,
    /// One request in all.
    pub total_timeout: Duration,
    /// Further attempts before the first byte.
    pub retries: u32,
    /// Pause before the first further attempt.
    pub retry_backoff: Duration,
    /// `None` for never.
    pub hedge_after: Option<Duration>,
    /// How long a cached answer holds.
    pub cache_ttl: Duration,
    /// Bytes for cached answers.
    pub cache_capacity_bytes: u64,
    /// Time for one plan call.
    pub plan_budget: Duration,
    changed: BTreeMap<(KnobId, Scope), Value>,
}

/// One provider's live knobs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProviderSettings {
    /// Idle connections kept.
    pub pool_size: usize,
    /// How long an idle connection is kept.
    pub pool_idle: Duration,
    /// Share of traffic.
    pub weight: f32,
}

/// One managed engine's reload knobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineSettings {
    /// Requests generated for at once.
    pub slots: u32,
    /// Context of one slot.
    pub context_tokens: u32,
    /// Logical batch.
    pub batch: u32,
    /// Physical batch.
    pub micro_batch: u32,
    /// `None` for the number of physical cores.
    pub threads: Option<u32>,
    /// `auto`, `on` or `off`.
    pub flash_attention: String,
    /// `f16`, `q8_0` or `q4_0`.
    pub kv_type: String,
    /// Smallest chunk of a prompt reused by shifting; 0 for prefixes only.
    pub cache_reuse_tokens: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self::from_values(1, BTreeMap::new())
    }
}

impl Settings {
    /// The snapshot that [`Settings::list`] listed. What was set to its default there counts as not set; names that are not
    /// in the registry are left out.
    pub fn of(list: &[Setting]) -> Self {
        let changed = list.iter().filter_map(|setting| {
            let id = KnobId::by_name(&setting.name)?;
            (id.knob().default != setting.value).then(|| ((id, setting.scope.clone()), setting.value.clone()))
        });
        Self::from_values(1, changed.collect())
    }

    /// The value of a knob in a scope: what was set there, else (for provider and model scopes) what was set for the
    /// whole host, else the registry's default.
    pub fn value(&self, id: KnobId, scope: &Scope) -> Value {
        lookup(&self.changed, id, scope)
    }

    /// A snapshot with one knob changed. The value must be within the knob's bounds; the guard and the configuration
    /// see to that.
    pub fn with(&self, id: KnobId, scope: &Scope, value: Value) -> Self {
        let mut changed = self.changed.clone();
        changed.insert((id, scope.clone()), value);
        Self::from_values(self.version + 1, changed)
    }

    /// A snapshot with one knob back at its default.
    pub fn without(&self, id: KnobId, scope: &Scope) -> Self {
        let mut changed = self.changed.clone();
        changed.remove(&(id, scope.clone()));
        Self::from_values(self.version + 1, changed)
    }

    /// Every knob in every scope it applies to: global ones once, provider ones for each of `providers`.
    pub fn list(&self, providers: &[String]) -> Vec<Setting> {
        let mut list = Vec::new();
        for id in KnobId::ALL.iter().copied() {
            let scopes = match id.knob().scope {
                ScopeKind::Global => vec![Scope::global()],
                ScopeKind::Provider | ScopeKind::Model => providers.iter().map(|name| Scope::provider(name)).collect(),
            };
            for scope in scopes {
                list.push(Setting { name: id.name().to_owned(), value: self.value(id, &scope), scope });
            }
        }
        list
    }

    /// What was set apart from defaults.
    pub fn changed(&self) -> impl Iterator<Item = (KnobId, &Scope, &Value)> {
        self.changed.iter().map(|((id, scope), value)| (*id, scope, value))
    }

    /// One provider's live knobs.
    pub fn provider(&self, name: &str) -> ProviderSettings {
        let scope = Scope::provider(name);
        let integer = |id| integer(&self.changed, id, &scope);
        ProviderSettings {
            pool_size: integer(KnobId::PoolSize) as usize,
            pool_idle: Duration::from_millis(integer(KnobId::PoolIdle)),
            weight: self.value(KnobId::CandidateWeight, &scope).as_number().unwrap_or(1.0) as f32,
        }
    }

    /// One managed engine's reload knobs.
    pub fn engine(&self, provider: &str) -> EngineSettings {
        let scope = Scope::provider(provider);
        let integer = |id| integer(&self.changed, id, &scope) as u32;
        let text = |id| self.value(id, &scope).to_string();
        EngineSettings {
            slots: integer(KnobId::EngineSlots),
            context_tokens: integer(KnobId::EngineContext),
            batch: integer(KnobId::EngineBatch),
            micro_batch: integer(KnobId::EngineMicroBatch),
            threads: Some(integer(KnobId::EngineThreads)).filter(|threads| *threads > 0),
            flash_attention: text(KnobId::EngineFlashAttention),
            kv_type: text(KnobId::EngineKvType),
            cache_reuse_tokens: integer(KnobId::EngineCacheReuse),
        }
    }

    fn from_values(version: u64, changed: BTreeMap<(KnobId, Scope), Value>) -> Self {
        let integer = |id| integer(&changed, id, &Scope::global());
        let milliseconds = |id| Duration::from_millis(integer(id));
        Self {
            version,
            concurrency_limit: integer(KnobId::ConcurrencyLimit) as usize,
            queue_length: integer(KnobId::QueueLength) as usize,
            queue_wait: milliseconds(KnobId::QueueWait),
            first_byte_timeout: milliseconds(KnobId::FirstByteTimeout),
            total_timeout: milliseconds(KnobId::TotalTimeout),
            retries: integer(KnobId::Retries) as u32,
            retry_backoff: milliseconds(KnobId::RetryBackoff),
            hedge_after: Some(milliseconds(KnobId::HedgeAfter)).filter(|after| !after.is_zero()),
            cache_ttl: milliseconds(KnobId::CacheTtl),
            cache_capacity_bytes: integer(KnobId::CacheCapacity),
            plan_budget: Duration::from_micros(integer(KnobId::PlanBudget)),
            changed,
        }
    }
}

fn lookup(changed: &BTreeMap<(KnobId, Scope), Value>, id: KnobId, scope: &Scope) -> Value {
    changed
        .get(&(id, scope.clone()))
        .or_else(|| changed.get(&(id, Scope::global())))
        .cloned()
        .unwrap_or_else(|| id.knob().default)
}

fn integer(changed: &BTreeMap<(KnobId, Scope), Value>, id: KnobId, scope: &Scope) -> u64 {
    lookup(changed, id, scope).as_number().unwrap_or(0.0).max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_makes_a_new_snapshot_and_leaves_the_old() {
        let before = Settings::default();
        let after = before.with(KnobId::ConcurrencyLimit, &Scope::global(), Value::Integer(7));
        assert_eq!((before.concurrency_limit, after.concurrency_limit), (256, 7));
        assert_eq!(after.version, before.version + 1);
        assert_eq!(after.without(KnobId::ConcurrencyLimit, &Scope::global()).concurrency_limit, 256);
    }

    #[test]
    fn a_provider_takes_its_own_value_then_the_hosts() {
        let settings = Settings::default().with(KnobId::EngineSlots, &Scope::global(), Value::Integer(2)).with(
            KnobId::EngineSlots,
            &Scope::provider("local"),
            Value::Integer(8),
        );
        assert_eq!((settings.engine("local").slots, settings.engine("other").slots), (8, 2));
    }

    #[test]
    fn a_snapshot_is_made_again_from_its_list() {
        let providers = ["local".to_owned()];
        let local = Scope::provider("local");
        let settings = Settings::default().with(KnobId::Retries, &Scope::global(), Value::Integer(3)).with(
            KnobId::EngineKvType,
            &local,
            Value::Text("q8_0".to_owned()),
        );
        let again = Settings::of(&settings.list(&providers));
        assert_eq!((again.list(&providers), again.retries), (settings.list(&providers), 3));
        assert_eq!(again.changed().count(), 2);
    }

    #[test]
    fn the_list_names_every_knob_in_every_scope() {
        let list = Settings::default().list(&["a".to_owned(), "b".to_owned()]);
        let of = |name: &str| list.iter().filter(|setting| setting.name == name).count();
        assert_eq!((of("concurrency_limit"), of("engine_slots")), (1, 2));
    }
}
