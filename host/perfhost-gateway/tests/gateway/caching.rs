//! Kept answers in both forms, and one answer for many equal requests.

use http::Method;
use perfhost_strategy::KnobId::CacheCapacity;
use tokio::task::JoinHandle;

use crate::support::{
    Call, FakeProvider, Host, Response, chat_answer, chat_end, chat_event, eventually, fixed_chat, fixed_chat_stream,
};

const CHAT: &str = "/v1/chat/completions";

/// Streams two words.
async fn streaming() -> FakeProvider {
    FakeProvider::start(|mut call: Call| async move {
        call.begin_stream().await;
        call.chunk(&chat_event("one ")).await;
        call.chunk(&chat_event("two")).await;
        call.chunk(chat_end()).await;
        call.end_stream().await;
    })
    .await
}

/// A leader that asks `fixed_chat("q")`, and a follower that asks the same in its own form.
async fn led(host: &Host, provider: &FakeProvider, asked: String) -> (JoinHandle<Response>, JoinHandle<Response>) {
    let client = host.client();
    let leader = tokio::spawn(async move { client.chat(fixed_chat("q")).await });
    eventually("the leader is upstream", || provider.calls() == 1).await;
    let before = host.services.cache.stats().misses;
    let follower = tokio::spawn(async move { client.chat(asked).await });
    eventually("the follower has looked into the cache", || host.services.cache.stats().misses > before).await;
    (leader, follower)
}

#[tokio::test]
async fn a_second_equal_request_is_answered_from_the_cache() {
    let provider = FakeProvider::answering(&chat_answer("hi")).await;
    let host = Host::before(provider.address).start();
    let first = host.client().chat(fixed_chat("q")).await;
    let second = host.client().chat(fixed_chat("q")).await;
    assert_eq!((first.header("x-perfhost-cache"), second.header("x-perfhost-cache")), ("miss", "hit"));
    assert_eq!((second.status.as_u16(), second.text()), (200, first.text()));
    assert_eq!(second.header("content-type"), "application/json");
    assert_eq!(second.header("x-perfhost-provider"), "local");
    assert_eq!(provider.calls(), 1);
    assert_eq!(host.client().chat(fixed_chat("other")).await.header("x-perfhost-cache"), "miss");
}

#[tokio::test]
async fn a_hit_is_replayed_in_the_form_that_is_asked_for() {
    let provider = FakeProvider::answering(&chat_answer("one two")).await;
    let host = Host::before(provider.address).start();
    host.client().chat(fixed_chat("q")).await;
    let stream = host.client().chat(fixed_chat_stream("q")).await;
    assert_eq!(stream.header("x-perfhost-cache"), "hit");
    assert_eq!(stream.header("content-type"), "text/event-stream");
    assert!(stream.text().contains("one two") && stream.text().ends_with("data: [DONE]\n\n"), "{}", stream.text());
    assert_eq!(provider.calls(), 1);
}

#[tokio::test]
async fn a_kept_stream_is_replayed_as_it_was() {
    let provider = streaming().await;
    let host = Host::before(provider.address).start();
    let first = host.client().chat(fixed_chat_stream("q")).await;
    let second = host.client().chat(fixed_chat_stream("q")).await;
    assert_eq!((first.header("x-perfhost-cache"), second.header("x-perfhost-cache")), ("miss", "hit"));
    assert_eq!(second.text(), first.text());
    assert_eq!(provider.calls(), 1);
}

