//! The body of an answer, as it arrives; at its end the connection goes back to its pool.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::pool::{Connection, Pools, Share};
use crate::endpoint::Endpoint;
use crate::error::UpstreamError;
use crate::places::Place;
use crate::provider::InFlight;

/// What a request keeps for as long as it is under way.
pub(super) struct Hold {
    pub(super) in_flight: InFlight,
    pub(super) _place: Option<Place>,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) pools: Rc<Pools>,
    pub(super) share: Share,
}

/// An answer's body. Each frame is handed on as it came from the connection. Dropped before its end, it closes the
/// connection (HTTP/2: resets the stream) at once, so that the provider stops working for nobody. Until its end or drop
/// the request counts as in flight and its endpoint as in use.
pub struct UpstreamBody {
    incoming: Incoming,
    /// `None` after the end.
    rest: Option<Rest>,
}

struct Rest {
    connection: Connection,
    hold: Hold,
}

impl UpstreamBody {
    pub(super) fn new(incoming: Incoming, connection: Connection, hold: Hold) -> Self {
        let mut body = Self { incoming, rest: Some(Rest { connection, hold }) };
        // Whoever is told that nothing follows need not ask for it.
        if body.incoming.is_end_stream() {
            body.finish();
        }
        body
    }

    fn finish(&mut self) {
        let Some(Rest { connection, hold }) = self.rest.take() else { return };
        match connection {
            Connection::Http1(connection) => {
                hold.pools.put(&hold.endpoint, &hold.in_flight.provider, hold.share, connection);
            }
            Connection::Http2(shared) => shared.touch(),
        }
    }

    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.rest {
            None => Poll::Ready(None),
            Some(Rest { connection: Connection::Http1(connection), .. }) => {
                connection.poll_frame(&mut self.incoming, cx)
            }
            Some(Rest { connection: Connection::Http2(_), .. }) => Pin::new(&mut self.incoming).poll_frame(cx),
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = UpstreamError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let body = self.get_mut();
        match body.poll_incoming(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(frame))) => {
                if body.incoming.is_end_stream() {
                    body.finish();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(source))) => {
                let provider = body.rest.take().map(|rest| rest.hold.in_flight.provider.shared_name());
                let provider = provider.unwrap_or_default();
                Poll::Ready(Some(Err(UpstreamError::Body { provider, source })))
            }
            Poll::Ready(None) => {
                body.finish();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl fmt::Debug for UpstreamBody {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("UpstreamBody").field("incoming", &self.incoming).finish_non_exhaustive()
    }
}
