//! The host's own API: shapes, strictness, errors.

use bytes::Bytes;
use http::{Method, StatusCode};
use perfhost_gateway::{AccessPolicy, StrategySource};
use perfhost_telemetry::resources::{GpuResources, GpuVendor};

use crate::support::{FakeProvider, Host, chat_answer, fixed_chat};

#[tokio::test]
async fn what_is_asked_is_answered_in_json() {
    let host = Host::empty().start();
    for path in [
        "/health",
        "/api/system/status",
        "/api/system/resources",
        "/api/metrics/current",
        "/api/metrics/current?window=10s",
        "/api/metrics/historical?metric=response_time_ms",
        "/api/metrics/historical?metric=response_time_ms&scope=local%2Fm&from=-15m&to=now&step=10s",
        "/api/strategies",
        "/api/strategies/history",
        "/api/strategies/history?limit=5&before=9",
        "/api/knobs",
        "/api/decisions",
        "/api/decisions?limit=5&strategy=double&knob=retries&before=9",
        "/api/decisions/span?from=-15m&to=now&last=3",
        "/api/decisions/cycles?from_id=1&limit=20",
        "/api/cache",
        "/api/openapi.json",
        "/api/metrics/historical?metric=phase_plan_ms",
        "/api/metrics/aggregated",
        "/api/metrics/performance?from=-2h&to=now&scope=local%2Fm",
        "/api/monitoring/dashboard/overview",
        "/api/monitoring/dashboard/performance?from=-30d",
        "/api/monitoring/dashboard/resources",
        "/api/analysis/profile?limit=5&model=m&provider=local&outcome=timeout",
        "/api/analysis/bottlenecks",
        "/api/analysis/capacity",
        "/api/analysis/compare/models",
        "/api/analysis/compare/optimizations",
        "/api/analysis/performance/response-time",
        "/api/analysis/performance/models",
        "/api/analysis/performance/optimizations",
        "/api/analysis/performance/cpu",
        "/api/analysis/performance/memory",
        "/api/analysis/performance/gpu",
        "/api/analysis/performance/cache",
        "/api/analysis/reports/daily",
        "/api/analysis/reports/weekly?end=-1h&format=json",
    ] {
        let answer = host.client().get(path).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/json"), "{path}");
        assert!(answer.json().is_object(), "{path}");
    }
    let status = host.client().get("/api/system/status").await.json();
    assert_eq!(status["strategy"], "double@1.2.3");
    assert_eq!(status["requests"]["concurrency_limit"], 256);
}

#[tokio::test]
async fn wrong_questions_are_refused_with_what_is_allowed() {
    let host = Host::empty().start();
    for (path, status, names) in [
        ("/api/nothing", 404, "/api/strategies"),
        ("/nothing", 404, "/v1"),
        ("/api/metrics/current?window=5s", 400, "10s, 60s"),
        ("/api/metrics/current?windows=10s", 400, "window"),
        ("/api/metrics/historical", 400, "response_time_ms"),
        ("/api/metrics/historical?metric=speed", 400, "response_time_ms"),
        ("/api/metrics/historical?metric=in_flight&from=soon", 400, "-15m"),
        ("/api/metrics/historical?metric=in_flight&from=now&to=-15m", 400, "before"),
        ("/api/metrics/historical?metric=in_flight&step=1s", 400, "10s"),
        ("/api/metrics/historical?metric=in_flight&from=0&to=100000001&step=10s", 400, "10000 points"),
        ("/api/knobs?name=retries", 400, "none"),
        ("/api/decisions?limit=0", 400, "1 to 1000"),
        ("/api/strategies/history?limit=1001", 400, "1 to 1000"),
        ("/api/decisions/cycles?limit=21", 400, "1 to 20"),
        ("/api/decisions/span?from=soon", 400, "not a moment"),
        ("/api/decisions?page=2", 400, "limit, before, strategy, knob"),
        ("/api/metrics/models/never-seen", 404, "never-seen"),
        ("/api/metrics/aggregated?from=now&to=-1h", 400, "before"),
        ("/api/analysis/performance/mood", 404, "response-time"),
        ("/api/analysis/profile?outcome=sad", 400, "upstream_error"),
        ("/api/analysis/reports/daily?format=pdf", 400, "markdown"),
    ] {
        let answer = host.client().get(path).await;
        let message = answer.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert_eq!(answer.status.as_u16(), status, "{path}: {message}");
        assert!(message.contains(names), "{path}: {message}");
        assert!(!answer.code().is_empty(), "{path}");
    }
    let method = host.client().send(Method::DELETE, "/api/knobs", &[], "").await;
    assert_eq!((method.status.as_u16(), method.header("allow")), (405, "GET"));
}

