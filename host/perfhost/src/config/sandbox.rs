//! What strategies may do and use: `[sandbox]` for all of them, `[strategies.NAME]` for one. What holds is the stricter of
//! both.
//!
//! A strategy's name is what it says of itself: its table narrows what a known strategy may do. What must hold for every
//! strategy, whatever it calls itself, belongs in `[sandbox]`.

use std::collections::BTreeMap;
use std::time::Duration;

use perfhost_strategy::Grants;
use perfhost_wasm::limits::KEYS;
use perfhost_wasm::{LimitKey, Limits, Terms};
use serde::Deserialize;

use super::load::ConfigError;

/// The time for one plan; for all strategies it is a knob.
const PLAN_BUDGET: &str = "plan_budget_us";
const PLAN_BUDGET_US: std::ops::RangeInclusive<u64> = 1..=100_000;

/// `[sandbox]`, and each table of `[strategies]`, as written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawTerms {
    /// What may be done; everything when absent.
    pub grants: Option<Vec<String>>,
    /// Limits by name.
    pub limits: BTreeMap<String, u64>,
}

/// What strategies are held to.
#[derive(Debug, Clone, Default)]
pub struct Sandbox {
    /// The limits of all.
    pub limits: Limits,
    /// What all may do at most.
    pub grants: Grants,
    /// What one of them may do, and where it has less.
    pub strategies: BTreeMap<String, Terms>,
}

impl Sandbox {
    /// Checks what a person wrote.
    pub(super) fn check(sandbox: &RawTerms, strategies: &BTreeMap<String, RawTerms>) -> Result<Self, ConfigError> {
        let mut limits = Limits::default();
        for (name, value) in &sandbox.limits {
            let place = format!("sandbox.limits.{name}");
            if name == PLAN_BUDGET {
                let message = "the time for one plan of any strategy is a knob; set knobs.plan_budget_us";
                return Err(ConfigError::value(place, message));
            }
            let key = known(&place, name, |_| true)?;
            check_bounds(&place, *value, key.lowest..=key.highest)?;
            key.set(&mut limits, *value);
        }
        let strategies = strategies.iter().map(|(name, raw)| Ok((name.clone(), terms(name, raw)?)));
        Ok(Self {
            limits,
            grants: grants("sandbox.grants", sandbox.grants.as_deref())?,
            strategies: strategies.collect::<Result<_, ConfigError>>()?,
        })
    }

    /// The terms of the strategy of this name: its own, within what all may do.
    pub fn terms_of(&self, strategy: &str) -> Terms {
        let own = self.strategies.get(strategy).cloned().unwrap_or_default();
        Terms { grants: own.grants.both(&self.grants), ..own }
    }
}

fn terms(strategy: &str, raw: &RawTerms) -> Result<Terms, ConfigError> {
    let mut terms =
        Terms { grants: grants(&format!("strategies.{strategy}.grants"), raw.grants.as_deref())?, ..Terms::default() };
    for (name, value) in &raw.limits {
        let place = format!("strategies.{strategy}.limits.{name}");
        if name == PLAN_BUDGET {
            check_bounds(&place, *value, PLAN_BUDGET_US)?;
            terms.plan_budget = Some(Duration::from_micros(*value));
            continue;
        }
        if LimitKey::by_name(name).is_some_and(|key| key.is_host_only) {
            let message = format!("this limit is one for all strategies; set sandbox.limits.{name}");
            return Err(ConfigError::value(place, message));
        }
        let key = known(&place, name, |key| !key.is_host_only)?;
        check_bounds(&place, *value, key.lowest..=key.highest)?;
        terms.limits.insert(name.clone(), *value);
    }
    Ok(terms)
}

fn grants(place: &str, words: Option<&[String]>) -> Result<Grants, ConfigError> {
    match words {
        None => Ok(Grants::everything()),
        Some(words) => Grants::parse(words).map_err(|error| ConfigError::value(place, error.to_string())),
    }
}

