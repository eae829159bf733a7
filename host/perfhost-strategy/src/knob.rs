//! The registry: every knob with its name, scope, unit, bounds, default, step and risk, in one place.
//!
//! Owns what values are allowed. Who may change them, and how fast, is the guard's business.

use serde::{Deserialize, Serialize};

use crate::Value;
use crate::scope::{Scope, ScopeKind};

/// The values that a knob takes. Ranges include both ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bounds {
    /// On or off.
    AnyFlag,
    /// A whole number.
    IntegerRange(i64, i64),
    /// A finite number.
    NumberRange(f64, f64),
    /// One of these words.
    OneOf(Vec<String>),
}

/// How much a bad value can hurt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// Costs some efficiency.
    Low,
    /// Can slow or refuse requests.
    Medium,
    /// Can exhaust memory or change answers.
    High,
}

/// Whose requests a knob's value reaches. Decides how strategies that turn it can be compared; see
/// [`crate::experiment::regime`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Touches {
    /// The request that is served with it, and no other.
    Request,
    /// State that requests share: a queue, a cache, connections, an engine.
    Shared,
}

/// How far one applied change may move a knob from its present value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Anywhere within the bounds.
    Free,
    /// At most to the present value times this, or divided by it.
    Factor(f64),
    /// At most this much up or down.
    Amount(f64),
}

/// One knob's entry in the registry.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Knob {
    /// Which one.
    #[serde(skip)]
    pub id: KnobId,
    /// Name in the contract, configuration and API.
    pub name: &'static str,
    /// Where it applies.
    pub scope: ScopeKind,
    /// `ms`, `bytes`, `tokens`, `ratio`, `count` or empty.
    pub unit: &'static str,
    /// Allowed values.
    pub bounds: Bounds,
    /// Its value where nothing else is set.
    pub default: Value,
    /// Largest single change.
    pub step: Step,
    /// Turning it replaces an engine process instead of taking effect at once.
    pub reload: bool,
    /// How much a bad value can hurt.
    pub risk: Risk,
    /// Whose requests it reaches.
    pub touches: Touches,
    /// For people.
    pub meaning: &'static str,
}

/// A knob in one scope, as it is offered to a strategy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OfferedKnob {
    /// Its registry entry.
    #[serde(flatten)]
    pub knob: Knob,
    /// Where it can be turned.
    pub at: Scope,
    /// Its bounds here: the registry's, narrowed by configuration and hardware.
    pub bounds_here: Bounds,
}

impl Bounds {
    /// Whether `value` has the right type and lies within; the error says what is allowed.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        match (self, value) {
            (Bounds::AnyFlag, Value::Flag(_)) => Ok(()),
            (Bounds::IntegerRange(lowest, highest), Value::Integer(found)) => {
                if (lowest..=highest).contains(&found) {
                    Ok(())
                } else {
                    Err(format!("{found} is outside {lowest} to {highest}"))
                }
            }
            (Bounds::NumberRange(lowest, highest), Value::Number(found)) => {
                if found.is_finite() && (lowest..=highest).contains(&found) {
                    Ok(())
                } else {
                    Err(format!("{found} is outside {lowest} to {highest}"))
                }
            }
            (Bounds::OneOf(words), Value::Text(found)) => {
                if words.contains(found) {
                    Ok(())
                } else {
                    Err(format!("{found:?} is none of {}", words.join(", ")))
                }
            }
            (_, found) => Err(format!("a {} where {} is expected", found.type_name(), self.expected())),
        }
    }

    /// The value within the bounds that is nearest; `None` when the type does not fit or a number is not finite.
    pub fn clamp(&self, value: &Value) -> Option<Value> {
        match (self, value) {
            (Bounds::IntegerRange(lowest, highest), Value::Integer(found)) => {
                Some(Value::Integer(*found.clamp(lowest, highest)))
            }
            (Bounds::NumberRange(lowest, highest), Value::Number(found)) if found.is_finite() => {
                Some(Value::Number(found.clamp(*lowest, *highest)))
            }
            _ => self.check(value).is_ok().then(|| value.clone()),
        }
    }

    /// What is allowed, in words.
    pub fn expected(&self) -> String {
        match self {
            Bounds::AnyFlag => "true or false".to_owned(),
            Bounds::IntegerRange(lowest, highest) => {
                format!("a whole number from {lowest} to {highest}")
            }
            Bounds::NumberRange(lowest, highest) => format!("a number from {lowest} to {highest}"),
            Bounds::OneOf(words) => format!("one of {}", words.join(", ")),
        }
    }
}

