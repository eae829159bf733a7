//! The API's analysis, of requests that were really served and recorded.

use bytes::Bytes;
use http::Method;
use perfhost_gateway::Services;
use perfhost_strategy::Scope;
use perfhost_strategy::observation::metric;
use serde_json::Value;

use crate::support::{FakeProvider, Host, chat_answer, fixed_chat};

/// Serves so many requests, half of them from the cache, and writes down what was measured.
async fn used(requests: usize) -> Host {
    let provider = FakeProvider::answering(&chat_answer("hi")).await;
    let host = Host::before(provider.address).start();
    for at in 0..requests {
        let question = format!("question {}", at / 2);
        assert_eq!(host.client().chat(fixed_chat(&question)).await.status, 200);
    }
    let services = &host.services;
    services.telemetry.gauge(metric::IN_FLIGHT, &Scope::global(), 2.0);
    record(services);
    host
}

/// Writes down what was measured so far.
fn record(services: &Services) {
    let now_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    services.telemetry.tick(now_ms);
    services.store.persist(&services.telemetry, now_ms);
    services.store.flush();
}

fn find<'a>(list: &'a Value, field: &str, name: &str) -> &'a Value {
    let found = list.as_array().unwrap().iter().find(|one| one[field] == name);
    found.unwrap_or_else(|| panic!("no {name} in {list}"))
}

