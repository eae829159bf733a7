//! Recommendations of the API applied on a whole host: they pass the guard, stand in the decision log and turn the knob, or
//! are refused with the reason.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed test says where")]

#[allow(dead_code, reason = "other tests use the rest of it")]
#[path = "../support/host.rs"]
mod host;
#[path = "../support/provider.rs"]
mod provider;

use host::Running;
use perfhost::config::raw::{Raw, RawKnob, RawLimit};
use provider::Provider;
use serde_json::{Value, json};

const CACHE: &str = "/api/optimization/cache/tune";
const KNOB: &str = "cache_capacity_bytes";

/// A host whose cache is off, so that switching it on is recommended, and whose own cycles are far apart.
fn host(provider: &Provider, change: impl FnOnce(&mut Raw)) -> Running {
    Running::start_as(&provider.url(), |raw, _| {
        raw.knobs.insert(KNOB.to_owned(), RawKnob::Value(perfhost_strategy::Value::Integer(0)));
        raw.tuning.interval_ms = Some(3_600_000);
        change(raw);
    })
}

fn ask(host: &Running, path: &str, body: &Value) -> Value {
    host.post(path, "application/json", body.to_string().as_bytes())
}

fn knob(host: &Running, name: &str) -> Value {
    let knobs = host.get("/api/knobs");
    knobs["knobs"].as_array().unwrap().iter().find(|knob| knob["name"] == name).unwrap()["value"].clone()
}

/// What `perfhost replay` says of the host's decisions so far, with the strategy that serves.
fn replay(host: &Running) -> Value {
    let url = format!("http://127.0.0.1:{}", host.port());
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_perfhost"));
    let done = command.args(["replay", "balanced", "--host", &url, "--output", "json"]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

#[test]
fn an_applied_recommendation_turns_the_knob_and_stands_in_the_decision_log() {
    let provider = Provider::start(|_| true);
    let host = host(&provider, |_| {});
    let told = ask(&host, CACHE, &json!({}));
    assert_eq!((&told["is_applied"], &told["recommendations"][0]["knob"]), (&json!(false), &json!(KNOB)), "{told}");
    assert_eq!((knob(&host, KNOB), host.get("/api/decisions")["decisions"].as_array().unwrap().len()), (json!(0), 0));

    let done = ask(&host, CACHE, &json!({ "apply": true }));
    assert_eq!((&done["is_applied"], knob(&host, KNOB)), (&json!(true), json!(64 << 20)), "{done}");
    let decision = &done["recommendations"][0]["decision"];
    assert_eq!((&decision["verdict"], &decision["before"]), (&json!("applied"), &json!(0)), "{decision}");
    let logged = host.get("/api/decisions?limit=1")["decisions"][0].clone();
    assert_eq!(&logged, decision);
    assert!(logged["strategy"].as_str().unwrap().starts_with("recommendations@"), "{logged}");
    assert!(logged["proposal"]["reason"].as_str().unwrap().contains("the cache is off"), "{logged}");

    // The cycle that it was judged in is in the log too, so that a replay lives through it.
    let cycles = host.get("/api/decisions/cycles?limit=20");
    let cycle = cycles["cycles"].as_array().unwrap().iter().find(|one| one["record"]["id"] == logged["cycle"]).unwrap();
    let guard = cycle["record"]["guard"].as_array().unwrap();
    assert!(guard.iter().any(|call| call["judged"][0]["name"] == KNOB), "{guard:?}");

    let short = host.get("/api/decisions/summary?limit=20");
    let short = short["cycles"].as_array().unwrap().iter().find(|one| one["id"] == logged["cycle"]).unwrap();
    assert_eq!((&short["is_success"], &short["at_ms"]), (&json!(true), &cycle["record"]["at_ms"]), "{short}");
    let one = json!({ "total": 1, "applied": 1, "clamped": 0, "refused": 0, "rolled_back": 0 });
    assert_eq!((&short["validations"], &short["requests"]["total"]), (&one, &json!(0)), "{short}");

    let replayed = replay(&host);
    let figures = &replayed["figures"];
    // The strategy asked for nothing, so no verdict is its own, and it proposes what it proposed.
    assert_eq!((&figures["verdicts"], &figures["identical"]), (&json!(0), &figures["cycles"]), "{replayed}");
    assert!(figures["cycles"].as_u64().unwrap() > 0, "{replayed}");

    // What is so already is not recommended again.
    assert_eq!(ask(&host, CACHE, &json!({ "apply": true }))["is_applied"], false);
}

#[test]
fn the_guard_can_refuse_a_recommendation() {
    let provider = Provider::start(|_| true);
    let host = host(&provider, |raw| {
        raw.limits.insert(KNOB.to_owned(), RawLimit::Word("fixed".to_owned()));
    });
    let refused = ask(&host, CACHE, &json!({ "apply": true }));
    let decision = &refused["recommendations"][0]["decision"];
    assert_eq!((&refused["is_applied"], &decision["verdict"]), (&json!(false), &json!("refused")), "{refused}");
    assert!(decision["detail"].as_str().unwrap().contains("not offered"), "{decision}");
    assert_eq!((knob(&host, KNOB), &host.get("/api/decisions")["decisions"][0]), (json!(0), decision));
}

#[test]
fn a_recommendation_goes_no_further_than_the_bounds_here() {
    let provider = Provider::start(|_| true);
    let host = host(&provider, |raw| {
        raw.limits.insert(KNOB.to_owned(), RawLimit::Range(0.0, f64::from(1 << 20)));
    });
    let clamped = ask(&host, CACHE, &json!({ "apply": true }));
    let decision = &clamped["recommendations"][0]["decision"];
    assert_eq!((&decision["verdict"], &decision["applied"]), (&json!("clamped"), &json!(1 << 20)), "{decision}");
    assert_eq!(knob(&host, KNOB), json!(1 << 20));
}
