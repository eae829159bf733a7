//! Start values of knobs, and limits on what strategies may do with them.

use std::collections::{BTreeMap, BTreeSet};

use perfhost_strategy::knob::{Bounds, parse_value};
use perfhost_strategy::scope::ScopeKind;
use perfhost_strategy::{KnobId, Scope, Settings, Value};

use super::checked::split_pair;
use super::load::ConfigError;
use super::raw::{RawKnob, RawLimit};

/// Start values, and which of them flags gave.
pub(super) fn settings(
    written: &BTreeMap<String, RawKnob>,
    set: &[String],
) -> Result<(Settings, BTreeSet<(KnobId, Scope)>), ConfigError> {
    let mut settings = Settings::default();
    let mut turn = |place: String, name: &str, scope: Scope, text: &str| {
        let id = known_knob(&place, name)?;
        if id.knob().scope == ScopeKind::Global && scope != Scope::global() {
            return Err(ConfigError::value(place, format!("{name} applies to the whole host, not to one provider")));
        }
        let value = parse_value(&id.knob().bounds, text).map_err(|message| ConfigError::value(place, message))?;
        settings = settings.with(id, &scope, value);
        Ok((id, scope))
    };
    for (key, knob) in written {
        match knob {
            RawKnob::Value(value) => {
                turn(format!("knobs.{key}"), key, Scope::global(), &value.to_string())?;
            }
            RawKnob::Provider(table) => {
                for (name, value) in table {
                    turn(format!("knobs.{key}.{name}"), name, Scope::provider(key), &value.to_string())?;
                }
            }
        }
    }
    let mut from_flags = BTreeSet::new();
    for pair in set {
        let (name, value) = split_pair("--set", pair)?;
        let (name, scope) =
            name.split_once('@').map_or((name.as_str(), Scope::global()), |(n, s)| (n, Scope::provider(s)));
        from_flags.insert(turn(format!("--set {name}"), name, scope, &value)?);
    }
    Ok((settings, from_flags))
}

/// Narrower bounds by knob; `None` for one that strategies may not turn.
pub(super) fn limits(written: &BTreeMap<String, RawLimit>) -> Result<BTreeMap<KnobId, Option<Bounds>>, ConfigError> {
    let mut limits = BTreeMap::new();
    for (name, limit) in written {
        let place = format!("limits.{name}");
        let id = known_knob(&place, name)?;
        let bounds = id.knob().bounds;
        let wrong = || {
            let expected = bounds.expected();
            ConfigError::value(
                place.clone(),
                format!("expected \"fixed\", or a narrower range or list than {expected}"),
            )
        };
        let narrowed = match (limit, &bounds) {
            (RawLimit::Word(word), _) if word == "fixed" => None,
            (RawLimit::Range(lowest, highest), Bounds::IntegerRange(..)) => {
                Some(Bounds::IntegerRange(*lowest as i64, *highest as i64))
            }
            (RawLimit::Range(lowest, highest), Bounds::NumberRange(..)) => Some(Bounds::NumberRange(*lowest, *highest)),
            (RawLimit::Words(words), Bounds::OneOf(_)) => Some(Bounds::OneOf(words.clone())),
            _ => return Err(wrong()),
        };
        if narrowed.as_ref().is_some_and(|narrowed| !is_within(narrowed, &bounds)) {
            return Err(wrong());
        }
        limits.insert(id, narrowed);
    }
    Ok(limits)
}

fn is_within(inner: &Bounds, outer: &Bounds) -> bool {
    let allowed = |value: Value| outer.check(&value).is_ok();
    match inner {
        Bounds::AnyFlag => *outer == Bounds::AnyFlag,
        Bounds::IntegerRange(lowest, highest) => {
            lowest <= highest && allowed(Value::Integer(*lowest)) && allowed(Value::Integer(*highest))
        }
        Bounds::NumberRange(lowest, highest) => {
            lowest <= highest && allowed(Value::Number(*lowest)) && allowed(Value::Number(*highest))
        }
        Bounds::OneOf(words) => !words.is_empty() && words.iter().all(|word| allowed(Value::Text(word.clone()))),
    }
}

fn known_knob(place: &str, name: &str) -> Result<KnobId, ConfigError> {
    KnobId::by_name(name).ok_or_else(|| {
        let names = KnobId::ALL.iter().map(|id| id.name()).collect::<Vec<_>>().join(", ");
        ConfigError::value(place, format!("no knob is called {name:?}; there are {names}"))
    })
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::super::load::Sources;
    use super::super::raw::Raw;
    use super::*;

    fn sources(set: &[&str]) -> Sources {
        Sources {
            environment: vec![("HOME".to_owned(), "/home/someone".to_owned())],
            set: set.iter().map(|pair| (*pair).to_owned()).collect(),
            ..Sources::default()
        }
    }

    #[test]
    fn knobs_are_set_for_the_host_and_for_a_provider() {
        let config = Config::check(Raw::default(), &sources(&["retries=2", "engine_slots@local=4"])).expect("allowed");
        assert_eq!((config.settings.retries, config.settings.engine("local").slots), (2, 4));
        let error = Config::check(Raw::default(), &sources(&["retries@local=2"])).expect_err("global knob").to_string();
        assert!(error.contains("whole host"), "{error}");
    }

    #[test]
    fn a_limit_must_lie_within_the_registry() {
        let with = |limit| {
            let limits = [("engine_slots".to_owned(), limit)].into();
            Config::check(Raw { limits, ..Raw::default() }, &sources(&[]))
        };
        assert!(with(RawLimit::Range(1.0, 8.0)).is_ok() && with(RawLimit::Word("fixed".to_owned())).is_ok());
        assert!(with(RawLimit::Range(0.0, 8.0)).is_err() && with(RawLimit::Words(vec!["on".to_owned()])).is_err());
    }
}
