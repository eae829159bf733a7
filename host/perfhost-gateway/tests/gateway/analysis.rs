//! The API's analysis, of requests that were really served and recorded.

use std::sync::Arc;

use http::Method;
use perfhost_strategy::decision::Decision;
use perfhost_strategy::observation::metric;
use perfhost_strategy::plan::Operation;
use perfhost_strategy::{KnobId, Proposal, Scope, Value as KnobValue, Verdict};
use perfhost_telemetry::{CacheStatus, Phase, RequestOutcome, RequestRecord};
use serde_json::Value;

use crate::support::{Call, FakeProvider, Host, chat_answer, fixed_chat};

/// Serves so many requests, half of them from the cache, and writes that down.
async fn used(requests: usize) -> Host {
    let provider = FakeProvider::answering(&chat_answer("hi")).await;
    let host = Host::before(provider.address).start();
    for at in 0..requests {
        let question = format!("question {}", at / 2);
        assert_eq!(host.client().chat(fixed_chat(&question)).await.status, 200);
    }
    host.services.telemetry.gauge(metric::IN_FLIGHT, &Scope::global(), 2.0);
    write_down(&host);
    host
}

/// Writes down what was measured.
fn write_down(host: &Host) {
    let services = &host.services;
    let now_ms = now_ms();
    services.telemetry.tick(now_ms);
    services.store.persist(&services.telemetry, now_ms);
    services.store.flush();
}

fn now_ms() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64
}