fn known(place: &str, name: &str, is_meant: fn(&LimitKey) -> bool) -> Result<&'static LimitKey, ConfigError> {
    LimitKey::by_name(name).ok_or_else(|| {
        let names: Vec<&str> = KEYS.iter().filter(|key| is_meant(key)).map(|key| key.name).collect();
        ConfigError::value(place, format!("no limit is called {name:?}; there are {}", names.join(", ")))
    })
}

fn check_bounds(place: &str, value: u64, allowed: std::ops::RangeInclusive<u64>) -> Result<(), ConfigError> {
    if allowed.contains(&value) {
        return Ok(());
    }
    let message = format!("{value} where a whole number from {} to {} is expected", allowed.start(), allowed.end());
    Err(ConfigError::value(place, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<Sandbox, String> {
        #[derive(Deserialize)]
        struct Whole {
            #[serde(default)]
            sandbox: RawTerms,
            #[serde(default)]
            strategies: BTreeMap<String, RawTerms>,
        }
        let whole: Whole = toml::from_str(text).map_err(|error| error.to_string())?;
        Sandbox::check(&whole.sandbox, &whole.strategies).map_err(|error| error.to_string())
    }

    #[test]
    fn one_strategy_is_held_to_its_own_terms_within_those_of_all() {
        let sandbox = check(
            "[sandbox]\ngrants = ['log', 'state', 'turn']\n[sandbox.limits]\nmemory_bytes = 134217728\n\
             [strategies.mine]\ngrants = ['log', 'plan', 'turn:retries']\n[strategies.mine.limits]\nmemory_bytes = 1048576\n\
             plan_budget_us = 20\n",
        )
        .expect("allowed");
        assert_eq!(sandbox.limits, Limits { memory_bytes: 128 << 20, ..Limits::default() });
        let mine = sandbox.terms_of("mine");
        assert_eq!(mine.grants.words(), ["log", "turn:retries"]);
        assert_eq!((mine.limits["memory_bytes"], mine.plan_budget), (1 << 20, Some(Duration::from_micros(20))));
        let other = sandbox.terms_of("other");
        assert_eq!((other.grants.words(), other.limits.len()), (vec!["log".into(), "state".into(), "turn".into()], 0));
    }

    #[test]
    fn every_limit_is_in_the_documents_with_its_default_and_bounds() {
        let text = include_str!("../../../../docs/distribution.md");
        for key in KEYS {
            let reach = if key.is_host_only { "no" } else { "yes" };
            let default = key.get(&Limits::default());
            let row = format!("| `{}` | {default} | {} | {} | {reach} |", key.name, key.lowest, key.highest);
            assert!(text.contains(&row), "docs/distribution.md lacks {row}");
        }
    }

    #[test]
    fn what_is_not_allowed_is_named_with_its_key_and_what_is() {
        for (text, words) in [
            ("[strategies.a]\ngrants = ['network']", ["strategies.a.grants", "there are log, history"]),
            ("[sandbox]\ngrants = ['turn:speed']", ["sandbox.grants", "concurrency_limit"]),
            ("[strategies.a.limits]\nmemory = 1", ["strategies.a.limits.memory", "memory_bytes"]),
            ("[strategies.a.limits]\nmemory_bytes = 1", ["strategies.a.limits.memory_bytes", "from 65536 to"]),
            (
                "[strategies.a.limits]\nstack_bytes = 65536",
                ["strategies.a.limits.stack_bytes", "sandbox.limits.stack_bytes"],
            ),
            ("[strategies.a.limits]\nplan_budget_us = 0", ["strategies.a.limits.plan_budget_us", "from 1 to 100000"]),
            ("[sandbox.limits]\nplan_budget_us = 9", ["sandbox.limits.plan_budget_us", "knobs.plan_budget_us"]),
            ("[sandbox.limits]\ncall_timeout_ms = 'long'", ["line 2", "expected u64"]),
            ("[sandbox]\nmemory_bytes = 1", ["line 2", "expected `grants` or `limits`"]),
        ] {
            let error = check(text).expect_err(text);
            assert!(words.iter().all(|word| error.contains(word)), "{text}: {error}");
        }
    }
}
