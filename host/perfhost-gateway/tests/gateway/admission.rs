//! The concurrency limit, the queue and what a refused client is told.

use perfhost_strategy::KnobId::{ConcurrencyLimit, QueueLength, QueueWait};

use crate::support::{Client, FakeProvider, Host, chat_answer, eventually};

const ASK: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;

#[tokio::test]
async fn over_limit_and_queue_a_request_is_refused_at_once() {
    let (provider, gate) = FakeProvider::answering_gated(&chat_answer("hi")).await;
    let host = Host::before(provider.address).knob(ConcurrencyLimit, 1).knob(QueueLength, 1).start();
    let client = host.client();
    let first = tokio::spawn(async move { client.chat(ASK).await.status });
    eventually("one is under way", || provider.calls() == 1).await;
    let second = tokio::spawn(async move { client.chat(ASK).await.status });
    eventually("one waits", || host.queued() == 1).await;
    let third = client.chat(ASK).await;
    assert_eq!((third.status.as_u16(), third.code().as_str()), (429, "queue_full"));
    assert!(third.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert_eq!(third.json()["error"]["type"], "rate_limit_error");
    gate.open_for(2);
    assert_eq!((first.await.unwrap(), second.await.unwrap()), (200.try_into().unwrap(), 200.try_into().unwrap()));
    eventually("all places are free", || (host.in_flight(), host.queued()) == (0, 0)).await;
    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn a_wait_that_is_too_long_is_refused() {
    let (provider, gate) = FakeProvider::answering_gated(&chat_answer("hi")).await;
    let host = Host::before(provider.address).knob(ConcurrencyLimit, 1).knob(QueueWait, 20).start();
    let client = host.client();
    let first = tokio::spawn(async move { client.chat(ASK).await.status });
    eventually("one is under way", || provider.calls() == 1).await;
    let second = client.chat(ASK).await;
    assert_eq!((second.status.as_u16(), second.code().as_str()), (429, "queue_timeout"));
    gate.open_for(1);
    assert_eq!(first.await.unwrap(), 200);
}

#[tokio::test]
async fn a_client_that_leaves_the_queue_gives_its_place_to_the_next() {
    let (provider, gate) = FakeProvider::answering_gated(&chat_answer("hi")).await;
    let host = Host::before(provider.address).knob(ConcurrencyLimit, 1).knob(QueueLength, 1).start();
    let client = host.client();
    let first = tokio::spawn(async move { client.chat(ASK).await.status });
    eventually("one is under way", || provider.calls() == 1).await;
    let gone = tokio::spawn(async move { client.chat(ASK).await.status });
    eventually("one waits", || host.queued() == 1).await;
    gone.abort();
    eventually("nobody waits", || host.queued() == 0).await;
    gate.open_for(1);
    assert_eq!(first.await.unwrap(), 200);
    gate.open_for(1);
    assert_eq!(client.chat(ASK).await.status, 200);
    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn a_raised_limit_lets_those_go_who_wait() {
    let (provider, gate) = FakeProvider::answering_gated(&chat_answer("hi")).await;
    let host = Host::before(provider.address).knob(ConcurrencyLimit, 1).start();
    let client = host.client();
    let tasks: Vec<_> = (0..3).map(|_| tokio::spawn(async move { client.chat(ASK).await.status })).collect();
    eventually("two wait", || (provider.calls(), host.queued()) == (1, 2)).await;
    host.turn(ConcurrencyLimit, 8);
    eventually("all are under way", || provider.calls() == 3).await;
    gate.open_for(3);
    for task in tasks {
        assert_eq!(task.await.unwrap(), 200);
    }
}

#[tokio::test]
async fn connections_over_their_limit_wait_for_one_to_end() {
    let provider = FakeProvider::answering(&chat_answer("hi")).await;
    let limits = perfhost_gateway::Limits { connections: 1, ..Default::default() };
    let host = Host::before(provider.address).limits(limits).start();
    let Client(address) = host.client();
    // Idle, and in the only place.
    let idle = tokio::net::TcpStream::connect(address).await.unwrap();
    let client = host.client();
    let waiting = tokio::spawn(async move { client.chat(ASK).await.status });
    // Whether the second one is accepted too early shows only in what it does; it must not be answered before.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!waiting.is_finished());
    drop(idle);
    assert_eq!(waiting.await.unwrap(), 200);
}
