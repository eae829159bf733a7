//! Draining: no new work, streams under way run to their end, then everything stops.

use std::time::Duration;

use perfhost_gateway::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Call, Client, FakeProvider, Host, chat_end, chat_event, eventually};

const ASK_STREAM: &str = r#"{"model":"m","stream":true,"messages":[]}"#;

#[tokio::test]
async fn a_stream_under_way_runs_to_its_end() {
    let (provider, gate) = FakeProvider::streaming_gated(&chat_event("one"), chat_end()).await;
    let host = Host::before(provider.address).start();
    let Client(address) = host.client();
    // A connection that is kept alive and idle.
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(format!("GET /health HTTP/1.1\r\nhost: {address}\r\n\r\n").as_bytes()).await.unwrap();
    assert_ne!(idle.read(&mut [0; 4096]).await.unwrap(), 0);

    let mut stream = host.client().begin_chat(ASK_STREAM).await;
    stream.next().await.unwrap().unwrap();
    host.drain();
    // The idle one is closed, the stream is not, new ones are not taken.
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
    eventually("new connections are refused", || std::net::TcpStream::connect(address).is_err()).await;
    assert!(!host.has_ended());
    gate.open_for(1);
    assert_eq!(stream.whole().await.unwrap().text(), chat_end());
    eventually("the host ends", || host.has_ended()).await;
}

#[tokio::test]
async fn what_outlasts_the_drain_is_cut_off() {
    let provider = FakeProvider::start(|mut call: Call| async move {
        call.begin_stream().await;
        call.chunk(&chat_event("one")).await;
        call.wait_for_cancel().await;
    })
    .await;
    let limits = Limits { drain: Duration::from_millis(50), ..Limits::default() };
    let host = Host::before(provider.address).limits(limits).start();
    let mut stream = host.client().begin_chat(ASK_STREAM).await;
    stream.next().await.unwrap().unwrap();
    host.drain();
    assert!(stream.next().await.unwrap().is_err());
    eventually("the host ends", || host.has_ended()).await;
    eventually("the provider sees the cancel", || provider.cancelled() == 1).await;
}
