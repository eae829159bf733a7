//! Continuous mode: the champion in service meets one challenger after another, for as long as the host runs.
//!
//! Challengers are the strategies that were named (the built-in ones where only one was) and single steps of the knobs
//! that the champion turns itself. Each meets it on a fixed share of traffic, the budget: what may be lost to a bad
//! challenger is that share, until a guardrail or the verdict ends it. A winner has to be shown as in any experiment, and
//! is confirmed again.
//!
//! With challengers without end some would win by luck. So each experiment has a level of its own, from what those before
//! it spent and earned ([`OnlineBound`]): of all promotions, over all experiments that this data folder has seen, at most
//! [`FALSE_PROMOTIONS`] are expected to be false.

use std::collections::BTreeMap;

use perfhost_strategy::experiment::statistics::{Level, OnlineBound};
use perfhost_strategy::knob::{OfferedKnob, Risk, Step};
use perfhost_strategy::{Settings, Value};
use perfhost_telemetry::Store;
use tracing::warn;

use super::request::{ArmRequest, FixedArm, StartRequest};
use crate::built_in;
use crate::config::AutoPolicy;

/// Share of all promotions that may be expected to be false.
pub(super) const FALSE_PROMOTIONS: Level = Level::FIVE_PERCENT;

/// Key in the store.
const KEY: &str = "experiments-automatic";

/// Step of a knob that may be set freely.
const FREE_FACTOR: f64 = 1.5;

/// Who may challenge the champion: strategies first, then steps of its knobs.
pub(super) fn challengers(
    plugins: &[String],
    champion: &str,
    turns: &[String],
    offered: &[OfferedKnob],
    settings: &Settings,
) -> Vec<ArmRequest> {
    let built_in = ["conservative", "balanced", "aggressive"].map(str::to_owned);
    let named = if plugins.len() > 1 { plugins } else { &built_in };
    let others = named.iter().filter(|name| built_in::stem(name) != champion);
    let strategies = others.map(|name| ArmRequest::Named(name.clone()));
    let knobs = offered.iter().filter(|offer| {
        !offer.knob.reload && offer.knob.risk < Risk::High && turns.iter().any(|name| name == offer.knob.name)
    });
    let steps = knobs.flat_map(|offer| {
        let present = settings.value(offer.knob.id, &offer.at);
        let name = offer.knob.name;
        let place = offer.at.provider_name().map_or_else(|| name.to_owned(), |at| format!("{name}@{at}"));
        let stepped = [true, false].map(|is_up| step(offer, &present, is_up));
        let fixed =
            move |value| ArmRequest::Fixed(FixedArm { strategy: None, set: BTreeMap::from([(place.clone(), value)]) });
        stepped.into_iter().flatten().map(fixed).collect::<Vec<_>>()
    });
    strategies.chain(steps).collect()
}

/// What was spent and earned so far, in this run and earlier ones.
pub(super) fn spent(store: &Store) -> OnlineBound {
    let read = store.state(KEY).map_err(|error| error.to_string()).and_then(|found| {
        found.map(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string())).transpose()
    });
    let read =
        read.inspect_err(|error| warn!(error, "what continuous mode has spent of its error bound cannot be read"));
    read.ok().flatten().unwrap_or_default()
}

/// Keeps it.
pub(super) fn keep(store: &Store, spent: &OnlineBound) {
    match serde_json::to_vec(spent) {
        Ok(bytes) => store.put_state(KEY, &bytes),
        Err(error) => warn!(%error, "what continuous mode has spent of its error bound could not be written"),
    }
}

/// The terms of meeting one, at the level that is left to it.
pub(super) fn terms(challenger: ArmRequest, policy: &AutoPolicy, level: Level) -> StartRequest {
    StartRequest {
        arms: vec![challenger],
        error_bound: Some(level.probability()),
        max_duration_ms: Some(policy.at_most_ms),
        // One step that is never left: the challenger's share stays within the budget.
        ramp: Some(vec![policy.budget]),
        ramp_step_ms: Some(u64::MAX),
        holdout: Some(policy.budget.max(0.01)),
        ..StartRequest::default()
    }
}

/// The knob's value one step away, where there is one.
fn step(offer: &OfferedKnob, present: &Value, is_up: bool) -> Option<Value> {
    let number = present.as_number()?;
    let stepped = match offer.knob.step {
        Step::Factor(factor) if is_up => number * factor,
        Step::Factor(factor) => number / factor,
        Step::Amount(amount) if is_up => number + amount,
        Step::Amount(amount) => number - amount,
        Step::Free if is_up => number * FREE_FACTOR,
        Step::Free => number / FREE_FACTOR,
    };
    let stepped = match present {
        Value::Integer(_) => Value::Integer(stepped.round() as i64),
        Value::Number(_) => Value::Number(stepped),
        Value::Flag(_) | Value::Text(_) => return None,
    };
    offer.bounds_here.clamp(&stepped).filter(|value| value != present)
}

#[cfg(test)]
mod tests {
    use perfhost_strategy::{KnobId, Scope};

    use super::*;

    fn offer(id: KnobId) -> OfferedKnob {
        OfferedKnob { knob: id.knob().clone(), at: Scope::global(), bounds_here: id.knob().bounds.clone() }
    }

    #[test]
    fn the_champion_meets_other_strategies_and_steps_of_its_own_knobs() {
        let offered = [offer(KnobId::QueueLength), offer(KnobId::Retries)];
        let turns = vec!["queue_length".to_owned()];
        let found = challengers(&[], "balanced", &turns, &offered, &Settings::default());
        let names: Vec<_> = found.iter().filter(|arm| arm.fixed().is_none()).map(|arm| arm.strategy()).collect();
        assert_eq!(names, [Some("conservative"), Some("aggressive")]);
        let values: Vec<_> =
            found.iter().filter_map(ArmRequest::fixed).map(|set| set["queue_length"].clone()).collect();
        let present = Settings::default().value(KnobId::QueueLength, &Scope::global()).as_number().unwrap();
        let [Value::Integer(up), Value::Integer(down)] = values.as_slice() else { panic!("{values:?}") };
        assert!((*up as f64) > present && (*down as f64) < present, "{values:?}");
    }

    #[test]
    fn named_strategies_take_the_place_of_the_built_in_ones() {
        let plugins = ["balanced.wasm", "mine.wasm"].map(str::to_owned);
        let found = challengers(&plugins, "balanced", &[], &[], &Settings::default());
        assert_eq!(found, [ArmRequest::Named("mine.wasm".to_owned())]);
    }

    #[test]
    fn the_share_at_risk_never_grows() {
        let policy = AutoPolicy { budget: 0.05, at_most_ms: 60_000, pause_ms: 1 };
        let terms = terms(ArmRequest::Named("a".to_owned()), &policy, Level::ONE_IN_A_THOUSAND);
        assert_eq!((terms.ramp, terms.ramp_step_ms), (Some(vec![0.05]), Some(u64::MAX)));
        assert_eq!(terms.error_bound, Some(0.001));
    }

    #[test]
    fn what_was_spent_outlives_the_host() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert_eq!(spent(&store), OnlineBound::default());
        let mut now = spent(&store);
        (0..3).for_each(|_| now.begun());
        now.promoted();
        keep(&store, &now);
        assert_eq!(spent(&store), OnlineBound { experiments: 3, promotions: 1 });
    }
}
