//! One worker's connections to all providers. Not shared between threads, so nothing here locks.
//!
//! Over HTTP/1.1 a connection is driven by whoever uses it: the future that waits for an answer, then the body that
//! streams it. There is no task per connection, thus no hand-over between tasks on the way, and dropping an unfinished
//! answer closes the connection in that moment, which is how an upstream learns that nobody waits any more. Over HTTP/2
//! (https only, agreed by ALPN) one connection per endpoint is shared and driven by a task; dropping an unfinished
//! answer resets its stream.
//!
//! Header names reach providers in lower case and in about the order in which they came; values are untouched.

mod body;
mod connect;
mod headers;
mod http1;
mod http2;
mod outbound;
mod pool;
mod stream;
mod tls;

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use perfhost_strategy::settings::ProviderSettings;
use rustls::ClientConfig;
use tokio::time::Instant;

use crate::endpoint::{Endpoint, Scheme};
use crate::error::UpstreamError;
use crate::provider::Provider;
use body::Hold;
use http2::Http2;
use outbound::Outbound;
use pool::{Connection, Pools, Share};

pub use body::UpstreamBody;
pub use connect::CONNECT_TIMEOUT;
pub(crate) use connect::dial;
pub(crate) use headers::authorize;
pub use headers::strip_hop_by_hop;
pub(crate) use http1::Http1;
pub use tls::tls_config;
pub(crate) use tls::{with_roots, without_http2};

/// What requests carry upstream: whole bodies.
pub(crate) type Outgoing = Full<Bytes>;

/// One worker's connections.
pub struct Client {
    pools: Rc<Pools>,
    tls: Arc<ClientConfig>,
    workers: usize,
}

/// An answer that has begun, and how long its first phases took.
#[derive(Debug)]
pub struct Sent {
    /// Head and body; hop-by-hop headers are gone.
    pub response: Response<UpstreamBody>,
    /// Until there was a connection: next to nothing when one was idle.
    pub connect_ns: u64,
    /// From there until the request was handed to the system (HTTP/1.1) or the connection's task (HTTP/2).
    pub send_ns: u64,
    /// The connection had served a request before.
    pub is_reused: bool,
}

impl Client {
    /// A client without connections, the only one in the process.
    pub fn new(tls: Arc<ClientConfig>) -> Self {
        Self { pools: Rc::new(Pools::default()), tls, workers: 1 }
    }

    /// One of `workers` clients: the `pool_size` knob counts for all together, and this one keeps its share of idle
    /// connections, at least one.
    pub fn with_workers(mut self, workers: usize) -> Self {
        self.workers = workers.max(1);
        self
    }

    /// Sends a request and waits for the head of the answer. No time limit applies but [`CONNECT_TIMEOUT`]; drop the
    /// future to give up, which closes the connection.
    ///
    /// The request has the path and query that the client sent, and its headers. Set or replaced here: `host`,
    /// `content-length`, and where the provider has a key, what authorizes; hop-by-hop headers are removed. An idle
    /// connection that turns out closed before any answer is replaced by a new one, once.
    ///
    /// # Errors
    /// [`UpstreamError`]; a status that says failure is not an error here.
    pub async fn send(
        &self,
        provider: &Arc<Provider>,
        settings: &ProviderSettings,
        request: Request<Bytes>,
    ) -> Result<Sent, UpstreamError> {
        let in_flight = provider.begin();
        let (endpoint, place) = provider.enter().await?;
        let started = Instant::now();
        let outbound = Outbound::new(provider, &endpoint, request)?;
        let hold = Hold { in_flight, _place: place, endpoint, pools: self.pools.clone(), share: self.share(settings) };

        if let Some(connection) = self.pools.take(&hold.endpoint, hold.share, started) {
            let connected = Instant::now();
            match exchange(connection, outbound.clone(), &hold).await {
                Ok(answer) => return Ok(answer.into_sent(hold, started, connected, true)),
                Err(broken) if !broken.is_connection_gone => return Err(failed(provider, broken.error)),
                Err(Broken { error, .. }) => {
                    tracing::debug!(provider = provider.name(), %error, "idle connection was closed; sending again");
                }
            }
        }
        // Boxed: rare, and much larger than the path above.
        Box::pin(self.send_anew(provider, hold, outbound, started)).await
    }

    /// Opens up to `count` connections and leaves them idle; fewer when the pool holds that many already or its share
    /// is smaller. Returns how many are idle.
    ///
    /// # Errors
    /// [`UpstreamError`] of the first connection that fails.
    pub async fn warm(
        &self,
        provider: &Arc<Provider>,
        settings: &ProviderSettings,
        count: usize,
    ) -> Result<usize, UpstreamError> {
        let endpoint = provider.endpoint();
        let share = self.share(settings);
        let wanted = count.min(share.size);
        // Counted, not repeated until enough are idle: the other side may close each one at once.
        for _ in self.pools.idle(endpoint.id)..wanted {
            match self.open(provider, &endpoint, share).await? {
                Connection::Http1(connection) => {
                    self.pools.put(&endpoint, provider, share, connection);
                }
                Connection::Http2(_) => return Ok(1),
            }
        }
        Ok(self.pools.idle(endpoint.id))
    }

    /// Drops connections that have been idle too long, that were closed by the other side, or whose endpoint or
    /// provider was replaced. Call it about once a second; sending looks only at the connections it meets.
    pub fn trim(&self) {
        self.pools.trim();
    }

    /// How many connections to a provider are idle.
    pub fn idle(&self, provider: &Provider) -> usize {
        self.pools.idle(provider.endpoint_id())
    }

