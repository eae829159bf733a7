//! Whole experiments on a whole host: from the request that starts one to what is in service afterwards.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed test says where")]

mod configured;
#[path = "../support/host.rs"]
mod host;
mod load;
#[path = "../support/provider.rs"]
mod provider;
mod tuning;

use host::Running;
use load::Load;
use perfhost::config::Sources;
use perfhost::config::raw::{Raw, RawAuto};
use provider::Provider;
use serde_json::{Value, json};

/// Every third connection dies before it answers.
fn unreliable() -> Provider {
    Provider::start(|call| call % 3 > 0)
}

/// No ramp and a short confirmation, so that a test need not wait.
fn quick(terms: Value) -> Value {
    let mut request = json!({ "ramp": [], "holdout": 0.5, "confirm_ms": 60_000, "seed": 7 });
    request.as_object_mut().unwrap().extend(terms.as_object().unwrap().clone());
    request
}

fn start(host: &Running, terms: Value) -> Value {
    host.post("/api/experiments", "application/json", quick(terms).to_string().as_bytes())
}

fn until_over(host: &Running, id: &Value) -> Value {
    for _ in 0..600 {
        let status = host.get(&format!("/api/experiments/{id}"));
        if status["phase"] == "ended" {
            return status;
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    panic!("not over: {:#}", host.get(&format!("/api/experiments/{id}")));
}

fn retries(host: &Running) -> Value {
    let knobs = host.get("/api/knobs");
    let found = knobs["knobs"].as_array().unwrap().iter().find(|knob| knob["name"] == "retries");
    found.unwrap()["value"].clone()
}

#[test]
fn the_better_arm_is_found_promoted_and_confirmed_and_its_knobs_stay() {
    let provider = unreliable();
    let host = Running::start(&provider.url());
    let load = Load::start(host.port(), 8);
    let status = start(&host, json!({ "arms": [{ "set": { "retries": 0 } }, { "set": { "retries": 3 } }] }));
    assert_eq!(status["choice"]["regime"], "per-request", "{status:#}");
    assert!(status["choice"]["reason"].as_str().unwrap().contains("retries"));
    let refused = start_refused(&host, json!({ "arms": ["aggressive"] }));
    assert!(refused.contains("one runs at a time"), "{refused}");

    let status = until_over(&host, &status["id"]);
    assert_eq!(status["ending"], "promoted-confirmed", "{status:#}");
    assert_eq!(status["verdict"]["arm"], 1);
    assert_eq!(retries(&host), 3);
    let class = &status["by_class"][0];
    // How much better depends on which connections of the pool die.
    assert!(class["change"].as_f64().unwrap() > 0.0, "{class}");
    load.stop();

    let list = host.get("/api/experiments");
    assert_eq!(list["experiments"][0]["ending"], "promoted-confirmed");
    assert_eq!(list["learned"][0]["class"], "all requests");
    for (format, parts) in [
        ("text", vec!["was promoted", "Guardrails", "retries=3"]),
        ("markdown", vec!["# Experiment 1", "| arm | strategy |"]),
        ("html", vec!["<svg", "</html>", "Effect over time"]),
    ] {
        let report = host.text(&format!("/api/experiments/1/report?format={format}"));
        parts.iter().for_each(|part| assert!(report.contains(part), "{part:?} is not in {report}"));
    }
    let report: Value = serde_json::from_str(&host.text("/api/experiments/1/report")).unwrap();
    assert_eq!(report["request"]["arms"][1]["set"]["retries"], 3);
}

#[test]
fn the_reverse_keeps_the_incumbent() {
    let provider = unreliable();
    let host = Running::start(&provider.url());
    let load = Load::start(host.port(), 8);
    let arms = json!([{ "set": { "retries": 3 } }, { "set": { "retries": 0 } }]);
    let status = start(&host, json!({ "arms": arms, "guardrails": [] }));
    let status = until_over(&host, &status["id"]);
    assert_eq!((&status["ending"], &status["verdict"]["arm"]), (&json!("incumbent-better"), &json!(0)), "{status:#}");
    assert_eq!(retries(&host), 3);
    let report = host.text(&format!("/api/experiments/{}/report?format=text", status["id"]));
    assert!(report.contains("is better in goodput and stays in service: "), "{report}");

    let harmful = start(&host, json!({ "arms": arms, "objective": "latency-p95", "guardrails": ["error-rate:0.05"] }));
    let status = until_over(&host, &harmful["id"]);
    assert_eq!(status["ending"], "guardrail-breach", "{status:#}");
    assert_eq!(status["verdict"]["metric"], "error-rate");
    load.stop();
}

#[test]
fn arms_that_share_state_take_turns_and_stopping_leaves_the_incumbent() {
    let provider = Provider::start(|_| true);
    let host = Running::start(&provider.url());
    // Before there is traffic, so that no measured pace makes the blocks longer.
    let status = start(&host, json!({ "arms": ["balanced", "aggressive"], "settling_ms": 1_000 }));
    let load = Load::start(host.port(), 4);
    let timing = &status["choice"]["regime"]["switchback"];
    assert_eq!((&timing["block_ms"], &timing["burn_in_ms"]), (&json!(7_000), &json!(1_000)), "{status:#}");
    for strategy in ["aggressive@0.1.0", "balanced@0.1.0", "aggressive@0.1.0"] {
        load.wait_for(strategy);
    }
    assert_eq!(host.get("/api/strategies")["in_service"]["name"], "balanced");
    let stopped =
        host.post(&format!("/api/experiments/{}/stop", status["id"]), "application/json", br#"{"why":"enough"}"#);
    assert_eq!((&stopped["ending"], &stopped["verdict"]["why"]), (&json!("stopped"), &json!("enough")));
    let counts = load.stop();
    assert!(counts.keys().all(|strategy| strategy.ends_with("@0.1.0")), "{counts:?}");
    assert_eq!(host.get("/api/strategies")["in_service"]["name"], "balanced");
}

#[test]
fn how_long_figures_take_to_settle_is_measured_and_the_next_experiment_says_so() {
    let provider = Provider::start(|_| true);
    let host = Running::start(&provider.url());
    let arm = |strategy: &str, limit: u32| json!({ "strategy": strategy, "set": { "concurrency_limit": limit } });
    let arms = json!([arm("balanced", 64), arm("aggressive", 128)]);
    let why = |status: &Value| status["choice"]["reason"].as_str().unwrap().to_owned();
    // Turns of ten seconds, of which each change of settings has enough to be followed.
    let first = start(&host, json!({ "arms": arms, "settling_ms": 2_500, "pace": 100 }));
    assert!(why(&first).contains("as asked for"), "{first:#}");
    let load = Load::start(host.port(), 4);
    for strategy in ["aggressive@0.1.0", "balanced@0.1.0", "aggressive@0.1.0"] {
        load.wait_for(strategy);
    }
    host.post(&format!("/api/experiments/{}/stop", first["id"]), "application/json", b"{}");
    let second = start(&host, json!({ "arms": arms }));
    assert!(why(&second).contains("of 4 changes measured so far"), "{second:#}");
    load.stop();
}

#[test]
fn another_strategy_in_service_ends_it_and_a_score_counts_for_what_was_counted() {
    let provider = Provider::start(|_| true);
    let host = Running::start(&provider.url());
    let terms = json!({ "arms": [{ "set": { "retries": 0 } }, { "set": { "retries": 3 } }], "objective": "feedback" });
    let id = start(&host, terms)["id"].clone();
    let request = load::ask(host.port(), "hello").1;
    let score = |request: &str| {
        let body = json!({ "request_id": request, "score": 0.9 }).to_string();
        host.post("/api/feedback", "application/json", body.as_bytes())["is_counted"].clone()
    };
    assert_eq!((score(&request), score("000000000000000000000000")), (json!(true), json!(false)));

    host.post("/api/strategies", "application/json", br#"{"name":"conservative"}"#);
    let status = until_over(&host, &id);
    assert_eq!(status["ending"], "stopped", "{status:#}");
    assert!(status["verdict"]["why"].as_str().unwrap().contains("conservative"), "{status:#}");
    assert_eq!(load::ask(host.port(), "after").0, "conservative@0.1.0");
}

fn set(pair: &'static str) -> impl FnOnce(&mut Raw, &mut Sources) {
    move |_, sources| sources.set.push(pair.to_owned())
}

#[test]
fn a_winner_outlives_a_restart_until_the_configuration_or_somebody_says_otherwise() {
    let provider = unreliable();
    let host = Running::start_as(&provider.url(), set("retries=0"));
    let load = Load::start(host.port(), 8);
    let winner = json!({ "strategy": "aggressive", "set": { "retries": 3 } });
    let status = start(&host, json!({ "arms": ["balanced", winner], "confirm_ms": 0 }));
    assert_eq!(until_over(&host, &status["id"])["ending"], "promoted");
    load.stop();

    let serving = |host: &Running| host.get("/api/strategies")["in_service"]["name"].as_str().unwrap().to_owned();
    let host = host.again(&provider.url(), set("retries=0"));
    assert_eq!((serving(&host).as_str(), retries(&host)), ("aggressive", json!(3)));
    let newest = host.get("/api/strategies/history")["generations"][0].clone();
    assert_eq!((&newest["why"], &newest["detail"]), (&json!("experiment"), &json!("experiment 1 of an earlier run")));
    assert_eq!(load::ask(host.port(), "after").0, "aggressive@0.1.0");

    // The user has set the knob to something else: that counts, and the strategy stays.
    let host = host.again(&provider.url(), set("retries=1"));
    assert_eq!((serving(&host).as_str(), retries(&host)), ("aggressive", json!(1)));
    // The configuration names another plugin.
    let host = host.again(&provider.url(), |raw, _| raw.plugins = Some(vec!["conservative".to_owned()]));
    assert_eq!(serving(&host), "conservative");
    // It names the same one again; then somebody goes back by hand, and that holds for the next start.
    let host = host.again(&provider.url(), |_, _| {});
    assert_eq!(serving(&host), "aggressive");
    host.post("/api/strategies", "application/json", br#"{"name":"balanced"}"#);
    let host = host.again(&provider.url(), |_, _| {});
    assert_eq!(serving(&host), "balanced");
}

#[test]
fn continuous_mode_spends_one_bound_over_all_its_experiments_also_after_a_restart() {
    let provider = Provider::start(|_| true);
    let automatic = |raw: &mut Raw, _: &mut Sources| {
        raw.auto = RawAuto { enabled: Some(true), at_most_ms: Some(1_000), pause_ms: Some(100), ..RawAuto::default() };
    };
    let after = |host: &Running, experiments: u64| {
        for _ in 0..600 {
            let found = host.get("/api/experiments");
            if found["automatic"]["experiments"].as_u64().unwrap() >= experiments {
                return found;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!("{:#}", host.get("/api/experiments"));
    };
    let host = Running::start_as(&provider.url(), automatic);
    let found = after(&host, 2);
    assert_eq!(
        (&found["automatic"]["promotions"], &found["automatic"]["false_promotions_at_most"]),
        (&json!(0), &json!(0.05))
    );
    let bound = |id: u64| {
        let report: Value = serde_json::from_str(&host.text(&format!("/api/experiments/{id}/report"))).unwrap();
        let part = format!("continuous mode, experiment {id}, 0 promotions before it");
        assert!(report["notes"].to_string().contains(&part), "{:#}", report["notes"]);
        report["request"]["error_bound"].as_f64().unwrap()
    };
    let (first, second) = (bound(1), bound(2));
    assert!((first - 0.01464).abs() < 1e-4 && second < first, "{first} {second}");
    assert!(host.text("/api/experiments/1/report?format=text").contains("at most 5 % of promotions"));

    let spent = host.get("/api/experiments")["automatic"]["experiments"].as_u64().unwrap();
    let host = host.again(&provider.url(), automatic);
    let found = after(&host, spent + 1);
    assert!(found["automatic"]["next_error_bound"].as_f64().unwrap() < second, "{:#}", found["automatic"]);
}

#[test]
fn what_is_wrong_is_refused_before_anything_changes() {
    let provider = Provider::start(|_| true);
    let host = Running::start(&provider.url());
    for (terms, part) in [
        (json!({ "arms": ["balanced", "nobody"] }), "nobody"),
        (json!({ "arms": [{ "set": { "retries": 99 } }] }), "retries=99"),
        (json!({ "arms": [{ "set": { "speed": 1 } }] }), "GET /api/knobs"),
        (json!({ "arms": ["aggressive"], "objective": "joy" }), "goodput"),
        (json!({ "arms": ["aggressive"], "error_bound": 2.0 }), "error_bound"),
        (json!({ "arms": ["aggressive"], "holdout": 0.9 }), "holdout"),
        (json!({ "arms": [] }), "arms"),
        (json!({ "arm": "aggressive" }), "arm"),
    ] {
        let refused = start_refused(&host, terms);
        assert!(refused.contains(part), "{part:?} is not in {refused}");
    }
    assert_eq!(host.get("/api/experiments")["experiments"], json!([]));
    assert_eq!(host.get("/api/strategies")["in_service"]["name"], "balanced");
}

#[test]
fn a_mix_says_what_its_quality_is() {
    let provider = Provider::start(|_| true);
    let host = Running::start(&provider.url());
    let arms = json!([{ "set": { "retries": 0 } }, { "set": { "retries": 3 } }]);
    let id = start(&host, json!({ "arms": arms, "objective": "mix", "mix": { "quality": 0.5 } }))["id"].clone();
    let report = host.text(&format!("/api/experiments/{id}/report?format=text"));
    assert!(report.contains("quality 0.500 (nothing judges an answer"), "{report}");
}

fn start_refused(host: &Running, terms: Value) -> String {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let request = agent.post(format!("http://127.0.0.1:{}/api/experiments", host.port()));
    let answer = request.content_type("application/json").send(quick(terms).to_string().as_bytes()).unwrap();
    assert!((409..=422).contains(&answer.status().as_u16()), "{}", answer.status());
    answer.into_body().read_to_string().unwrap()
}