macro_rules! knobs {
    ($($id:ident = $name:literal, $scope:ident, $unit:literal, $bounds:expr, $default:expr, $step:expr, $reload:literal, $risk:ident, $meaning:literal;)*) => {
        /// Every knob, by name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum KnobId { $(#[doc = $meaning] $id),* }

        impl KnobId {
            /// All of them, in the registry's order.
            pub const ALL: &'static [KnobId] = &[$(KnobId::$id),*];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self { $(KnobId::$id => $name),* }
            }

            /// Its registry entry.
            pub fn knob(self) -> Knob {
                match self {
                    $(KnobId::$id => Knob {
                        id: self, name: $name, scope: ScopeKind::$scope, unit: $unit, bounds: $bounds,
                        default: $default, step: $step, reload: $reload, risk: Risk::$risk, touches: self.touches(), meaning: $meaning,
                    }),*
                }
            }
        }
    };
}

fn words(list: &[&str]) -> Bounds {
    Bounds::OneOf(list.iter().map(|word| (*word).to_owned()).collect())
}

use Bounds::{IntegerRange, NumberRange};
use Value::{Integer, Number, Text};

knobs! {
    ConcurrencyLimit = "concurrency_limit", Global, "count", IntegerRange(1, 100_000), Integer(256), Step::Factor(2.0), false, Medium,
        "Requests that may be under way upstream at once.";
    QueueLength = "queue_length", Global, "count", IntegerRange(0, 100_000), Integer(1_024), Step::Factor(4.0), false, Medium,
        "Requests that may wait for admission; more are refused at once.";
    QueueWait = "queue_wait_ms", Global, "ms", IntegerRange(1, 600_000), Integer(60_000), Step::Factor(4.0), false, Medium,
        "Longest wait for admission; a request that waited this long is refused.";
    FirstByteTimeout = "first_byte_timeout_ms", Global, "ms", IntegerRange(100, 3_600_000), Integer(120_000), Step::Factor(2.0), false, Medium,
        "Longest time from sending a request upstream to the first byte of its answer.";
    TotalTimeout = "total_timeout_ms", Global, "ms", IntegerRange(1_000, 7_200_000), Integer(600_000), Step::Factor(2.0), false, Medium,
        "Longest time for one request in all.";
    Retries = "retries", Global, "count", IntegerRange(0, 10), Integer(1), Step::Amount(1.0), false, Low,
        "Further attempts after a failure before the first byte.";
    RetryBackoff = "retry_backoff_ms", Global, "ms", IntegerRange(1, 60_000), Integer(50), Step::Factor(4.0), false, Low,
        "Pause before the first further attempt; doubles with each.";
    HedgeAfter = "hedge_after_ms", Global, "ms", IntegerRange(0, 600_000), Integer(0), Step::Free, false, Medium,
        "Send to a second candidate when the first has not answered by then; 0 for never.";
    PoolSize = "pool_size", Provider, "count", IntegerRange(0, 4_096), Integer(128), Step::Factor(2.0), false, Low,
        "Idle connections kept to this provider.";
    PoolIdle = "pool_idle_ms", Provider, "ms", IntegerRange(100, 3_600_000), Integer(60_000), Step::Factor(4.0), false, Low,
        "How long an idle connection is kept.";
    CandidateWeight = "candidate_weight", Provider, "ratio", NumberRange(0.0, 100.0), Number(1.0), Step::Factor(2.0), false, Low,
        "Share of traffic relative to other providers of the same model; 0 for none.";
    CacheTtl = "cache_ttl_ms", Global, "ms", IntegerRange(1_000, 604_800_000), Integer(600_000), Step::Factor(4.0), false, Low,
        "How long a cached answer holds.";
    CacheCapacity = "cache_capacity_bytes", Global, "bytes", IntegerRange(0, 1 << 40), Integer(64 << 20), Step::Factor(4.0), false, Medium,
        "Memory for cached answers; 0 switches the cache off.";
    PlanBudget = "plan_budget_us", Global, "us", IntegerRange(1, 100_000), Integer(50), Step::Factor(2.0), false, Low,
        "Processor time a strategy may take to plan one request before it is demoted to tuning.";
    EngineSlots = "engine_slots", Provider, "count", IntegerRange(1, 64), Integer(1), Step::Factor(2.0), true, High,
        "Requests that the engine generates for at once (llama.cpp: --parallel).";
    EngineContext = "engine_context_tokens", Provider, "tokens", IntegerRange(256, 1 << 20), Integer(2_048), Step::Factor(2.0), true, High,
        "Context of one slot (llama.cpp: --ctx-size divided by --parallel).";
    EngineBatch = "engine_batch", Provider, "tokens", IntegerRange(32, 16_384), Integer(2_048), Step::Factor(2.0), true, Medium,
        "Logical batch for prompt processing (llama.cpp: --batch-size).";
    EngineMicroBatch = "engine_micro_batch", Provider, "tokens", IntegerRange(16, 16_384), Integer(512), Step::Factor(2.0), true, Medium,
        "Physical batch for prompt processing (llama.cpp: --ubatch-size).";
    EngineThreads = "engine_threads", Provider, "count", IntegerRange(0, 1_024), Integer(0), Step::Free, true, Medium,
        "Threads of the engine; 0 for the number of physical cores (llama.cpp: --threads).";
    EngineFlashAttention = "engine_flash_attention", Provider, "", words(&["auto", "on", "off"]), Text("auto".to_owned()), Step::Free, true, Medium,
        "Flash attention (llama.cpp: --flash-attn).";
    EngineKvType = "engine_kv_type", Provider, "", words(&["f16", "q8_0", "q4_0"]), Text("f16".to_owned()), Step::Free, true, High,
        "Type of the KV cache (llama.cpp: --cache-type-k and --cache-type-v).";
    EngineCacheReuse = "engine_cache_reuse_tokens", Provider, "tokens", IntegerRange(0, 65_536), Integer(0), Step::Free, true, Low,
        "Smallest chunk of a prompt that is reused from the KV cache by shifting; 0 for prefixes only (llama.cpp: --cache-reuse).";
}