    fn share(&self, settings: &ProviderSettings) -> Share {
        let size = settings.pool_size.div_ceil(self.workers);
        Share { size, expiry: settings.pool_idle }
    }

    async fn send_anew(
        &self,
        provider: &Arc<Provider>,
        mut hold: Hold,
        outbound: Outbound,
        started: Instant,
    ) -> Result<Sent, UpstreamError> {
        // An engine that was replaced meanwhile takes its old connections with it; its successor can still answer.
        let present = provider.endpoint();
        if present.base_path == hold.endpoint.base_path {
            hold.endpoint = present;
        }
        let connection = self.open(provider, &hold.endpoint, hold.share).await?;
        let connected = Instant::now();
        match exchange(connection, outbound, &hold).await {
            Ok(answer) => Ok(answer.into_sent(hold, started, connected, false)),
            Err(broken) => Err(failed(provider, broken.error)),
        }
    }

    /// A new connection, or over HTTP/2 the one that came about meanwhile. The time limit holds for waiting and opening
    /// together: those who wait behind one that gets no connection end with it, not one after another.
    async fn open(
        &self,
        provider: &Arc<Provider>,
        endpoint: &Arc<Endpoint>,
        share: Share,
    ) -> Result<Connection, UpstreamError> {
        let opened = tokio::time::timeout(CONNECT_TIMEOUT, self.open_in_turn(provider, endpoint, share)).await;
        opened
            .unwrap_or_else(|_| {
                let provider = provider.shared_name();
                Err(UpstreamError::Timeout { provider, phase: "connect", after: CONNECT_TIMEOUT })
            })
            .inspect_err(|_| {
                if provider.endpoint_id() == endpoint.id {
                    provider.note_unreachable();
                }
            })
    }

    async fn open_in_turn(
        &self,
        provider: &Arc<Provider>,
        endpoint: &Arc<Endpoint>,
        share: Share,
    ) -> Result<Connection, UpstreamError> {
        // Over HTTP/2 a burst of first requests needs one connection, not one each: the first opens it, others wait.
        let gate = match endpoint.scheme {
            Scheme::Http => None,
            Scheme::Https => self.pools.gate(endpoint, provider),
        };
        let mut turn = match &gate {
            Some(gate) => Some(gate.lock().await),
            None => None,
        };
        if let Some(shared) = self.pools.http2(endpoint.id) {
            return Ok(Connection::Http2(shared));
        }
        if turn.is_some() && self.pools.gate(endpoint, provider).is_none() {
            // The one before found out that it is HTTP/1.1: from here on everyone opens one at the same time.
            turn = None;
        }
        let opened = self.open_anew(provider, endpoint, share).await;
        drop(turn);
        opened
    }

    async fn open_anew(
        &self,
        provider: &Arc<Provider>,
        endpoint: &Arc<Endpoint>,
        share: Share,
    ) -> Result<Connection, UpstreamError> {
        let stream = dial(provider.name(), endpoint, &self.tls).await?;
        let failed = |source| UpstreamError::Handshake { provider: provider.shared_name(), source };
        if stream.is_http2() {
            let shared = Http2::handshake(stream).await.map_err(failed)?;
            self.pools.share_http2(endpoint, provider, share, shared.clone());
            Ok(Connection::Http2(shared))
        } else {
            self.pools.note_http1(endpoint, provider);
            Ok(Connection::Http1(Box::new(Http1::handshake(stream).await.map_err(failed)?)))
        }
    }
}

/// The head of an answer and what its body comes from.
struct Answer {
    head: Response<hyper::body::Incoming>,
    connection: Connection,
    sent_at: Instant,
}

impl Answer {
    fn into_sent(self, hold: Hold, started: Instant, connected: Instant, is_reused: bool) -> Sent {
        let (mut head, incoming) = self.head.into_parts();
        // Accepting a connection is not enough: an engine that still loads its model does that and answers 503.
        if !head.status.is_server_error() {
            hold.in_flight.provider.note_reachable();
        }
        strip_hop_by_hop(&mut head.headers);
        let body = UpstreamBody::new(incoming, self.connection, hold);
        Sent {
            response: Response::from_parts(head, body),
            connect_ns: (connected - started).as_nanos() as u64,
            send_ns: (self.sent_at - connected).as_nanos() as u64,
            is_reused,
        }
    }
}

/// Why no answer came, and whether the connection is what failed rather than the request.
struct Broken {
    error: hyper::Error,
    is_connection_gone: bool,
}

async fn exchange(connection: Connection, outbound: Outbound, hold: &Hold) -> Result<Answer, Broken> {
    match connection {
        Connection::Http1(mut connection) => {
            match connection.exchange(outbound.into_origin_form(&hold.endpoint)).await {
                Ok((head, sent_at)) => Ok(Answer { head, connection: Connection::Http1(connection), sent_at }),
                // What came was not HTTP: something did come, so it must not be asked for twice.
                Err(error) => Err(Broken { is_connection_gone: !error.is_parse(), error }),
            }
        }
        Connection::Http2(mut shared) => match shared.exchange(outbound.into_absolute_form(&hold.endpoint)).await {
            Ok((head, sent_at)) => Ok(Answer { head, connection: Connection::Http2(shared), sent_at }),
            Err(error) => Err(Broken { is_connection_gone: !shared.is_open(), error }),
        },
    }
}

fn failed(provider: &Arc<Provider>, source: hyper::Error) -> UpstreamError {
    let provider = provider.shared_name();
    // The HTTP library calls a request canceled when it never began to write it.
    if source.is_canceled() || source.is_user() {
        UpstreamError::Send { provider, source }
    } else {
        UpstreamError::FirstByte { provider, source }
    }
}
