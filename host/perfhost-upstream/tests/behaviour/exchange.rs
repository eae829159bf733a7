//! What goes out and what comes back.

use std::sync::Arc;

use bytes::Bytes;
use http_body::Body;
use perfhost_upstream::UpstreamError;
use tokio::sync::Notify;

use crate::server::Server;
use crate::{Rig, chunk, post, until};

#[tokio::test]
async fn the_request_arrives_as_it_was_sent_but_for_this_hop() {
    let server = Server::obliging().await;
    let rig = Rig::with_key(&format!("{}/openai/v1", server.url), Some("own-key"));
    let body = Bytes::from((0..200_000u32).map(|byte| byte as u8).collect::<Vec<_>>());
    let request = http::Request::post("/v1/chat/completions?a=1&b=%20")
        .header("host", "perfhost.local")
        .header("authorization", "Bearer client")
        .header("connection", "keep-alive, x-hop")
        .header("x-hop", "1")
        .header("expect", "100-continue")
        .header("content-length", "7")
        .header("X-Unknown", "Kept As Is")
        .body(body.clone())
        .expect("request");
    rig.send(request).await.expect("answer");
    let seen = server.seen().remove(0);
    assert!(seen.head.starts_with("POST /openai/v1/chat/completions?a=1&b=%20 HTTP/1.1\r\n"), "{}", seen.head);
    assert_eq!(seen.header("host"), server.url.strip_prefix("http://"));
    assert_eq!(seen.header("authorization"), Some("Bearer own-key"));
    assert_eq!(seen.header("x-unknown"), Some("Kept As Is"));
    assert_eq!(seen.header("content-length"), Some("200000"));
    for gone in ["connection", "x-hop", "expect"] {
        assert_eq!(seen.header(gone), None, "{gone}");
    }
    assert_eq!(seen.body, body);
}

#[tokio::test]
async fn the_answer_comes_back_as_it_was_but_for_this_hop() {
    let server = Server::start(|mut accepted| async move {
        accepted.request().await;
        accepted
            .write("HTTP/1.1 429 Too Many Requests\r\nretry-after: 3\r\nX-Odd: Kept\r\nkeep-alive: timeout=5\r\n")
            .await;
        accepted.write("connection: keep-alive\r\ncontent-length: 4\r\n\r\n\x00\x01\r\n").await;
    })
    .await;
    let rig = Rig::new(&server.url);
    let response = rig.send(post("/v1/chat/completions", "{}")).await.expect("answer").response;
    assert_eq!(response.status(), 429);
    let names: Vec<_> = response.headers().keys().map(http::HeaderName::as_str).collect();
    assert_eq!(names, ["retry-after", "x-odd", "content-length"]);
    assert_eq!(response.body().size_hint().exact(), Some(4));
    let mut body = response.into_body();
    assert_eq!(chunk(&mut body).await.expect("a chunk").expect("bytes"), b"\x00\x01\r\n"[..]);
    assert!(body.is_end_stream() && chunk(&mut body).await.is_none());
}

#[tokio::test]
async fn a_stream_arrives_chunk_by_chunk() {
    // The server writes the next chunk only when the last one has been read.
    let go_on = Arc::new(Notify::new());
    let server = Server::start({
        let go_on = go_on.clone();
        move |mut accepted| {
            let go_on = go_on.clone();
            async move {
                accepted.request().await;
                accepted.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
                for _ in 0..5 {
                    accepted.write("9\r\ndata: x\n\n\r\n").await;
                    go_on.notified().await;
                }
                accepted.write("0\r\n\r\n").await;
                accepted.closed().await;
            }
        }
    })
    .await;
    let rig = Rig::new(&server.url);
    let mut body = rig.send(post("/v1/chat/completions", "{}")).await.expect("answer").response.into_body();
    for _ in 0..5 {
        assert_eq!(rig.provider.in_flight(), 1);
        assert_eq!(chunk(&mut body).await.expect("a chunk").expect("bytes"), "data: x\n\n");
        go_on.notify_one();
    }
    assert!(chunk(&mut body).await.is_none());
    assert_eq!((rig.provider.in_flight(), rig.idle()), (0, 1));
}

/// A server that streams without end and says when the other side has closed.
async fn endless() -> (Server, Arc<Notify>) {
    let closed = Arc::new(Notify::new());
    let server = Server::start({
        let closed = closed.clone();
        move |mut accepted| {
            let closed = closed.clone();
            async move {
                accepted.request().await;
                accepted.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n").await;
                accepted.closed().await;
                closed.notify_one();
            }
        }
    })
    .await;
    (server, closed)
}

#[tokio::test]
async fn dropping_an_unfinished_answer_closes_the_connection() {
    let (server, closed) = endless().await;
    let rig = Rig::new(&server.url);
    let mut body = rig.send(post("/v1/chat/completions", "{}")).await.expect("answer").response.into_body();
    chunk(&mut body).await.expect("a chunk").expect("bytes");
    assert_eq!(rig.provider.in_flight(), 1);
    drop(body);
    assert_eq!((rig.provider.in_flight(), rig.idle()), (0, 0));
    closed.notified().await;
}

#[tokio::test]
async fn giving_up_before_the_answer_closes_the_connection() {
    let closed = Arc::new(Notify::new());
    let server = Server::start({
        let closed = closed.clone();
        move |mut accepted| {
            let closed = closed.clone();
            async move {
                accepted.request().await;
                accepted.closed().await;
                closed.notify_one();
            }
        }
    })
    .await;
    let rig = Rig::new(&server.url);
    {
        let mut waiting = std::pin::pin!(rig.send(post("/v1/chat/completions", "{}")));
        tokio::select! {
            _ = &mut waiting => panic!("nothing answers"),
            () = until("the request has arrived", || !server.seen().is_empty()) => {}
        }
        assert_eq!(rig.provider.in_flight(), 1);
    }
    assert_eq!(rig.provider.in_flight(), 0);
    closed.notified().await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error_and_not_an_end() {
    let server = Server::start(|mut accepted| async move {
        accepted.request().await;
        accepted.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nok").await;
    })
    .await;
    let rig = Rig::new(&server.url);
    let error = rig.fetch().await.expect_err("broken off");
    assert!(matches!(error, UpstreamError::Body { .. }) && !error.is_before_first_byte(), "{error}");
    assert_eq!((error.provider(), rig.provider.in_flight(), rig.idle()), ("local", 0, 0));
}

#[tokio::test]
async fn a_large_answer_waits_for_its_reader() {
    const SIZE: usize = 8 << 20;
    let server = Server::start(|mut accepted| async move {
        accepted.request().await;
        accepted.answer(&"x".repeat(SIZE)).await;
    })
    .await;
    let rig = Rig::new(&server.url);
    let (_, body) = rig.fetch().await.expect("answer");
    assert!(body.len() == SIZE && body.iter().all(|byte| *byte == b'x'));
}

#[tokio::test]
async fn an_early_answer_to_a_large_request_is_passed_on() {
    let server = Server::start(|mut accepted| async move {
        accepted.write("HTTP/1.1 413 Payload Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
        accepted.closed().await;
    })
    .await;
    let rig = Rig::new(&server.url);
    let request = http::Request::post("/v1/embeddings").body(Bytes::from(vec![b'x'; 4 << 20])).expect("request");
    let sent = rig.send(request).await;
    // The answer may come before the request has begun; then it counts as something nobody asked for.
    match sent {
        Ok(sent) => assert_eq!(sent.response.status(), 413),
        Err(error) => assert!(error.is_before_first_byte(), "{error}"),
    }
}