#[tokio::test]
async fn the_client_can_pass_by_or_refresh_the_cache() {
    let provider = FakeProvider::start(|mut call: Call| async move {
        let answer = chat_answer(&format!("answer {}", call.number));
        call.json(200, &answer).await;
    })
    .await;
    let host = Host::before(provider.address).start();
    let client = host.client();
    let with = async |name: &str, value: &str| {
        let answer = client.send(Method::POST, CHAT, &[(name, value)], fixed_chat("q")).await;
        (answer.header("x-perfhost-cache").to_owned(), answer.text().contains("answer 0"))
    };
    assert_eq!(with("x-none", "").await, ("miss".to_owned(), true));
    assert_eq!(with("x-perfhost-cache", "bypass").await, ("bypass".to_owned(), false));
    assert_eq!(with("cache-control", "no-store").await, ("bypass".to_owned(), false));
    assert_eq!(with("x-none", "").await, ("hit".to_owned(), true));
    assert_eq!(with("cache-control", "no-cache").await, ("miss".to_owned(), false));
    let refreshed = client.chat(fixed_chat("q")).await;
    assert_eq!(refreshed.header("x-perfhost-cache"), "hit");
    assert!(refreshed.text().contains("answer 3"), "{}", refreshed.text());
}

#[tokio::test]
async fn one_tenant_never_sees_anothers_answer() {
    let provider = FakeProvider::answering(&chat_answer("hi")).await;
    let host = Host::before(provider.address).start();
    for (key, expected) in [("Bearer a", "miss"), ("Bearer b", "miss"), ("Bearer a", "hit")] {
        let answer = host.client().send(Method::POST, CHAT, &[("authorization", key)], fixed_chat("q")).await;
        assert_eq!(answer.header("x-perfhost-cache"), expected, "{key}");
    }
}

#[tokio::test]
async fn other_credentials_and_queries_never_see_it_either() {
    let provider = FakeProvider::answering(&chat_answer("hi")).await;
    let host = Host::before(provider.address).start();
    let ask = async |path: &str, headers: &[(&str, &str)]| {
        let answer = host.client().send(Method::POST, path, headers, fixed_chat("q")).await;
        answer.header("x-perfhost-cache").to_owned()
    };
    let versioned = "/v1/chat/completions?api-version=2";
    for expected in ["miss", "hit"] {
        assert_eq!(ask(CHAT, &[]).await, expected);
        assert_eq!(ask(CHAT, &[("api-key", "a")]).await, expected);
        assert_eq!(ask(CHAT, &[("x-api-key", "a")]).await, expected);
        assert_eq!(ask(versioned, &[("api-key", "a")]).await, expected);
    }
}

#[tokio::test]
async fn only_whole_successful_answers_are_kept() {
    let provider = FakeProvider::start(|mut call: Call| async move {
        match call.number {
            0 => call.json(500, r#"{"error":{"message":"no"}}"#).await,
            1 => {
                // A stream that ends without the protocol's end.
                call.begin_stream().await;
                call.chunk(&chat_event("half")).await;
                call.end_stream().await;
            }
            _ => call.json(200, &chat_answer("hi")).await,
        }
    })
    .await;
    let host = Host::before(provider.address).start();
    assert_eq!(host.client().chat(fixed_chat("q")).await.status, 500);
    assert_eq!(host.client().chat(fixed_chat_stream("q")).await.header("x-perfhost-cache"), "miss");
    assert_eq!(host.client().chat(fixed_chat("q")).await.header("x-perfhost-cache"), "miss");
    assert_eq!(host.client().chat(fixed_chat("q")).await.header("x-perfhost-cache"), "hit");
}

#[tokio::test]
async fn without_capacity_nothing_is_kept_or_shared() {
    let provider = FakeProvider::answering(&chat_answer("hi")).await;
    let host = Host::before(provider.address).knob(CacheCapacity, 0).start();
    for _ in 0..2 {
        assert_eq!(host.client().chat(fixed_chat("q")).await.header("x-perfhost-cache"), "bypass");
    }
    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn twenty_equal_requests_at_once_are_generated_once() {
    let (provider, gate) = FakeProvider::answering_gated(&chat_answer("hi")).await;
    let host = Host::before(provider.address).start();
    let client = host.client();
    let tasks: Vec<_> = (0..20).map(|_| tokio::spawn(async move { client.chat(fixed_chat("q")).await })).collect();
    eventually("the leader is upstream", || provider.calls() == 1).await;
    gate.open_for(20);
    let mut kinds = Vec::new();
    for task in tasks {
        let answer = task.await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.text()), (200, chat_answer("hi").as_str()));
        kinds.push(answer.header("x-perfhost-cache").to_owned());
    }
    assert_eq!(provider.calls(), 1);
    assert_eq!(kinds.iter().filter(|kind| *kind == "miss").count(), 1, "{kinds:?}");
}

