//! What is recorded of requests: once each, whatever becomes of them.

use std::collections::BTreeSet;
use std::time::Duration;

use perfhost_strategy::Scope;
use perfhost_strategy::observation::{Metric, metric};
use perfhost_telemetry::series::{MAX_OTHER_SERIES, MAX_SERIES};
use perfhost_telemetry::window::MAX_PLACES;
use tokio::task::JoinSet;

use crate::support::{Call, FakeProvider, Host, chat_answer, chat_event, eventually, fixed_chat};

const ASK: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
const ASK_STREAM: &str = r#"{"model":"m","stream":true,"messages":[]}"#;

/// Everything recorded so far.
fn recorded(host: &Host, now_ms: &mut u64) -> Vec<Metric> {
    *now_ms += 1_000;
    host.services.telemetry.tick(*now_ms);
    host.services.telemetry.window(Duration::from_secs(60))
}

fn count(metrics: &[Metric], name: &str, scope: &Scope) -> u64 {
    metrics.iter().find(|metric| metric.name == name && metric.scope == *scope).map_or(0, |metric| metric.summary.count)
}

#[tokio::test]
async fn answers_are_recorded_by_provider_and_model() {
    let provider = FakeProvider::answering(&chat_answer("hi")).await;
    let host = Host::before(provider.address).start();
    for _ in 0..3 {
        assert_eq!(host.client().chat(ASK).await.status, 200);
    }
    let mut now_ms = 1_000_000;
    for scope in [Scope::global(), Scope::provider("local"), Scope::model("local", "m")] {
        let mut found = 0;
        // The record follows the answer's last byte, so the client may be a moment ahead of it.
        for _ in 0..200 {
            found = count(&recorded(&host, &mut now_ms), metric::RESPONSE_TIME, &scope).max(found);
            if found == 3 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(found, 3, "{scope}");
    }
    let strategies = host.services.telemetry.by_strategy(Duration::from_secs(60));
    assert!(strategies.iter().any(|(name, _)| name == "double@1.2.3"), "{strategies:?}");
}

#[tokio::test]
async fn hits_are_recorded_with_the_cache_hit_rate() {
    let provider = FakeProvider::answering(&chat_answer("hi")).await;
    let host = Host::before(provider.address).start();
    for _ in 0..4 {
        host.client().chat(fixed_chat("q")).await;
    }
    let mut now_ms = 1_000_000;
    let metrics = recorded(&host, &mut now_ms);
    let rate = metrics.iter().find(|one| one.name == metric::CACHE_HIT_RATE && one.scope == Scope::global()).unwrap();
    assert_eq!(rate.summary.mean, 0.75);
}

#[tokio::test]
async fn a_cancelled_request_is_no_error_and_leaves_nothing_behind() {
    let provider = FakeProvider::start(|mut call: Call| async move {
        call.begin_stream().await;
        call.chunk(&chat_event("one")).await;
        call.wait_for_cancel().await;
    })
    .await;
    let host = Host::before(provider.address).start();
    let mut stream = host.client().begin_chat(ASK_STREAM).await;
    stream.next().await.unwrap().unwrap();
    drop(stream);
    eventually("the provider sees the cancel", || provider.cancelled() == 1).await;
    let upstream = host.services.fleet.provider("local").unwrap();
    eventually("nothing is under way", || (host.in_flight(), upstream.in_flight()) == (0, 0)).await;
    let mut now_ms = 1_000_000;
    let metrics = recorded(&host, &mut now_ms);
    let errors = metrics.iter().find(|one| one.name == metric::ERROR_RATE && one.scope == Scope::global());
    assert!(errors.is_none_or(|rate| rate.summary.mean == 0.0), "{errors:?}");
    assert_eq!(upstream.recent().error_rate, 0.0);
}

#[tokio::test]
async fn whatever_names_clients_make_up_series_and_windows_are_bounded() {
    const CLIENTS: usize = 8;
    let provider = FakeProvider::answering(&chat_answer("hi")).await;
    let host = Host::before(provider.address).start();
    let (client, asked) = (host.client(), MAX_SERIES + 500);
    let mut clients = JoinSet::new();
    for first in 0..CLIENTS {
        clients.spawn(async move {
            for number in (first..asked).step_by(CLIENTS) {
                let body = format!(r#"{{"model":"made-up-{number}","messages":[]}}"#);
                assert_eq!(client.chat(body).await.status, 200);
            }
        });
    }
    clients.join_all().await;

    let mut now_ms = 1_000_000;
    let mut text = String::new();
    // The record follows the answer's last byte, so the clients may be a moment ahead of it.
    for _ in 0..200 {
        let metrics = recorded(&host, &mut now_ms);
        let places = metrics.iter().map(|metric| &metric.scope).collect::<BTreeSet<_>>().len();
        assert!(places <= MAX_PLACES, "{places}");
        text = client.get("/metrics").await.text().to_owned();
        if total(&text, "success") == asked {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(total(&text, "success"), asked, "every request is counted once, in one series or another");
    let series = text.lines().filter(|line| is_of(line, "success")).count();
    assert!((MAX_SERIES..=MAX_SERIES + MAX_OTHER_SERIES).contains(&series), "{series}");
    assert!(text.lines().any(|line| is_of(line, "success") && line.contains(r#"gen_ai_request_model="other""#)));
}

fn is_of(line: &str, outcome: &str) -> bool {
    line.starts_with("perfhost_requests_total{") && line.contains(&format!("outcome=\"{outcome}\""))
}

fn total(exposition: &str, outcome: &str) -> usize {
    let counts = exposition.lines().filter(|line| is_of(line, outcome));
    counts.map(|line| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap()).sum()
}