impl KnobId {
    /// Whose requests it reaches. A new knob does not compile until it is said here.
    pub fn touches(self) -> Touches {
        match self {
            KnobId::FirstByteTimeout
            | KnobId::TotalTimeout
            | KnobId::Retries
            | KnobId::RetryBackoff
            | KnobId::HedgeAfter
            | KnobId::CandidateWeight
            | KnobId::PlanBudget => Touches::Request,
            KnobId::ConcurrencyLimit
            | KnobId::QueueLength
            | KnobId::QueueWait
            | KnobId::PoolSize
            | KnobId::PoolIdle
            | KnobId::CacheTtl
            | KnobId::CacheCapacity
            | KnobId::EngineSlots
            | KnobId::EngineContext
            | KnobId::EngineBatch
            | KnobId::EngineMicroBatch
            | KnobId::EngineThreads
            | KnobId::EngineFlashAttention
            | KnobId::EngineKvType
            | KnobId::EngineCacheReuse => Touches::Shared,
        }
    }

    /// The knob of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|id| id.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_allowed_and_every_name_is_unique() {
        for (at, id) in KnobId::ALL.iter().enumerate() {
            let knob = id.knob();
            assert_eq!(knob.bounds.check(&knob.default), Ok(()), "{}", knob.name);
            assert_eq!(KnobId::by_name(knob.name), Some(*id));
            assert!(KnobId::ALL[..at].iter().all(|other| other.name() != knob.name));
            assert!(!knob.reload || knob.touches == Touches::Shared, "{}: an engine serves many requests", knob.name);
        }
    }

    #[test]
    fn bounds_name_what_is_allowed() {
        let bounds = Bounds::NumberRange(0.0, 1.0);
        assert!(bounds.check(&Value::Number(f64::NAN)).is_err());
        assert_eq!(bounds.clamp(&Value::Number(f64::NAN)), None);
        assert_eq!(bounds.clamp(&Value::Number(-3.0)), Some(Value::Number(0.0)));
        assert_eq!(
            Bounds::IntegerRange(1, 4).check(&Value::Flag(true)),
            Err("a flag where a whole number from 1 to 4 is expected".to_owned())
        );
    }
}

/// Reads a value as the knob's type from text, as configuration and the command line give it.
pub fn parse_value(bounds: &Bounds, text: &str) -> Result<Value, String> {
    let parsed = match bounds {
        Bounds::AnyFlag => text.parse().ok().map(Value::Flag),
        Bounds::IntegerRange(..) => text.parse().ok().map(Value::Integer),
        Bounds::NumberRange(..) => text.parse().ok().map(Value::Number),
        Bounds::OneOf(_) => Some(Value::Text(text.to_owned())),
    };
    let value = parsed.ok_or_else(|| format!("{text:?} where {} is expected", bounds.expected()))?;
    bounds.check(&value).map(|()| value)
}

/// A knob's name and scope, as maps use it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KnobAt {
    /// The knob's name.
    pub name: String,
    /// Where.
    pub scope: Scope,
}