#[tokio::test]
async fn strategies_are_loaded_by_name_and_by_file() {
    let host = Host::empty().start();
    let client = host.client();
    let post = async |path: &str, kind: &str, body: &'static [u8]| {
        client.send(Method::POST, path, &[("content-type", kind)], Bytes::from_static(body)).await
    };
    let json = "application/json";
    assert_eq!(post("/api/strategies", json, br#"{"name":"aggressive"}"#).await.status, 200);
    assert_eq!(post("/api/strategies", json, br#"{"name":"a.wasm","digest":"sha256:12"}"#).await.status, 200);
    let uploaded = post("/api/strategies?name=mine&digest=sha256:12", "application/wasm", b"\0asm").await;
    assert_eq!(uploaded.status, 200);
    let headers = [("content-type", "application/wasm"), ("x-perfhost-signature", "MEUC=")];
    let signed = client.send(Method::POST, "/api/strategies?name=mine", &headers, Bytes::from_static(b"\0asm")).await;
    assert_eq!(signed.status, 200);
    let (digest, signature) = (Some("sha256:12".to_owned()), Some("MEUC=".to_owned()));
    let (name, bytes) = ("mine".to_owned(), b"\0asm".to_vec());
    assert_eq!(
        *host.control.loads.lock().unwrap(),
        [
            StrategySource::Named { name: "aggressive".to_owned(), digest: None },
            StrategySource::Named { name: "a.wasm".to_owned(), digest: digest.clone() },
            StrategySource::Uploaded { name: name.clone(), bytes: bytes.clone(), digest, signature: None },
            StrategySource::Uploaded { name, bytes, digest: None, signature },
        ]
    );
    let forbidden = post("/api/strategies", json, br#"{"name":"forbidden"}"#).await;
    assert_eq!((forbidden.status.as_u16(), forbidden.code().as_str()), (403, "not-allowed"));
    let broken = post("/api/strategies", json, br#"{"name":"broken"}"#).await;
    assert_eq!((broken.status.as_u16(), broken.code().as_str()), (422, "not-wasm"));
    assert_eq!(post("/api/strategies", "application/wasm", b"\0asm").await.status, 400);
    assert_eq!(post("/api/strategies", json, br#"{"nam":"x"}"#).await.status, 400);
    assert_eq!(post("/api/strategies?in_service=maybe", json, br#"{"name":"x"}"#).await.status, 400);
}

#[tokio::test]
async fn strategies_are_kept_at_hand_without_being_put_in_service() {
    let host = Host::empty().start();
    let path = "/api/strategies?in_service=false";
    let kept = host.client().send(Method::POST, path, &[], Bytes::from_static(br#"{"name":"aggressive"}"#)).await;
    assert_eq!(kept.status, 200);
    assert_eq!(
        *host.control.kept.lock().unwrap(),
        [StrategySource::Named { name: "aggressive".to_owned(), digest: None }]
    );
    assert!(host.control.loads.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_rollback_leads_to_the_strategy_before_or_to_a_generation() {
    let host = Host::empty().start();
    let path = "/api/strategies/rollback";
    for body in ["", "{}", r#"{"to":7}"#] {
        let answer = host.client().send(Method::POST, path, &[], Bytes::from_static(body.as_bytes())).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (409, "nothing-before"), "{body}");
    }
    assert_eq!(*host.control.rollbacks.lock().unwrap(), [None, None, Some(7)]);
    for body in [r#"{"to":"seven"}"#, r#"{"too":7}"#, "7"] {
        let answer = host.client().send(Method::POST, path, &[], Bytes::from_static(body.as_bytes())).await;
        assert_eq!(answer.status, 400, "{body}");
    }
}

#[tokio::test]
async fn the_cache_can_be_seen_and_emptied() {
    let provider = FakeProvider::answering(&chat_answer("hi")).await;
    let host = Host::before(provider.address).start();
    host.client().chat(fixed_chat("q")).await;
    assert_eq!(host.client().chat(fixed_chat("q")).await.header("x-perfhost-cache"), "hit");
    let stats = host.client().get("/api/cache").await.json();
    assert_eq!(stats["cache"]["hits"], 1);
    assert_eq!(host.client().send(Method::DELETE, "/api/cache", &[], "").await.status, 200);
    assert_eq!(host.client().chat(fixed_chat("q")).await.header("x-perfhost-cache"), "miss");
}

#[tokio::test]
async fn prometheus_gets_its_text() {
    let host = Host::empty().start();
    let answer = host.client().get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").starts_with("text/plain; version=0.0.4"));
    assert!(answer.text().contains("perfhost_in_flight 0"), "{}", answer.text());
    assert!(answer.text().contains(r#"perfhost_knob{knob="concurrency_limit",scope=""} 256"#));
}

#[tokio::test]
async fn prometheus_gets_each_graphics_processor_with_what_it_tells() {
    let host = Host::empty().start();
    let silent = GpuResources {
        vendor: GpuVendor::Amd,
        index: 1,
        name: "AMD 0x744c".to_owned(),
        usage: None,
        memory_used_bytes: None,
        memory_total_bytes: None,
        temperature_celsius: None,
        power_watts: Some(25.0),
    };
    let full = GpuResources {
        vendor: GpuVendor::Nvidia,
        index: 0,
        name: "NVIDIA L4".to_owned(),
        usage: Some(0.25),
        memory_used_bytes: Some(4096),
        memory_total_bytes: Some(8192),
        temperature_celsius: Some(40.0),
        power_watts: Some(30.5),
    };
    assert!(!host.client().get("/metrics").await.text().contains("gpu_device"));
    *host.control.gpus.lock().unwrap() = vec![full, silent];
    let answer = host.client().get("/metrics").await;
    let found: Vec<&str> = answer.text().lines().filter(|line| line.starts_with("perfhost_gpu_device")).collect();
    let nvidia = r#"{vendor="nvidia",gpu="0",name="NVIDIA L4"}"#;
    let expected = [
        format!("perfhost_gpu_device_memory_total_bytes{nvidia} 8192"),
        format!("perfhost_gpu_device_memory_used_bytes{nvidia} 4096"),
        format!("perfhost_gpu_device_power_watts{nvidia} 30.5"),
        r#"perfhost_gpu_device_power_watts{vendor="amd",gpu="1",name="AMD 0x744c"} 25"#.to_owned(),
        format!("perfhost_gpu_device_temperature_celsius{nvidia} 40"),
        format!("perfhost_gpu_device_usage{nvidia} 0.25"),
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn the_dashboard_is_served_with_a_strict_policy_and_without_a_token() {
    let host = Host::empty().start();
    for path in ["/dashboard", "/dashboard/"] {
        let page = host.client().get(path).await;
        assert_eq!((page.status, page.header("content-type")), (StatusCode::OK, "text/html; charset=utf-8"));
        let policy = page.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    }
    assert_eq!(host.client().get("/dashboard/main.js").await.header("content-type"), "text/javascript; charset=utf-8");
    assert_eq!(host.client().get("/dashboard/../secret").await.status, StatusCode::NOT_FOUND);
    let foreign = host.client().send(Method::GET, "/dashboard", &[("host", "evil.example")], "").await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);

    let access = AccessPolicy { admin_token: Some("secret".to_owned()), ..AccessPolicy::default() };
    let host = Host::empty().access(access).start();
    assert_eq!(host.client().get("/dashboard").await.status, StatusCode::OK);
    assert_eq!(host.client().get("/api/system/status").await.status, StatusCode::UNAUTHORIZED);
}
