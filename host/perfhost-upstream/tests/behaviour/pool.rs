//! Which connection a request goes out on.

use std::sync::Arc;
use std::time::Duration;

use perfhost_upstream::{Client, Endpoint, Health, UpstreamError, tls_config};
use tokio::sync::Notify;

use crate::server::Server;
use crate::{Rig, chunk, post, until};

#[tokio::test]
async fn two_requests_in_a_row_use_one_connection() {
    let server = Server::obliging().await;
    let rig = Rig::new(&server.url);
    assert_eq!(rig.fetch().await.expect("first"), (false, b"ok".to_vec()));
    assert_eq!(rig.idle(), 1);
    assert_eq!(rig.fetch().await.expect("second"), (true, b"ok".to_vec()));
    assert_eq!((server.connections(), server.seen().len()), (1, 2));
}

#[tokio::test]
async fn answers_without_a_body_and_in_chunks_give_their_connection_back_too() {
    let server = Server::start(|mut accepted| async move {
        for answer in [
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        ] {
            accepted.request().await;
            accepted.write(answer).await;
        }
        accepted.closed().await;
    })
    .await;
    let rig = Rig::new(&server.url);
    for (body, idle) in [("", 1), ("ok", 1), ("", 1), ("ok", 0)] {
        assert_eq!(rig.fetch().await.expect("answer").1, body.as_bytes());
        assert_eq!(rig.idle(), idle);
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn an_idle_connection_that_was_closed_is_replaced_without_a_failure() {
    let server = Server::start(|mut accepted| async move {
        accepted.request().await;
        accepted.answer("ok").await;
    })
    .await;
    let rig = Rig::new(&server.url);
    rig.fetch().await.expect("first");
    assert_eq!(rig.fetch().await.expect("second"), (false, b"ok".to_vec()));
    until("closed ones are trimmed", || {
        rig.client.trim();
        rig.idle() == 0
    })
    .await;
}

#[tokio::test]
async fn a_connection_closed_while_the_request_is_under_way_is_replaced_once() {
    // Every connection serves one request, reads another and closes without a word.
    let server = Server::start(|mut accepted| async move {
        accepted.request().await;
        if accepted.number != 2 {
            accepted.answer("ok").await;
            accepted.request().await;
        }
    })
    .await;
    let rig = Rig::new(&server.url);
    rig.fetch().await.expect("first");
    assert_eq!(rig.fetch().await.expect("sent again"), (false, b"ok".to_vec()));
    assert_eq!(server.connections(), 2);
    // The third connection closes as well: a new connection is not replaced by yet another.
    let error = rig.fetch().await.expect_err("twice closed");
    assert!(matches!(error, UpstreamError::FirstByte { .. }) && error.is_before_first_byte(), "{error}");
    assert_eq!((server.connections(), server.seen().len(), rig.provider.in_flight()), (3, 5, 0));
}

#[tokio::test]
async fn what_is_not_http_is_not_asked_for_again() {
    let server = Server::start(|mut accepted| async move {
        accepted.request().await;
        accepted.answer("ok").await;
        accepted.request().await;
        accepted.write("nonsense\r\n\r\n").await;
    })
    .await;
    let rig = Rig::new(&server.url);
    rig.fetch().await.expect("first");
    assert!(matches!(rig.fetch().await.expect_err("nonsense"), UpstreamError::FirstByte { .. }));
    assert_eq!(server.connections(), 1);
}

/// Has `count` requests under way at once, then ends them all.
async fn at_once(rig: &Rig, count: usize) {
    let mut bodies = Vec::new();
    for _ in 0..count {
        bodies.push(rig.send(post("/v1/completions", "{}")).await.expect("answer").response.into_body());
    }
    for mut body in bodies {
        while let Some(chunk) = chunk(&mut body).await {
            chunk.expect("chunk");
        }
    }
}

async fn chunked() -> Server {
    Server::start(|mut accepted| async move {
        while accepted.request().await.is_some() {
            accepted.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n").await;
        }
    })
    .await
}

#[tokio::test]
async fn no_more_connections_are_kept_than_the_knob_allows() {
    let server = chunked().await;
    let mut rig = Rig::new(&server.url);
    rig.settings.pool_size = 3;
    at_once(&rig, 5).await;
    assert_eq!((server.connections(), rig.idle()), (5, 3));
    rig.settings.pool_size = 0;
    rig.fetch().await.expect("on an idle one");
    assert_eq!(rig.idle(), 2);
}

#[tokio::test]
async fn each_of_several_workers_keeps_its_share() {
    let server = chunked().await;
    let mut rig = Rig::new(&server.url);
    rig.client = Client::new(tls_config().expect("tls")).with_workers(4);
    rig.settings.pool_size = 6;
    at_once(&rig, 5).await;
    assert_eq!(rig.idle(), 2);
}

#[tokio::test]
async fn an_idle_connection_expires() {
    let server = Server::obliging().await;
    let rig = Rig::new(&server.url);
    rig.fetch().await.expect("first");
    tokio::time::pause();
    tokio::time::advance(rig.settings.pool_idle - Duration::from_millis(1)).await;
    rig.client.trim();
    assert_eq!(rig.idle(), 1);
    tokio::time::advance(Duration::from_millis(1)).await;
    rig.client.trim();
    assert_eq!(rig.idle(), 0, "trimmed");

    tokio::time::resume();
    rig.fetch().await.expect("second");
    tokio::time::pause();
    tokio::time::advance(rig.settings.pool_idle).await;
    tokio::time::resume();
    assert_eq!(rig.fetch().await.expect("third"), (false, b"ok".to_vec()), "not used after its time");
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn warming_opens_connections_ahead() {
    let server = Server::obliging().await;
    let rig = Rig::new(&server.url);
    assert_eq!(rig.client.warm(&rig.provider, &rig.settings, 3).await.expect("warm"), 3);
    assert_eq!(rig.client.warm(&rig.provider, &rig.settings, 2).await.expect("warm"), 3);
    assert!(rig.fetch().await.expect("answer").0);
    until("three were accepted", || server.connections() == 3).await;
}

#[tokio::test]
async fn a_replaced_endpoint_is_drained_when_its_last_answer_has_ended() {
    let (old, new) = (chunked().await, Server::obliging().await);
    let rig = Rig::new(&old.url);
    rig.fetch().await.expect("idle connection to the old one");
    let mut body = rig.send(post("/v1/completions", "{}")).await.expect("answer").response.into_body();
    let replaced = rig.provider.set_endpoint(Endpoint::parse(&new.url).expect("endpoint"));
    assert_eq!(Arc::strong_count(&replaced), 2, "an answer is under way");
    rig.fetch().await.expect("from the new one");
    assert_eq!((old.connections(), new.connections()), (1, 1));
    while chunk(&mut body).await.is_some() {}
    assert_eq!(Arc::strong_count(&replaced), 1, "drained");
    assert_eq!(rig.idle(), 1, "only the new one's");
}

#[tokio::test]
async fn a_request_that_the_old_endpoint_drops_goes_to_the_new_one() {
    let (arrived, dropped) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let old = Server::start({
        let (arrived, dropped) = (arrived.clone(), dropped.clone());
        move |mut accepted| {
            let (arrived, dropped) = (arrived.clone(), dropped.clone());
            async move {
                accepted.request().await;
                accepted.answer("old").await;
                accepted.request().await;
                arrived.notify_one();
                dropped.notified().await;
            }
        }
    })
    .await;
    let new = Server::obliging().await;
    let rig = Rig::new(&old.url);
    rig.fetch().await.expect("from the old one");
    let replace = async {
        arrived.notified().await;
        rig.provider.set_endpoint(Endpoint::parse(&new.url).expect("endpoint"));
        dropped.notify_one();
    };
    let (answer, ()) = tokio::join!(rig.fetch(), replace);
    assert_eq!((answer.expect("from the new one").1, old.connections()), (b"ok".to_vec(), 1));
}

#[tokio::test]
async fn warming_ends_although_each_connection_is_closed_at_once() {
    let server = Server::start(|_| async {}).await;
    let rig = Rig::new(&server.url);
    rig.client.warm(&rig.provider, &rig.settings, 8).await.expect("warm");
    until("all were accepted", || server.connections() == 8).await;
}

#[tokio::test]
async fn idle_connections_to_a_replaced_endpoint_are_closed() {
    let server = Server::start(|mut accepted| async move {
        accepted.request().await;
        accepted.answer("ok").await;
        accepted.closed().await;
        accepted.request().await;
    })
    .await;
    let rig = Rig::new(&server.url);
    rig.fetch().await.expect("first");
    let replaced = rig.provider.set_endpoint(Endpoint::loopback(1).expect("endpoint"));
    assert_eq!(Arc::strong_count(&replaced), 1, "idle connections do not hold it");
    rig.client.trim();
    rig.provider.set_endpoint(Endpoint::parse(&server.url).expect("endpoint"));
    assert_eq!(rig.idle(), 0);
}

#[tokio::test]
async fn a_refused_connection_says_so_and_counts_against_health_at_once() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("bind").local_addr().expect("address");
    let rig = Rig::new(&format!("http://{closed}"));
    let error = rig.fetch().await.expect_err("refused");
    assert!(matches!(error, UpstreamError::Connect { .. }) && error.is_connect(), "{error}");
    assert!(error.to_string().starts_with(&format!("provider local: connect: http://{closed}")), "{error}");
    assert_eq!((rig.provider.health(), rig.provider.in_flight()), (Health::Degraded, 0));
    rig.fetch().await.expect_err("refused");
    assert_eq!(rig.provider.health(), Health::Down);

    let server = Server::obliging().await;
    rig.provider.set_endpoint(Endpoint::parse(&server.url).expect("endpoint"));
    rig.fetch().await.expect("answer");
    assert_eq!(rig.provider.health(), Health::Up);
    assert!(rig.fleet.provider("local").is_some());
}
