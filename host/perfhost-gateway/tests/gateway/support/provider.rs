//! A provider that does what a test says, byte by byte.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::Gate;

/// A provider on a free port.
pub(crate) struct FakeProvider {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    calls: AtomicUsize,
    /// Connections that the host closed while an answer was under way.
    cancelled: AtomicUsize,
    heads: Mutex<Vec<String>>,
    bodies: Mutex<Vec<Vec<u8>>>,
}

/// One request, and the connection to answer it on.
pub(crate) struct Call {
    /// Counts from 0.
    pub(crate) number: usize,
    stream: TcpStream,
    state: Arc<State>,
}

type Script = Arc<dyn Fn(Call) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

impl FakeProvider {
    /// Answers every request as `script` says. One request a connection.
    pub(crate) async fn start<F, R>(script: F) -> Self
    where
        F: Fn(Call) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let script: Script = Arc::new(move |call| Box::pin(script(call)));
        let serving = state.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, state) = (script.clone(), serving.clone());
                tokio::spawn(async move {
                    if let Some(call) = Call::read(stream, state).await {
                        script(call).await;
                    }
                });
            }
        });
        Self { address, state }
    }

    /// The same, with a gate for the script to wait at.
    pub(crate) async fn gated<F, R>(script: F) -> (Self, Gate)
    where
        F: Fn(Call, Gate) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let gate = Gate::closed();
        let of_each = gate.clone();
        (Self::start(move |call| script(call, of_each.clone())).await, gate)
    }

    /// Answers every request with this JSON, each when the gate lets it through.
    pub(crate) async fn answering_gated(body: &str) -> (Self, Gate) {
        let body = body.to_owned();
        Self::gated(move |mut call, gate| {
            let body = body.clone();
            async move {
                gate.pass().await;
                call.json(200, &body).await;
            }
        })
        .await
    }

    /// Streams the beginning, and the end when the gate lets it through.
    pub(crate) async fn streaming_gated(beginning: &str, end: &str) -> (Self, Gate) {
        let (beginning, end) = (beginning.to_owned(), end.to_owned());
        Self::gated(move |mut call, gate| {
            let (beginning, end) = (beginning.clone(), end.clone());
            async move {
                call.begin_stream().await;
                call.chunk(&beginning).await;
                gate.pass().await;
                call.chunk(&end).await;
                call.end_stream().await;
            }
        })
        .await
    }

    /// Answers every request with this JSON.
    pub(crate) async fn answering(body: &str) -> Self {
        let body = body.to_owned();
        Self::start(move |mut call| {
            let body = body.clone();
            async move { call.json(200, &body).await }
        })
        .await
    }

    /// A port that nobody listens on.
    pub(crate) fn nobody() -> SocketAddr {
        std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    pub(crate) fn calls(&self) -> usize {
        self.state.calls.load(Ordering::SeqCst)
    }

    pub(crate) fn cancelled(&self) -> usize {
        self.state.cancelled.load(Ordering::SeqCst)
    }

    /// Head of the request with this number.
    pub(crate) fn head(&self, number: usize) -> String {
        self.state.heads.lock().unwrap()[number].clone()
    }

    pub(crate) fn body(&self, number: usize) -> Vec<u8> {
        self.state.bodies.lock().unwrap()[number].clone()
    }
}

impl Call {
    async fn read(mut stream: TcpStream, state: Arc<State>) -> Option<Self> {
        let mut read = Vec::new();
        let end = loop {
            if let Some(at) = read.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut read).await.ok()? == 0 {
                return None;
            }
        };
        let head = String::from_utf8(read[..end].to_vec()).unwrap();
        let length = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(0, |(_, value)| value.trim().parse().unwrap());
        let mut body = read.split_off(end);
        while body.len() < length {
            if stream.read_buf(&mut body).await.ok()? == 0 {
                return None;
            }
        }
        state.heads.lock().unwrap().push(head);
        state.bodies.lock().unwrap().push(body);
        let number = state.calls.fetch_add(1, Ordering::SeqCst);
        Some(Self { number, stream, state })
    }

    /// A whole JSON answer.
    pub(crate) async fn json(&mut self, status: u16, body: &str) {
        let length = body.len();
        self.raw(&format!(
            "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
        .await;
    }

    /// The head of an event stream.
    pub(crate) async fn begin_stream(&mut self) {
        self.raw("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n").await;
    }

    /// One chunk of a stream.
    pub(crate) async fn chunk(&mut self, text: &str) {
        self.raw(&format!("{:x}\r\n{text}\r\n", text.len())).await;
    }

    pub(crate) async fn end_stream(&mut self) {
        self.raw("0\r\n\r\n").await;
    }

    /// These bytes as they are.
    pub(crate) async fn raw(&mut self, bytes: &str) {
        let _ = self.stream.write_all(bytes.as_bytes()).await;
    }

    /// Waits until the host closes the connection, and counts it.
    pub(crate) async fn wait_for_cancel(&mut self) {
        let mut rest = [0; 64];
        while !matches!(self.stream.read(&mut rest).await, Ok(0) | Err(_)) {}
        self.state.cancelled.fetch_add(1, Ordering::SeqCst);
    }
}