fn decision(id: u64, at_ms: u64, knob: &str, verdict: Verdict) -> Decision {
    Decision {
        id,
        cycle: id,
        at_ms,
        strategy: "double@1.2.3".to_owned(),
        digest: "ab".to_owned(),
        proposal: Proposal {
            name: knob.to_owned(),
            scope: Scope::global(),
            value: KnobValue::Integer(8),
            reason: "queue grows".to_owned(),
            expected: None,
            confidence: 0.5,
        },
        verdict,
        detail: String::new(),
        before: KnobValue::Integer(4),
        applied: (verdict == Verdict::Applied).then_some(KnobValue::Integer(8)),
        measured: None,
        guardrail: None,
    }
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

    assert_eq!(find(&all["outcomes"], "outcome", "success")["count"], 40);
    assert_eq!((&all["cache"]["lookups"], &all["cache"]["hits"]), (&40.into(), &20.into()));

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
async fn requests_are_counted_by_cause_and_the_cache_by_model_over_a_range() {
    let provider = FakeProvider::start(|mut call: Call| async move {
        let answer = chat_answer("hi");
        call.json(if call.number == 0 { 500 } else { 200 }, &answer).await;
    })
    .await;
    let host = Host::before(provider.address).start();
    let client = host.client();
    let failed = client.chat(fixed_chat("q")).await;
    let wrong = client.send(Method::POST, "/v1/chat/completions", &[], "{").await;
    let answered = [client.chat(fixed_chat("q")).await, client.chat(fixed_chat("q")).await];
    assert_eq!((failed.status.as_u16(), wrong.status.as_u16()), (500, 400));
    assert_eq!(answered.map(|one| one.header("x-perfhost-cache").to_owned()), ["miss", "hit"]);
    write_down(&host);

    let all = client.get("/api/metrics/aggregated?from=-10m").await.json();
    for (outcome, count) in [("success", 2), ("upstream_error", 1), ("client_error", 1), ("timeout", 0)] {
        assert_eq!(find(&all["outcomes"], "outcome", outcome)["count"], count, "{all}");
    }
    let errors = client.get("/api/metrics/historical?metric=requests_upstream_error&from=-10m").await.json();
    assert_eq!((&errors["unit"], &errors["points"][0]["count"]), (&"count".into(), &1.into()), "{errors}");

    let cache = client.get("/api/cache?from=-10m").await.json();
    let (range, model) = (&cache["range"], &cache["models"][0]);
    assert_eq!((&range["lookups"], &range["hits"], &range["misses"]), (&3.into(), &1.into(), &2.into()), "{cache}");
    for saved in ["prompt_tokens_saved", "output_tokens_saved"] {
        assert_eq!(range[saved], cache["cache"][saved], "{saved}: {cache}");
        assert_eq!(model[saved], range[saved], "{saved}: {cache}");
    }
    assert_eq!(model["model"], "local/m");
    assert!(range["output_tokens_saved"].as_u64().unwrap() > 0, "{cache}");

    // Of a time before all that, nothing is told; and what was recorded is not lost with the process's own counts.
    let earlier = client.get("/api/metrics/aggregated?from=-3h&to=-2h").await.json();
    assert_eq!(find(&earlier["outcomes"], "outcome", "success")["count"], 0);
    assert_eq!(client.get("/api/cache?from=-3h&to=-2h").await.json()["range"]["lookups"], 0);
    let report = client.get("/api/analysis/reports/daily?format=markdown").await;
    for part in ["| upstream error | 1 | 25.00 % | 0 |", "| answered from the cache | 1 | 0 |"] {
        assert!(report.text().contains(part), "{part}: {}", report.text());
    }
}

#[tokio::test]
async fn a_number_per_second_is_taken_over_the_whole_range() {
    let host = used(40).await;
    let (client, to_ms) = (host.client(), now_ms() + 1_000);
    let range = format!("scope=local%2Fm&from={}&to={to_ms}", to_ms - 80_000);
    let whole = client.get(&format!("/api/metrics/aggregated?{range}")).await.json();
    assert_eq!(find(&whole["metrics"], "name", "requests_per_second")["mean"], 0.5);
    let range = format!("from={}&to={to_ms}", to_ms - 400_000);
    for (path, list) in [("metrics/models/m", "providers"), ("analysis/compare/models", "models")] {
        let found = client.get(&format!("/api/{path}?{range}")).await.json();
        assert_eq!(found[list][0]["requests_per_second"]["mean"], 0.1, "{path}");
    }
    let found = client.get(&format!("/api/analysis/compare/optimizations?{range}")).await.json();
    assert_eq!(found["strategies"][0]["requests_per_second"]["mean"], 0.1);
}

#[tokio::test]
async fn a_series_says_the_step_that_it_has() {
    let host = used(2).await;
    let asked = async |step: &str| {
        let path = format!("/api/metrics/historical?metric=response_time_ms&from=-2h&step={step}");
        host.client().get(&path).await.json()
    };
    // Steps are made of windows of ten seconds, one minute, five minutes, an hour, a day.
    for (step, used_ms) in [("10s", 10_000), ("15s", 20_000), ("90s", 120_000), ("7m", 600_000), ("61m", 7_200_000)] {
        let found = asked(step).await;
        assert_eq!(found["step_ms"], used_ms, "{step}");
        assert_eq!(found["points"][0]["at_ms"].as_u64().unwrap() % used_ms, 0, "{step}");
    }
    let charts = host.client().get("/api/monitoring/dashboard/performance?from=-30d").await.json();
    // A 288th of thirty days is two and a half hours.
    assert_eq!(charts["step_ms"], 3 * 3_600_000);
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
    write_down(&host);
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
async fn tuning_recommends_with_evidence_and_changes_nothing_unasked() {
    let provider = FakeProvider::answering(&chat_answer("hi")).await;
    let host = Host::before(provider.address).start();
    let before = host.services.settings.load().version;
    let send = async |what: &str, body: &'static str| {
        let path = format!("/api/optimization/{what}/tune");
        host.client().send(Method::POST, &path, &[("content-type", "application/json")], body).await
    };
    let post = async |what: &str| send(what, "").await;
    for what in ["cache", "resources", "models"] {
        let answer = post(what).await;
        assert_eq!(answer.status, 200, "{what}");
        assert_eq!(answer.json()["is_applied"], false);
    }
    assert_eq!(post("weather").await.status, 404);
    assert_eq!(host.services.settings.load().version, before);

    // Only what turns a knob is put before the guard, and only when asked for.
    host.services.cache.set_capacity(0);
    assert_eq!(send("cache", r#"{"apply":false}"#).await.json()["recommendations"][0]["knob"], "cache_capacity_bytes");
    assert!(host.control.proposals.lock().unwrap().is_empty());
    let refused = send("cache", r#"{"apply":true,"provider":"local"}"#).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (409, "experiment"));
    {
        let asked = host.control.proposals.lock().unwrap();
        let (author, proposals) = &asked[0];
        assert_eq!((author.as_str(), proposals.len()), ("recommendations", 1));
        assert_eq!(
            (proposals[0].name.as_str(), &proposals[0].value),
            ("cache_capacity_bytes", &KnobValue::Integer(64 << 20))
        );
        assert!(proposals[0].reason.contains("the cache is off"), "{}", proposals[0].reason);
    }
    for wrong in [r#"{"apply":1}"#, r#"{"aply":true}"#, "[]"] {
        let answer = send("cache", wrong).await;
        assert_eq!((answer.status.as_u16(), answer.text().contains("apply")), (400, true), "{wrong}");
    }
}

/// Records thirty requests of one model at a provider, which spent that time waiting for its answer.
fn served(host: &Host, provider: &str, waited_ns: u64) {
    let telemetry = &host.services.telemetry;
    let mut phases_ns = [0; Phase::COUNT];
    phases_ns[Phase::FirstByte as usize] = waited_ns;
    let record = RequestRecord {
        series: telemetry.series(provider, "m", "double", Operation::Chat),
        outcome: RequestOutcome::Success,
        cache: CacheStatus::Bypass,
        is_streaming: false,
        phases_ns,
        total_ns: waited_ns,
        ttft_ns: None,
        prompt_tokens: 0,
        output_tokens: 0,
        saved_ns: 0,
    };
    (0..30).for_each(|_| telemetry.recorder().record(&record));
}

#[tokio::test]
async fn a_provider_is_judged_by_what_is_its_own() {
    let provider = FakeProvider::answering(&chat_answer("hi")).await;
    let (one, weight) = (KnobId::CandidateWeight, KnobValue::Number(4.0));
    let host = Host::empty().provider("openai", provider.address).engine("local", provider.address).start();
    host.services.settings.store(Arc::new(host.services.settings.load().with(one, &Scope::provider("openai"), weight)));
    for (name, waited_ns) in [("openai", 200_000_000), ("local", 1_000_000_000), ("gone", 1_000_000)] {
        served(&host, name, waited_ns);
    }
    let slots = f64::from(host.services.settings.load().engine("local").slots);
    host.services.telemetry.gauge(metric::ENGINE_SLOTS_BUSY, &Scope::provider("local"), slots);
    write_down(&host);
    let client = host.client();
    for (scope, is_slots) in
        [("", true), ("local", true), ("local%2Fm", true), ("openai", false), ("openai%2Fm", false)]
    {
        let found = client.get(&format!("/api/analysis/bottlenecks?from=-10m&scope={scope}")).await;
        assert_eq!(found.text().contains("engine slots are busy"), is_slots, "{scope}: {}", found.text());
    }
    let tuned = async |what: &str, provider: &str| {
        let body = format!(r#"{{"provider":"{provider}"}}"#);
        client.send(Method::POST, &format!("/api/optimization/{what}/tune"), &[], body).await
    };
    assert!(tuned("resources", "local").await.text().contains("engine_slots"));
    assert!(!tuned("resources", "openai").await.text().contains("engine_slots"));
    // A provider that is gone is no faster one, and a weight is turned up from where it is.
    let models = tuned("models", "openai").await.json()["recommendations"].take();
    let turned: Vec<_> =
        models.as_array().unwrap().iter().map(|one| (&one["scope"], &one["now"], &one["suggested"])).collect();
    assert_eq!(turned, [(&"openai".into(), &4.0.into(), &8.0.into())]);
    let misspelt = tuned("resources", "opena").await;
    assert_eq!((misspelt.status.as_u16(), misspelt.text().contains("local, openai")), (400, true));
}

#[tokio::test]
async fn every_decision_of_the_period_counts_however_many_came_after_it() {
    let host = Host::empty().start();
    let store = &host.services.store;
    let (hour_ms, end_ms) = (3_600_000, now_ms());
    store.record_decision(decision(1, end_ms - 25 * hour_ms, "retries", Verdict::Applied));
    store.record_decision(decision(2, end_ms - 20 * hour_ms, "queue_length", Verdict::Applied));
    for id in 3..2_503 {
        store.record_decision(decision(id, end_ms - hour_ms, "concurrency_limit", Verdict::Refused));
    }
    store.flush();
    let client = host.client();
    let report = client.get(&format!("/api/analysis/reports/daily?end={end_ms}")).await.json();
    let section = find(&report["sections"], "title", "Decisions");
    let rows: Vec<String> = section["rows"].as_array().unwrap().iter().map(Value::to_string).collect();
    let refused = r#"["concurrency_limit","0","0","2500","0",""]"#;
    assert_eq!(rows, [refused, r#"["queue_length","1","0","0","0",""]"#]);
    assert_eq!(section["lines"], Value::Array(Vec::new()));
    let compared = client.get("/api/analysis/compare/optimizations").await.json();
    assert_eq!(find(&compared["decisions"], "knob", "queue_length")["applied"], 1);
    assert_eq!(compared["has_all_decisions"], true);
}

#[tokio::test]
async fn a_report_says_where_older_decisions_are_not_kept_any_more() {
    let host = Host::empty().start();
    host.services.store.record_decision(decision(900, now_ms() - 60_000, "retries", Verdict::Applied));
    host.services.store.flush();
    let report = host.client().get("/api/analysis/reports/daily").await;
    assert!(report.text().contains("the beginning of the period are missing"), "{}", report.text());
    let compared = host.client().get("/api/analysis/compare/optimizations").await.json();
    assert_eq!(compared["has_all_decisions"], false);
}
