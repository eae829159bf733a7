//! Released contracts: their text stays as it is, and strategies that were built against them load and answer as they did.
//!
//! To record the answers for a new version of the contract, before it is released:
//! `PERFHOST_WRITE_ANSWERS=1 cargo nextest run -p perfhost-wasm --test released -j 1 --no-fail-fast answers`. Rust's answers are the ones that
//! are written; the advisor's advice is added to them.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod answers;
mod fixtures;
mod frozen;
mod inputs;

use std::fs;
use std::sync::Arc;

use answers::{answers, difference};
use fixtures::{folder, load, names, runtime, unpacked};
use perfhost_strategy::observation::Health;
use perfhost_strategy::strategy::World;
use perfhost_strategy::{Observation, Value};
use serde_json::json;

const RELEASED: &str = "0.1.0";

/// Asks a fixture and compares with what was recorded, less the parts that its world does not have.
fn answers_as_recorded(name: &str, world: World) {
    let found = answers(&runtime(), &unpacked(RELEASED, name), world);
    let path = folder(RELEASED).join("answers.json");
    let mut recorded: serde_json::Value =
        fs::read(&path).ok().map(|bytes| serde_json::from_slice(&bytes).unwrap()).unwrap_or(json!({}));
    if std::env::var_os("PERFHOST_WRITE_ANSWERS").is_some() {
        let parts = found.as_object().unwrap().iter();
        for (part, answers) in parts.filter(|(part, _)| name == "rust" || *part == "advice") {
            recorded[part] = answers.clone();
        }
        fs::write(&path, serde_json::to_string_pretty(&recorded).unwrap() + "\n").unwrap();
    }
    if world != World::Strategy {
        recorded.as_object_mut().unwrap().remove("planning");
        recorded["handed_on"].as_object_mut().unwrap().remove("planning");
    }
    if world != World::Advisor {
        recorded.as_object_mut().unwrap().remove("advice");
    }
    if let Some(difference) = difference(&recorded, &found, name) {
        panic!(
            "a strategy built against the contract {RELEASED} answers differently: {difference}\n\
             People have built such strategies and cannot be asked to build them again. Change the host so that it\n\
             calls them as before; see wit/README.md."
        );
    }
}

#[test]
fn every_language_and_every_world_is_kept() {
    let wanted = ["c", "javascript", "python", "rust", "rust-advisor", "rust-tuner", "rust-wasip2"];
    assert_eq!(names(RELEASED), wanted);
}

#[test]
fn rust_answers_as_recorded() {
    answers_as_recorded("rust", World::Strategy);
}

#[test]
fn rust_with_its_standard_library_answers_as_recorded() {
    answers_as_recorded("rust-wasip2", World::Strategy);
}

#[test]
fn a_tuner_answers_as_recorded() {
    answers_as_recorded("rust-tuner", World::Tuner);
}

#[test]
fn an_advisor_answers_as_recorded() {
    answers_as_recorded("rust-advisor", World::Advisor);
}

#[test]
fn c_answers_as_recorded() {
    answers_as_recorded("c", World::Strategy);
}

#[test]
fn python_answers_as_recorded() {
    answers_as_recorded("python", World::Strategy);
}

#[test]
fn javascript_answers_as_recorded() {
    answers_as_recorded("javascript", World::Strategy);
}

/// Shows that a wrong part in what a strategy sees cannot go unnoticed by the comparisons above.
#[test]
fn every_part_of_an_observation_shows_in_the_answers() {
    let runtime = runtime();
    let bytes = unpacked(RELEASED, "rust");
    let reason = |seen: &Observation| {
        let strategy = load(&runtime, &bytes, Arc::new(inputs::AskedHistory));
        strategy.configure(&[], &inputs::knobs()).unwrap();
        strategy.propose(seen).unwrap()[0].reason.clone()
    };
    let usual = reason(&inputs::observation());
    assert_eq!(reason(&inputs::observation()), usual);
    let changes: &[fn(&mut Observation)] = &[
        |seen| seen.now_ms += 1,
        |seen| seen.seed += 1,
        |seen| seen.interval_ms += 1,
        |seen| seen.metrics.swap(0, 1),
        |seen| seen.metrics[1].name.push('s'),
        |seen| seen.metrics[1].unit.push('s'),
        |seen| seen.metrics[1].scope = perfhost_strategy::Scope::global(),
        |seen| seen.metrics[1].window_ms += 1,
        |seen| seen.metrics[1].summary.count += 1,
        |seen| seen.metrics[1].summary.mean += 0.1,
        |seen| seen.metrics[1].summary.min += 0.1,
        |seen| seen.metrics[1].summary.max += 0.1,
        |seen| seen.metrics[1].summary.p50 += 0.1,
        |seen| seen.metrics[1].summary.p95 += 0.1,
        |seen| seen.metrics[1].summary.p99 += 0.1,
        |seen| seen.providers[2].name.push('s'),
        |seen| seen.providers[2].kind.push('s'),
        |seen| seen.providers[2].health = Health::Degraded,
        |seen| seen.providers[2].managed = true,
        |seen| seen.providers[2].in_flight += 1,
        |seen| seen.providers[2].queued += 1,
        |seen| seen.providers[2].models.truncate(1),
        |seen| seen.providers[2].extra[0].0.push('s'),
        |seen| seen.providers[2].extra[0].1 += 0.1,
        |seen| seen.settings[0].value = Value::Integer(10),
        |seen| seen.settings[0].name.push('s'),
        |seen| seen.hardware.physical_cores += 1,
        |seen| seen.hardware.logical_cores += 1,
        |seen| seen.hardware.memory_total_bytes += 1,
        |seen| seen.hardware.memory_free_bytes += 1,
        |seen| seen.hardware.gpus[0].name.push('s'),
        |seen| seen.hardware.gpus[0].memory_total_bytes += 1,
        |seen| seen.hardware.gpus[0].memory_free_bytes += 1,
        |seen| seen.extra[1].0.push('s'),
        |seen| seen.extra[1].1 += 0.1,
    ];
    for (at, change) in changes.iter().enumerate() {
        let mut seen = inputs::observation();
        change(&mut seen);
        assert_ne!(reason(&seen), usual, "change {at} went unnoticed");
    }
}

#[test]
fn a_changed_answer_is_found_and_named() {
    let recorded: serde_json::Value =
        serde_json::from_slice(&fs::read(folder(RELEASED).join("answers.json")).unwrap()).unwrap();
    assert_eq!(difference(&recorded, &recorded, "x"), None);
    let mut changed = recorded.clone();
    changed["planning"][0]["order"][0] = 9.into();
    let found = difference(&recorded, &changed, "x").unwrap();
    assert!(found.starts_with("x.planning[0].order[0]: recorded ") && found.ends_with(", now 9"), "{found}");
}
