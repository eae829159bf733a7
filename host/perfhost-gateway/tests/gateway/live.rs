//! The live feed: the same events to everybody, as server-sent events and over a WebSocket.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use http::Method;
use perfhost_gateway::AccessPolicy;
use perfhost_strategy::KnobId;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::support::client::Streaming;
use crate::support::{Client, FakeProvider, Host, chat_answer, eventually};

const STREAM: &str = "/api/metrics/stream";
const ASK: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;

/// Reads server-sent events one by one.
struct Events {
    stream: Streaming,
    text: String,
    /// Where the end of an event may be.
    seen: usize,
}

impl Events {
    async fn of(host: &Host) -> Self {
        let stream = host.client().begin(Method::GET, STREAM, &[], "").await;
        assert_eq!(stream.status, 200);
        assert_eq!(stream.headers["content-type"], "text/event-stream");
        Self { stream, text: String::new(), seen: 0 }
    }

    /// The next event's name and data, past what is no event; `None` at the end.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            while let Some(end) = self.text[self.seen..].find("\n\n").map(|at| self.seen + at) {
                let rest = self.text.split_off(end + 2);
                let block = std::mem::replace(&mut self.text, rest);
                self.seen = 0;
                let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                if let (Some(name), Some(data)) = (field("event: "), field("data: ")) {
                    return Some((name, serde_json::from_str(&data).unwrap()));
                }
            }
            self.seen = self.text.len().saturating_sub(1);
            self.text += std::str::from_utf8(&self.stream.next().await?.unwrap()).unwrap();
        }
    }
}

async fn websocket(host: &Host, origin: Option<&str>) -> Result<WebSocketStream<TcpStream>, Error> {
    let Client(address) = host.client();
    let mut request = http::Request::builder()
        .uri(format!("ws://{address}/ws/metrics"))
        .header("host", address.to_string())
        .header("connection", "keep-alive, Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    if let Some(origin) = origin {
        request = request.header("origin", origin);
    }
    let stream = TcpStream::connect(address).await.unwrap();
    let (socket, _) = tokio_tungstenite::client_async(request.body(()).unwrap(), stream).await?;
    Ok(socket)
}

#[tokio::test]
async fn both_ways_tell_the_same_and_take_no_request_s_place() {
    let provider = FakeProvider::answering(&chat_answer("hi")).await;
    let host = Host::before(provider.address).knob(KnobId::ConcurrencyLimit, 1).start();
    let mut events = Events::of(&host).await;
    let mut socket = websocket(&host, None).await.unwrap();
    assert_eq!(host.client().chat(ASK).await.status, 200);
    eventually("the request is over", || host.in_flight() == 0).await;

    let Message::Text(text) = socket.next().await.unwrap().unwrap() else { panic!("not a text") };
    let told: Value = serde_json::from_str(&text).unwrap();
    let same = loop {
        let (name, event) = events.next().await.unwrap();
        assert_eq!(name, "metrics");
        if event["sequence"] == told["sequence"] {
            break event;
        }
    };
    assert_eq!(same, told);
    assert_eq!(told["status"]["requests"]["concurrency_limit"], 1);
    assert_eq!(told["resources"]["cpu"], 0.5);
    let (_, next) = events.next().await.unwrap();
    assert_eq!(next["sequence"].as_u64(), told["sequence"].as_u64().map(|number| number + 1));
}

#[tokio::test]
async fn measurements_of_the_host_and_of_providers_are_told() {
    let provider = FakeProvider::answering(&chat_answer("hi")).await;
    let host = Host::before(provider.address).start();
    let mut events = Events::of(&host).await;
    host.client().chat(ASK).await;
    let mut now_ms = 1_000_000;
    let scopes = loop {
        now_ms += 1_000;
        host.services.telemetry.tick(now_ms);
        let (_, event) = events.next().await.unwrap();
        let metrics = event["metrics"].as_array().unwrap();
        let times = metrics.iter().filter(|metric| metric["name"] == "response_time_ms");
        let scopes: Vec<_> = times.map(|metric| metric["scope"].as_str().unwrap().to_owned()).collect();
        if !scopes.is_empty() {
            assert!(event["outcomes"].as_array().unwrap().iter().any(|one| one["count"] == 1));
            break scopes;
        }
    };
    assert_eq!(scopes, ["", "local"]);
}

#[tokio::test]
async fn a_reader_that_takes_nothing_holds_up_neither_the_others_nor_the_end() {
    let host = Host::empty().start();
    // One event is more than the buffers of a connection hold.
    *host.control.bulk.lock().unwrap() = 16 << 20;
    let Client(address) = host.client();
    let mut stuck = TcpStream::connect(address).await.unwrap();
    stuck.write_all(format!("GET {STREAM} HTTP/1.1\r\nhost: {address}\r\n\r\n").as_bytes()).await.unwrap();
    let stuck_socket = websocket(&host, None).await.unwrap();

    let mut events = Events::of(&host).await;
    let first = events.next().await.unwrap().1["sequence"].as_u64().unwrap();
    let second = events.next().await.unwrap().1["sequence"].as_u64().unwrap();
    assert_eq!(second, first + 1);
    *host.control.bulk.lock().unwrap() = 0;

    let began = Instant::now();
    host.drain();
    while let Some((name, _)) = events.next().await {
        assert!(["metrics", "end"].contains(&name.as_str()), "{name}");
    }
    eventually("the host ends", || host.has_ended()).await;
    // Not after `Limits::drain`, which is half a minute.
    assert!(began.elapsed() < Duration::from_secs(20));
    drop((stuck, stuck_socket));
}

#[tokio::test]
async fn draining_ends_both_with_a_word() {
    let host = Host::empty().start();
    let mut events = Events::of(&host).await;
    let mut socket = websocket(&host, None).await.unwrap();
    assert_eq!(events.next().await.unwrap().0, "metrics");
    host.drain();
    let mut last = None;
    while let Some((name, _)) = events.next().await {
        last = Some(name);
    }
    assert_eq!(last.as_deref(), Some("end"));
    let mut closed = None;
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Close(frame) = message {
            closed = frame.map(|frame| frame.code);
        }
    }
    assert_eq!(closed, Some(CloseCode::Away));
    eventually("the host ends", || host.has_ended()).await;
}

#[tokio::test]
async fn only_the_host_s_own_pages_and_those_with_the_token_may_listen() {
    let host = Host::empty().start();
    let Client(address) = host.client();
    assert!(websocket(&host, Some(&format!("http://{address}"))).await.is_ok());
    let Err(Error::Http(refused)) = websocket(&host, Some("https://evil.example")).await else { panic!("not refused") };
    assert_eq!(refused.status(), 403);
    assert_eq!(host.client().get("/ws/metrics").await.status, 426);
    assert_eq!(host.client().get("/api/metrics/stream?every=1s").await.status, 400);

    let access = AccessPolicy { admin_token: Some("secret".to_owned()), ..AccessPolicy::default() };
    let host = Host::empty().access(access).start();
    assert_eq!(host.client().get(STREAM).await.status, 401);
    let stream = host.client().begin(Method::GET, STREAM, &[("authorization", "Bearer secret")], "").await;
    assert_eq!(stream.status, 200);
    let Err(Error::Http(refused)) = websocket(&host, None).await else { panic!("not refused") };
    assert_eq!(refused.status(), 401);
}