#[tokio::test]
async fn whole_ranges_come_from_what_was_recorded() {
    let host = used(40).await;
    let client = host.client();
    let all = client.get("/api/metrics/aggregated?from=-10m").await.json();
    assert_eq!(find(&all["metrics"], "name", "response_time_ms")["count"], 40);
    assert_eq!(find(&all["metrics"], "name", "cache_hit_rate")["mean"], 0.5);
    assert_eq!(find(&all["metrics"], "name", "phase_plan_ms")["count"], 40);

    let performance = client.get("/api/metrics/performance?from=-10m").await.json();
    let buckets = performance["histogram"].as_array().unwrap();
    assert_eq!(buckets.len(), 6);
    assert_eq!(buckets.iter().map(|bucket| bucket["count"].as_u64().unwrap()).sum::<u64>(), 40);
    // The phases of the mean request are all of its time.
    let phases: f64 =
        performance["phases"].as_array().unwrap().iter().map(|one| one["mean_ms"].as_f64().unwrap()).sum();
    let mean = performance["response_time"]["mean"].as_f64().unwrap();
    assert!((phases / mean - 1.0).abs() < 0.01, "{phases} for {mean}");

    let model = client.get("/api/metrics/models/m?from=-10m").await.json();
    assert_eq!(model["providers"][0]["response_time_ms"]["count"], 40, "{model}");
    let compared = client.get("/api/analysis/compare/models").await.json();
    assert_eq!(find(&compared["models"], "model", "m")["cache_hit_rate"]["mean"], 0.5);
    let strategies = client.get("/api/analysis/compare/optimizations").await.json();
    assert_eq!(strategies["strategies"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn requests_are_profiled_and_the_phase_with_the_time_is_named() {
    let host = used(40).await;
    let profiles = host.client().get("/api/analysis/profile?limit=3&outcome=success").await.json();
    let requests = profiles["requests"].as_array().unwrap();
    assert_eq!(requests.len(), 3);
    for one in requests {
        let phases: f64 = one["phases_ms"].as_object().unwrap().values().map(|value| value.as_f64().unwrap()).sum();
        assert!((phases - one["total_ms"].as_f64().unwrap()).abs() < 0.001, "{one}");
        assert_eq!((&one["model"], &one["outcome"]), (&"m".into(), &"success".into()));
    }
    let found = host.client().get("/api/analysis/bottlenecks?from=-10m").await.json();
    assert_eq!(found["requests"], 40);
    let shares = found["bottlenecks"].as_array().unwrap().iter().map(|one| one["share"].as_f64().unwrap());
    assert!(shares.clone().count() > 0 && shares.sum::<f64>() <= 1.0 + 1e-9, "{found}");
    assert!(found["bottlenecks"][0]["evidence"][0].as_str().unwrap().contains("40 requests"), "{found}");
}

#[tokio::test]
async fn the_overview_grades_what_was_measured() {
    let host = used(40).await;
    let overview = host.client().get("/api/monitoring/dashboard/overview").await.json();
    assert_eq!(find(&overview["cards"], "name", "requests")["value"], 40.0);
    let hits = find(&overview["kpis"], "name", "cache_hit_rate");
    assert_eq!((&hits["value"], &hits["level"]), (&0.5.into(), &"off_target".into()));
    assert_eq!(find(&overview["grades"], "name", "cache_hit_rate")["grade"], "good");
    let health = &overview["health"];
    // Half way from 0.7 to 0.3 of its five points.
    assert_eq!((health["score"].as_f64().unwrap() * 2.0).round() / 2.0, 97.5, "{health}");
    assert!(health["reasons"][0]["reason"].as_str().unwrap().contains("cache_hit_rate"), "{health}");
}

#[tokio::test]
async fn without_a_provider_or_requests_health_says_so_and_figures_are_not_invented() {
    let host = Host::empty().start();
    let overview = host.client().get("/api/monitoring/dashboard/overview").await.json();
    assert_eq!((&overview["health"]["status"], &overview["grade"]), (&"unhealthy".into(), &Value::Null));
    assert_eq!(overview["health"]["reasons"][0]["name"], "no_provider");
    assert!(overview["kpis"].as_array().unwrap().iter().all(|kpi| kpi["value"].is_null()));
    assert_eq!(host.client().get("/api/analysis/bottlenecks").await.json()["bottlenecks"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn graphics_processors_are_analysed_where_they_were_measured() {
    let host = used(1).await;
    let client = host.client();
    let unmeasured = client.get("/api/analysis/performance/gpu").await.json();
    assert_eq!(unmeasured["findings"]["is_available"], false);
    let charts = client.get("/api/monitoring/dashboard/resources").await.json();
    assert_eq!(charts["series"]["gpu_usage"], Value::Array(Vec::new()));
    assert!(!client.get("/api/analysis/reports/daily?format=html").await.text().contains("Graphics processors"));

    let services = &host.services;
    for (name, value) in [(metric::GPU_USAGE, 0.45), (metric::GPU_MEMORY_USAGE, 0.5), (metric::GPU_MEMORY_USED, 12.0)] {
        services.telemetry.gauge(name, &Scope::global(), value);
    }
    record(services);
    let measured = client.get("/api/analysis/performance/gpu").await.json();
    for name in ["gpu_usage", "gpu_memory_usage", "gpu_memory_used_bytes"] {
        assert_eq!(measured["findings"][name]["points"], 1, "{name}");
    }
    let charts = client.get("/api/monitoring/dashboard/resources").await.json();
    assert_eq!(charts["series"]["gpu_memory_usage"][0]["mean"], 0.5);
    let capacity = client.get("/api/analysis/capacity").await.json();
    assert_eq!(find(&capacity["limits"], "name", "gpu")["headroom"], 0.5);
    assert!(client.get("/api/analysis/reports/daily?format=html").await.text().contains("Graphics processors"));
}

#[tokio::test]
async fn reports_come_in_three_forms() {
    let host = used(40).await;
    let client = host.client();
    let json = client.get("/api/analysis/reports/daily").await.json();
    assert!(json["summary"][0].as_str().unwrap().starts_with("40 successful requests"), "{json}");
    let markdown = client.get("/api/analysis/reports/daily?format=markdown").await;
    assert!(markdown.header("content-type").starts_with("text/markdown"));
    for part in ["# Daily report", "## Targets", "## Where the time goes", "## Recommendations", "| local/m | 40 |"] {
        assert!(markdown.text().contains(part), "{part}: {}", markdown.text());
    }
    let html = client.get("/api/analysis/reports/weekly?format=html").await;
    assert!(html.header("content-type").starts_with("text/html") && html.text().contains("<svg"));
}

#[tokio::test]
async fn tuning_recommends_with_evidence_and_changes_nothing() {
    let host = Host::empty().start();
    let before = host.services.settings.load().version;
    let post = async |what: &str| {
        let path = format!("/api/optimization/{what}/tune");
        host.client().send(Method::POST, &path, &[("content-type", "application/json")], Bytes::new()).await
    };
    for what in ["cache", "resources", "models"] {
        let answer = post(what).await;
        assert_eq!(answer.status, 200, "{what}");
        assert_eq!(answer.json()["is_applied"], false);
    }
    assert_eq!(post("weather").await.status, 404);
    assert_eq!(host.services.settings.load().version, before);
}
