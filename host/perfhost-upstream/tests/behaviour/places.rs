//! How many requests an engine is sent at once, and what becomes of those that wait when it is replaced or ends.

use futures_util::FutureExt;
use perfhost_upstream::{Endpoint, Health, UpstreamError};

use crate::server::Server;
use crate::{Rig, post, until};

/// A provider at an engine with one slot, which keeps all requests waiting; and the engine.
async fn busy_engine() -> (Rig, Server) {
    let engine = Server::start(|mut accepted| async move {
        accepted.request().await;
        std::future::pending::<()>().await;
    })
    .await;
    let rig = Rig::new("http://127.0.0.1:1");
    rig.provider.set_endpoint(at(&engine).with_slots(1));
    (rig, engine)
}

fn at(server: &Server) -> Endpoint {
    Endpoint::parse(&server.url).expect("endpoint")
}

#[tokio::test]
async fn what_an_engine_cannot_begin_with_goes_to_the_one_that_replaces_it() {
    let (rig, old) = busy_engine().await;
    let new = Server::obliging().await;
    let mut there = Box::pin(async { tokio::join!(rig.fetch(), rig.fetch()) });
    let mut third = Box::pin(rig.fetch());
    tokio::select! {
        _ = &mut there => panic!("the engine answers nothing"),
        () = until("two are at the engine", || old.connections() == 2) => {}
    }
    assert!(third.as_mut().now_or_never().is_none());
    assert_eq!((rig.provider.in_flight(), old.connections()), (3, 2));
    let replaced = rig.provider.set_endpoint(at(&new).with_slots(1));
    assert_eq!(third.await.expect("from the new one").1, b"ok".to_vec());
    assert_eq!((old.connections(), new.connections()), (2, 1));
    drop(there);
    assert_eq!((std::sync::Arc::strong_count(&replaced), rig.provider.in_flight()), (1, 0));
}

#[tokio::test]
async fn who_waits_for_an_engine_that_ends_is_told_at_once() {
    let (rig, engine) = busy_engine().await;
    let mut there = Box::pin(async { tokio::join!(rig.fetch(), rig.fetch()) });
    let third = rig.send(post("/v1/completions", "{}"));
    let mut third = Box::pin(third);
    tokio::select! {
        _ = &mut there => panic!("the engine answers nothing"),
        () = until("two are at the engine", || engine.connections() == 2) => {}
    }
    assert!(third.as_mut().now_or_never().is_none());
    rig.provider.set_health(Health::Down);
    let error = third.await.expect_err("nobody answers");
    assert!(matches!(error, UpstreamError::Ended { .. }) && error.is_connect(), "{error}");
    assert_eq!(error.to_string(), "provider local: connect: the engine has ended");
}