#[tokio::test]
async fn followers_see_a_stream_as_it_is_made() {
    let rest = format!("{}{}", chat_event("two"), chat_end());
    let (provider, gate) = FakeProvider::streaming_gated(&chat_event("one"), &rest).await;
    let host = Host::before(provider.address).start();
    let mut leader = host.client().begin_chat(fixed_chat_stream("q")).await;
    assert_eq!(leader.next().await.unwrap().unwrap(), chat_event("one"));
    let mut follower = host.client().begin_chat(fixed_chat_stream("q")).await;
    assert_eq!(follower.headers["x-perfhost-cache"], "shared");
    assert_eq!(follower.next().await.unwrap().unwrap(), chat_event("one"));
    // The leader's client leaves; its work goes on for the follower.
    drop(leader);
    gate.open_for(1);
    assert_eq!(follower.whole().await.unwrap().text(), rest);
    assert_eq!((provider.calls(), provider.cancelled()), (1, 0));
    assert_eq!(host.client().chat(fixed_chat_stream("q")).await.header("x-perfhost-cache"), "hit");
}

#[tokio::test]
async fn a_leader_that_leaves_before_the_first_byte_leaves_its_work_to_the_followers() {
    let (provider, gate) = FakeProvider::answering_gated(&chat_answer("hi")).await;
    let host = Host::before(provider.address).start();
    let (leader, follower) = led(&host, &provider, fixed_chat("q")).await;
    leader.abort();
    let _ = leader.await;
    gate.open_for(2);
    assert_eq!(follower.await.unwrap().text(), chat_answer("hi"));
    assert_eq!(provider.calls(), 1);
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_cancelled() {
    let provider = FakeProvider::start(|mut call: Call| async move {
        call.begin_stream().await;
        call.chunk(&chat_event("one")).await;
        call.wait_for_cancel().await;
    })
    .await;
    let host = Host::before(provider.address).start();
    let mut leader = host.client().begin_chat(fixed_chat_stream("q")).await;
    leader.next().await.unwrap().unwrap();
    let mut follower = host.client().begin_chat(fixed_chat_stream("q")).await;
    follower.next().await.unwrap().unwrap();
    drop(leader);
    drop(follower);
    eventually("the provider sees the cancel", || provider.cancelled() == 1).await;
    eventually("the place is given back", || host.in_flight() == 0).await;
}

#[tokio::test]
async fn a_leader_that_fails_does_not_fail_its_followers() {
    let (provider, gate) = FakeProvider::gated(|mut call, gate| async move {
        gate.pass().await;
        match call.number {
            0 => call.json(400, r#"{"error":{"message":"unlucky"}}"#).await,
            _ => call.json(200, &chat_answer("hi")).await,
        }
    })
    .await;
    let host = Host::before(provider.address).start();
    let (leader, follower) = led(&host, &provider, fixed_chat("q")).await;
    gate.open_for(2);
    assert_eq!((leader.await.unwrap().status.as_u16(), follower.await.unwrap().status.as_u16()), (400, 200));
}

#[tokio::test]
async fn a_follower_that_wants_another_form_waits_for_the_whole_answer() {
    let (provider, gate) = FakeProvider::answering_gated(&chat_answer("one two")).await;
    let host = Host::before(provider.address).start();
    let asked =
        fixed_chat_stream("q").replace(r#""stream":true"#, r#""stream":true,"stream_options":{"include_usage":true}"#);
    let (leader, follower) = led(&host, &provider, asked).await;
    gate.open_for(2);
    assert_eq!(leader.await.unwrap().status, 200);
    let answer = follower.await.unwrap();
    assert_eq!(answer.header("content-type"), "text/event-stream");
    assert!(answer.text().contains("one two") && answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
    assert_eq!(provider.calls(), 1);
}
