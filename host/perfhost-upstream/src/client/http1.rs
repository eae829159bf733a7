//! One HTTP/1.1 connection, driven by whoever waits for it rather than by a task of its own.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::Outgoing;
use super::stream::Stream;

/// Bytes that a connection buffers of an answer that its reader does not take, and the largest response head.
const BUFFER_BYTES: usize = 256 << 10;

/// One connection.
pub(crate) struct Http1 {
    sender: SendRequest<Outgoing>,
    /// `None` once the connection has come to its end.
    driver: Option<http1::Connection<TokioIo<Stream>, Outgoing>>,
}

impl Http1 {
    pub(crate) async fn handshake(stream: Stream) -> Result<Self, hyper::Error> {
        let (sender, driver) = http1::Builder::new().max_buf_size(BUFFER_BYTES).handshake(TokioIo::new(stream)).await?;
        Ok(Self { sender, driver: Some(driver) })
    }

    /// Sends a request and waits for the head of its answer. The second value is when the request was handed to the
    /// system, or as much of it as the system would take.
    pub(crate) async fn exchange(
        &mut self,
        request: Request<Outgoing>,
    ) -> Result<(Response<Incoming>, Instant), hyper::Error> {
        let mut answer = pin!(self.sender.send_request(request));
        let mut sent_at = None;
        let head = poll_fn(|cx| {
            drive(&mut self.driver, cx);
            sent_at.get_or_insert_with(Instant::now);
            // Only driving makes progress, so nothing else need wake for the answer.
            answer.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        })
        .await?;
        Ok((head, sent_at.unwrap_or_else(Instant::now)))
    }

    /// The next frame of the answer's body.
    pub(crate) fn poll_frame(
        &mut self,
        incoming: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        // As above: frames come from driving the connection alone.
        let mut asleep = Context::from_waker(Waker::noop());
        match Pin::new(&mut *incoming).poll_frame(&mut asleep) {
            Poll::Pending => {
                drive(&mut self.driver, cx);
                Pin::new(incoming).poll_frame(&mut asleep)
            }
            ready => ready,
        }
    }

    /// The last answer has been read to its end and the other side has not closed, as far as is known. Asks the system
    /// only when it has reported something new.
    pub(crate) fn is_idle(&mut self) -> bool {
        drive(&mut self.driver, &mut Context::from_waker(Waker::noop()));
        self.driver.is_some() && self.sender.is_ready()
    }
}

fn drive(driver: &mut Option<http1::Connection<TokioIo<Stream>, Outgoing>>, cx: &mut Context<'_>) {
    // An error reaches the answer or its body by itself.
    if driver.as_mut().is_some_and(|driver| Pin::new(driver).poll(cx).is_ready()) {
        *driver = None;
    }
}
