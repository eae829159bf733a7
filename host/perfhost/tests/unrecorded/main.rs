//! A whole host with telemetry off: it serves, plans and caches as ever; what lives on recorded requests rests.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed test says where")]

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../support/host.rs"]
mod host;
#[path = "../support/provider.rs"]
mod provider;

use host::Running;
use perfhost::config::raw::{RawTelemetry, RawTuning};
use provider::Provider;
use serde_json::{Value, json};

/// Asks the same thing, which may be answered from the cache, and returns the answer's headers by name.
fn ask(host: &Running) -> impl Fn(&str) -> String {
    let body = json!({ "model": "m", "temperature": 0, "messages": [{ "role": "user", "content": "hi" }] });
    let request = ureq::post(format!("http://127.0.0.1:{}/v1/chat/completions", host.port()));
    let answer = request.content_type("application/json").send(body.to_string()).unwrap();
    let headers = answer.headers().clone();
    move |name| headers.get(name).map_or(String::new(), |value| value.to_str().unwrap().to_owned())
}

fn sample(metrics: &str, name: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn it_serves_plans_and_caches_and_records_no_request() {
    let provider = Provider::start(|_| true);
    let host = Running::start_as(&provider.url(), |raw, _| {
        raw.telemetry = RawTelemetry { enabled: Some(false) };
        // The loop would have asked the strategy many times by the end of this test.
        raw.tuning = RawTuning { interval_ms: Some(500), ..RawTuning::default() };
    });
    assert!(ask(&host)("x-perfhost-strategy").starts_with("balanced@"));
    assert_eq!(ask(&host)("x-perfhost-cache"), "hit");

    // A second passes between two samples of the process; once it is there, so would be the requests.
    let metrics = (0..600).map(|_| host.text("/metrics")).find(|text| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        sample(text, "perfhost_process_memory_bytes").is_some_and(|bytes| bytes > 0.0)
    });
    let metrics = metrics.expect("figures of the process");
    assert_eq!(sample(&metrics, "perfhost_recording"), Some(0.0));
    assert!(sample(&metrics, "perfhost_plan_calls_total").is_some_and(|calls| calls >= 1.0), "{metrics}");
    assert!(!metrics.contains("perfhost_requests_total") && !metrics.contains("gen_ai_server"), "{metrics}");
    let current = host.get("/api/metrics/current");
    assert!(!current.to_string().contains("response_time_ms"), "{current:#}");
    assert_eq!(host.get("/api/decisions")["decisions"], json!([]));
    assert_eq!(host.get("/api/system/status")["is_recording"], false);
}

#[test]
fn an_experiment_is_refused_with_what_would_allow_it() {
    let provider = Provider::start(|_| true);
    let host = Running::start_as(&provider.url(), |raw, _| raw.telemetry = RawTelemetry { enabled: Some(false) });
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let request = agent.post(format!("http://127.0.0.1:{}/api/experiments", host.port()));
    let terms = json!({ "arms": ["conservative", "aggressive"] });
    let answer = request.content_type("application/json").send(terms.to_string()).unwrap();
    assert_eq!(answer.status(), 409);
    let told: Value = serde_json::from_str(&answer.into_body().read_to_string().unwrap()).unwrap();
    assert_eq!(told["error"]["code"], "not_recording", "{told}");
    assert!(told["error"]["message"].as_str().unwrap().contains("telemetry.enabled = true"), "{told}");
    assert_eq!(host.get("/api/experiments")["experiments"], json!([]));
}
