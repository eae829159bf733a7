//! Asks a fixture everything that the contract lets it be asked, and gathers the answers as JSON.

use std::sync::Arc;

use perfhost_strategy::strategy::World;
use perfhost_strategy::{Strategy, StrategyError};
use perfhost_wasm::{LogLevel, Runtime};
use serde::Serialize;
use serde_json::{Value, json};

use crate::fixtures::load;
use crate::inputs::{AskedHistory, choices, fleet, hardware, knobs, observation, outcomes, requests};

/// An answer, or the fault in the guest's words.
fn answer<T: Serialize>(given: Result<T, StrategyError>) -> Value {
    match given {
        Ok(value) => serde_json::to_value(value).unwrap(),
        Err(StrategyError::Fault { message, .. }) => json!({ "fault": message }),
        Err(error) => panic!("{error}"),
    }
}

fn text(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn hexadecimal(bytes: Vec<u8>) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the component answers, from its description to a plan after its state was handed to a second one.
pub(crate) fn answers(runtime: &Arc<Runtime>, bytes: &[u8], world: World) -> Value {
    let strategy = load(runtime, bytes, Arc::new(AskedHistory));
    assert_eq!(strategy.identity().world, world);
    let log = || runtime.recent_log(&strategy.identity().digest);
    // Loading calls it with numbers that are the host's own affair.
    let lines_before = log().len();
    let mut all = json!({
        "describe": strategy.description(),
        "configure": [
            answer(strategy.configure(&text(&[("size", "1")]), &[])),
            answer(strategy.configure(&text(&[("step", "9")]), &knobs())),
            answer(strategy.configure(&text(&[("step", "2")]), &knobs())),
        ],
        "tuning": tuning(&*strategy),
        "log": log().iter().skip(lines_before).map(|line| match line.level {
            LogLevel::Debug => format!("debug: {}", line.text),
            LogLevel::Info => format!("info: {}", line.text),
            LogLevel::Warn => format!("warn: {}", line.text),
            LogLevel::Error => format!("error: {}", line.text),
        }).collect::<Vec<_>>(),
    });
    if world == World::Strategy {
        all["planning"] = planning(&*strategy);
    }
    if world == World::Advisor {
        let recommend = |context, choices: &[_]| answer(strategy.advise(&hardware(), context, 2, choices));
        all["advice"] = json!([recommend(4_096, &choices()), recommend(60_000, &choices()), recommend(1, &[])]);
    }
    let state = strategy.save().unwrap();
    let second = load(runtime, bytes, Arc::new(AskedHistory));
    all["handed_on"] = json!({
        "restore": [answer(second.restore(&state[1..])), answer(second.restore(&state))],
        "save": answer(second.save().map(hexadecimal)),
    });
    if world == World::Strategy {
        all["handed_on"]["planning"] = planning(&*second);
    }
    all
}

fn tuning(strategy: &dyn Strategy) -> Value {
    let mut seen = observation();
    let mut nothing = observation();
    nothing.metrics.clear();
    let mut steps = vec![
        answer(strategy.propose(&nothing)),
        answer(strategy.save().map(hexadecimal)),
        answer(strategy.propose(&seen)),
        answer(strategy.learn(&outcomes())),
    ];
    seen.settings.clear();
    seen.extra.clear();
    steps.push(answer(strategy.propose(&seen)));
    steps.push(answer(strategy.save().map(hexadecimal)));
    Value::Array(steps)
}

fn planning(strategy: &dyn Strategy) -> Value {
    strategy.fleet(&fleet()).unwrap();
    requests().iter().map(|(asked, candidates)| answer(strategy.plan(asked, candidates))).collect()
}

/// The first place at which `found` is not `wanted`, and what is there. What only `found` has is a later host's.
pub(crate) fn difference(wanted: &Value, found: &Value, at: &str) -> Option<String> {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => wanted.iter().find_map(|(name, wanted)| {
            difference(wanted, found.get(name).unwrap_or(&Value::Null), &format!("{at}.{name}"))
        }),
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => wanted
            .iter()
            .zip(found)
            .enumerate()
            .find_map(|(index, (wanted, found))| difference(wanted, found, &format!("{at}[{index}]"))),
        (wanted, found) if wanted == found => None,
        (wanted, found) => Some(format!("{at}: recorded {wanted}, now {found}")),
    }
}
