//! A server whose every byte the test decides.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A server on a port of its own.
pub(crate) struct Server {
    pub(crate) url: String,
    connections: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let prefix = format!("{name}: ");
        self.head.lines().find_map(|line| line.strip_prefix(&prefix))
    }
}

/// One accepted connection.
pub(crate) struct Accepted {
    stream: TcpStream,
    /// 0 for the first connection.
    pub(crate) number: usize,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Accepted {
    /// The next request; `None` when the other side has closed.
    pub(crate) async fn request(&mut self) -> Option<Seen> {
        let mut bytes = Vec::new();
        let split = loop {
            if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            self.read(&mut bytes).await?;
        };
        let head = String::from_utf8(bytes[..split].to_vec()).expect("ascii head");
        let mut seen = Seen { head, body: bytes.split_off(split + 4) };
        let length = seen.header("content-length").map_or(0, |length| length.parse().expect("length"));
        while seen.body.len() < length {
            self.read(&mut seen.body).await?;
        }
        self.seen.lock().expect("seen").push(seen.clone());
        Some(seen)
    }

    async fn read(&mut self, bytes: &mut Vec<u8>) -> Option<()> {
        let count = self.stream.read_buf(bytes).await.ok()?;
        (count > 0).then_some(())
    }

    pub(crate) async fn write(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.expect("write");
    }

    /// Answers with a body of known length.
    pub(crate) async fn answer(&mut self, body: &str) {
        self.write(&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())).await;
    }

    /// Resolves when the other side has closed.
    pub(crate) async fn closed(&mut self) {
        while !matches!(self.stream.read(&mut [0; 1024]).await, Ok(0) | Err(_)) {}
    }
}

impl Server {
    /// Serves every connection with `serve`.
    pub(crate) async fn start<F>(serve: impl Fn(Accepted) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let url = format!("http://{}", listener.local_addr().expect("address"));
        let (connections, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let server = Self { url, connections: connections.clone(), seen: seen.clone() };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(Accepted { stream, number, seen: seen.clone() }));
            }
        });
        server
    }

    /// Answers every request with `ok`, on connections that stay open.
    pub(crate) async fn obliging() -> Self {
        Self::start(|mut accepted| async move {
            while accepted.request().await.is_some() {
                accepted.answer("ok").await;
            }
        })
        .await
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("seen").clone()
    }
}
