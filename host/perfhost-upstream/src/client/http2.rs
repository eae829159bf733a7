//! One HTTP/2 connection, shared by all requests of one worker to one endpoint and driven by a task.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::Instant;

use super::Outgoing;
use super::stream::Stream;

/// How often a connection with requests under way is pinged, so that a dead one is noticed.
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// How long a ping may go unanswered.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes that may be on their way to one stream unread, and to all of them.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// A handle on the connection; clones share it.
#[derive(Clone)]
pub(super) struct Http2 {
    sender: SendRequest<Outgoing>,
    /// When it was last used; as many owners as there are users, and the pool.
    used: Rc<Cell<Instant>>,
}

impl Http2 {
    pub(super) async fn handshake(stream: Stream) -> Result<Self, hyper::Error> {
        let (sender, driver) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .handshake(TokioIo::new(stream))
            .await?;
        // Ends by itself: when the other side closes, or when no handle and no stream is left.
        tokio::spawn(async move {
            if let Err(error) = driver.await {
                tracing::debug!(%error, "http/2 connection ended");
            }
        });
        Ok(Self { sender, used: Rc::new(Cell::new(Instant::now())) })
    }

    pub(super) async fn exchange(
        &mut self,
        request: Request<Outgoing>,
    ) -> Result<(Response<Incoming>, Instant), hyper::Error> {
        let answer = self.sender.send_request(request);
        let sent_at = Instant::now();
        Ok((answer.await?, sent_at))
    }

    pub(super) fn is_open(&self) -> bool {
        self.sender.is_ready()
    }

    /// Marks the connection as used just now.
    pub(super) fn touch(&self) {
        self.used.set(Instant::now());
    }

    /// No request is under way, and the last one ended longer ago than `expiry`. Asked of the pool's own handle.
    pub(super) fn is_expired(&self, now: Instant, expiry: Duration) -> bool {
        Rc::strong_count(&self.used) == 1 && now.saturating_duration_since(self.used.get()) >= expiry
    }
}
