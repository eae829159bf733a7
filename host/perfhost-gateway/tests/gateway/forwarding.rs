//! What passes through: bytes untouched both ways, streamed as they arrive, cancelled when nobody waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::support::{Call, Client, FakeProvider, Host, chat_answer, chat_end, chat_event, eventually};

/// Unknown fields, odd white space, escapes, duplicate-looking keys: all of it must arrive as it was sent.
const ODD_REQUEST: &str = "{ \"model\" :\t\"m\",\n  \"x_unknown\": {\"a\":[1, 2.50, 1e3]},\"messages\":[{\"role\":\"user\",\"content\":\"h\\u00e4\\/\"}]  ,\"temperature\":1.0}";

#[tokio::test]
async fn bytes_pass_untouched_both_ways() {
    let odd_answer =
        "{ \"id\":\"1\" , \"x_unknown\" : [ 1 ,2 ],\n\"choices\":[{\"message\":{\"content\":\"\\u00e4\"}}] }";
    let provider = FakeProvider::answering(odd_answer).await;
    let host = Host::before(provider.address).start();
    let path = "/v1/chat/completions?beta=true&x=%20";
    let headers = [("x-custom", "kept"), ("authorization", "Bearer mine"), ("x-perfhost-priority", "3")];
    let answer = host.client().send(Method::POST, path, &headers, ODD_REQUEST).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, odd_answer));
    assert_eq!(provider.body(0), ODD_REQUEST.as_bytes());
    let head = provider.head(0).to_lowercase();
    assert!(head.starts_with("post /v1/chat/completions?beta=true&x=%20 http/1.1\r\n"), "{head}");
    assert!(head.contains("x-custom: kept") && head.contains("authorization: bearer mine"), "{head}");
    assert!(!head.contains("x-perfhost"), "{head}");
}

#[tokio::test]
async fn a_body_in_many_pieces_arrives_whole() {
    let provider = FakeProvider::answering(&chat_answer("hi")).await;
    let host = Host::before(provider.address).start();
    let long = "word ".repeat(400_000);
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{long}"}}]}}"#);
    assert_eq!(host.client().chat(body.clone()).await.status, 200);
    assert!(provider.body(0) == body.as_bytes(), "the body changed on its way");
}

#[tokio::test]
async fn the_added_headers_say_what_was_done() {
    let provider = FakeProvider::answering(&chat_answer("hi")).await;
    let host = Host::before(provider.address).start();
    let first = host.client().chat(ODD_REQUEST).await;
    let second = host.client().chat(ODD_REQUEST).await;
    assert_ne!(first.header("x-perfhost-request-id"), second.header("x-perfhost-request-id"));
    assert_eq!(first.header("x-perfhost-strategy"), "double@1.2.3");
    assert_eq!(first.header("x-perfhost-provider"), "local");
    assert_eq!(first.header("x-perfhost-cache"), "bypass");
    let timing = first.header("server-timing");
    for phase in ["identify;dur=", "plan;dur=", "first_byte;dur="] {
        assert!(timing.contains(phase), "{timing}");
    }
    assert_eq!(first.header("content-type"), "application/json");
}

#[tokio::test]
async fn a_stream_passes_as_it_arrives() {
    let (go_on, wait) = mpsc::channel::<()>(1);
    let wait = std::sync::Arc::new(tokio::sync::Mutex::new(wait));
    let provider = FakeProvider::start(move |mut call: Call| {
        let wait = wait.clone();
        async move {
            call.begin_stream().await;
            call.chunk(&chat_event("one")).await;
            wait.lock().await.recv().await;
            call.chunk(&chat_event("two")).await;
            call.chunk(chat_end()).await;
            call.end_stream().await;
        }
    })
    .await;
    let host = Host::before(provider.address).start();
    let mut stream = host.client().begin_chat(r#"{"model":"m","stream":true,"messages":[]}"#).await;
    // The provider sends nothing more until the client has the first event.
    assert_eq!(stream.next().await.unwrap().unwrap(), chat_event("one"));
    go_on.send(()).await.unwrap();
    let rest = stream.whole().await.unwrap();
    assert_eq!(rest.text(), format!("{}{}", chat_event("two"), chat_end()));
}

#[tokio::test]
async fn a_client_that_leaves_in_mid_stream_cancels_upstream() {
    let provider = FakeProvider::start(|mut call: Call| async move {
        call.begin_stream().await;
        call.chunk(&chat_event("one")).await;
        call.wait_for_cancel().await;
    })
    .await;
    let host = Host::before(provider.address).start();
    let mut stream = host.client().begin_chat(r#"{"model":"m","stream":true,"messages":[]}"#).await;
    stream.next().await.unwrap().unwrap();
    drop(stream);
    eventually("the provider sees the cancel", || provider.cancelled() == 1).await;
    eventually("the place is given back", || host.in_flight() == 0).await;
}

#[tokio::test]
async fn a_client_that_leaves_before_the_first_byte_cancels_upstream() {
    let provider = FakeProvider::start(|mut call: Call| async move { call.wait_for_cancel().await }).await;
    let host = Host::before(provider.address).start();
    let client = host.client();
    let waiting = tokio::spawn(async move { client.begin_chat(ODD_REQUEST).await.status });
    eventually("the provider is asked", || provider.calls() == 1).await;
    waiting.abort();
    let _ = waiting.await;
    // The aborted task's connection is driven by another, which ends with its last sender.
    eventually("the provider sees the cancel", || provider.cancelled() == 1).await;
    eventually("the place is given back", || host.in_flight() == 0).await;
}

#[tokio::test]
async fn other_paths_and_methods_are_refused_in_openais_shape() {
    let host = Host::empty().start();
    let client = host.client();
    let unknown = client.get("/v1/responses").await;
    assert_eq!((unknown.status.as_u16(), unknown.code().as_str()), (404, "unknown_url"));
    assert!(unknown.text().contains("/v1/chat/completions"), "{}", unknown.text());
    let method = client.get("/v1/chat/completions").await;
    assert_eq!((method.status.as_u16(), method.header("allow")), (405, "POST"));
    let method = client.send(Method::POST, "/v1/models", &[], "").await;
    assert_eq!((method.status.as_u16(), method.header("allow")), (405, "GET"));
}

#[tokio::test]
async fn models_of_all_providers_are_listed_once() {
    let provider = FakeProvider::answering("{}").await;
    let host = Host::before(provider.address).provider("other", provider.address).start();
    host.services.fleet.provider("other").unwrap().set_models(vec!["m".to_owned(), "vendor/big:7b".to_owned()]);
    let list = host.client().get("/v1/models").await.json();
    assert_eq!(list["object"], "list");
    let ids: Vec<_> = list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["m", "vendor/big:7b"]);
    assert_eq!(list["data"][0]["owned_by"], "local,other");
    let one = host.client().get("/v1/models/vendor/big%3A7b").await;
    assert_eq!((one.status.as_u16(), one.json()["id"].as_str()), (200, Some("vendor/big:7b")));
    let none = host.client().get("/v1/models/none").await;
    assert_eq!((none.status.as_u16(), none.code().as_str()), (404, "model_not_found"));
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_with_its_size() {
    let provider = FakeProvider::answering("{}").await;
    let limits = perfhost_gateway::Limits { body_bytes: 100, ..Default::default() };
    let host = Host::before(provider.address).limits(limits).start();
    let answer = host.client().chat(format!(r#"{{"model":"{}"}}"#, "m".repeat(200))).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (413, "body_too_large"));
    assert!(answer.text().contains("100"), "{}", answer.text());
    assert_eq!(provider.calls(), 0);
}

#[tokio::test]
async fn a_body_that_does_not_read_is_refused_and_never_sent() {
    let provider = FakeProvider::answering("{}").await;
    let host = Host::before(provider.address).start();
    for body in ["", "{", "[]", r#"{"messages":[]}"#] {
        let answer = host.client().chat(body).await;
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.json()["error"]["message"].is_string(), "{body}");
    }
    assert_eq!(provider.calls(), 0);
}

#[tokio::test]
async fn keep_alive_serves_many_requests_on_one_connection() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let provider = FakeProvider::answering(&chat_answer("hi")).await;
    let host = Host::before(provider.address).start();
    let Client(address) = host.client();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET /health HTTP/1.1\r\nhost: {address}\r\n\r\n");
    // Both at once: the answers come in order.
    stream.write_all(format!("{request}{request}").as_bytes()).await.unwrap();
    let mut read = Vec::new();
    while String::from_utf8_lossy(&read).matches("\"status\":\"ok\"").count() < 2 {
        assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn what_a_client_does_not_take_waits_at_the_provider_and_arrives_whole() {
    const PIECES: usize = 1_024;
    let piece = "x".repeat(64 << 10);
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = sent.clone();
    let provider = FakeProvider::start(move |mut call: Call| {
        let (piece, counted) = (piece.clone(), counted.clone());
        async move {
            call.begin_stream().await;
            for _ in 0..PIECES {
                call.chunk(&piece).await;
                counted.fetch_add(1, Ordering::SeqCst);
            }
            call.end_stream().await;
        }
    })
    .await;
    let host = Host::before(provider.address).start();
    let stream = host.client().begin_chat(r#"{"model":"m","stream":true,"messages":[]}"#).await;
    // Until nothing moves any more.
    let mut before = usize::MAX;
    while before != sent.load(Ordering::SeqCst) {
        before = sent.load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // The kernel's buffers on both sides hold some megabytes.
    assert!(before < PIECES / 2, "{before} of {PIECES} pieces were taken in without a reader");
    assert_eq!(stream.whole().await.unwrap().body.len(), PIECES * (64 << 10));
}

#[tokio::test]
async fn a_request_sent_early_holds_up_no_answer() {
    let (provider, gate) = FakeProvider::streaming_gated(&chat_event("one"), chat_end()).await;
    let host = Host::before(provider.address).start();
    let Client(address) = host.client();
    let body = r#"{"model":"m","stream":true,"messages":[]}"#;
    let head = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n");
    let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    let mut socket = TcpStream::connect(address).await.unwrap();
    // The next request's head has begun.
    socket.write_all(format!("{request}POST /v1/").as_bytes()).await.unwrap();
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains(&chat_event("one")) {
        assert_ne!(socket.read_buf(&mut read).await.unwrap(), 0, "{}", String::from_utf8_lossy(&read));
    }
    gate.open_for(1);
}

#[tokio::test]
async fn a_length_beside_an_encoding_is_not_believed() {
    let provider = FakeProvider::start(|mut call: Call| async move {
        call.raw("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n")
            .await;
        call.chunk(&chat_answer("the whole of it")).await;
        call.end_stream().await;
    })
    .await;
    let host = Host::before(provider.address).start();
    let answer = host.client().chat(ODD_REQUEST).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, chat_answer("the whole of it").as_str()));
}
