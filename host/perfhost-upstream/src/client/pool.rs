//! One worker's idle connections, by endpoint: the one used last is used next, so that the others can expire.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::http1::Http1;
use super::http2::Http2;
use crate::endpoint::Endpoint;
use crate::provider::Provider;

/// What a request can be sent on.
pub(super) enum Connection {
    Http1(Box<Http1>),
    Http2(Http2),
}

/// This worker's part of a provider's pool knobs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    /// Idle connections kept at most.
    pub(super) size: usize,
    /// How long each is kept.
    pub(super) expiry: Duration,
}

/// Every endpoint's connections. Holds no endpoint and no provider, so that a replaced one is seen to be drained.
#[derive(Default)]
pub(super) struct Pools(RefCell<Vec<Pool>>);

struct Pool {
    endpoint_id: u64,
    provider: Weak<Provider>,
    expiry: Duration,
    /// Oldest first.
    idle: Vec<Idle>,
    http2: Option<Http2>,
    /// It answered without HTTP/2 before.
    is_http1: bool,
    /// Whoever opens a connection that may turn out to be HTTP/2 holds this meanwhile.
    gate: Rc<Mutex<()>>,
}

struct Idle {
    connection: Box<Http1>,
    since: Instant,
}

impl Pools {
    /// A connection to use now, if there is one that is still open as far as is known.
    pub(super) fn take(&self, endpoint: &Endpoint, share: Share, now: Instant) -> Option<Connection> {
        let mut pools = self.0.borrow_mut();
        let pool = pools.iter_mut().find(|pool| pool.endpoint_id == endpoint.id)?;
        pool.expiry = share.expiry;
        if let Some(shared) = &pool.http2 {
            if shared.is_open() {
                return Some(Connection::Http2(shared.clone()));
            }
            pool.http2 = None;
        }
        while let Some(mut idle) = pool.idle.pop() {
            if now.saturating_duration_since(idle.since) >= share.expiry {
                // The others have been idle for longer still.
                pool.idle.clear();
            } else if idle.connection.is_idle() {
                return Some(Connection::Http1(idle.connection));
            }
        }
        None
    }

    /// Keeps a connection that has served its request, unless its endpoint was replaced or the share is used up.
    pub(super) fn put(&self, endpoint: &Endpoint, provider: &Arc<Provider>, share: Share, mut connection: Box<Http1>) {
        if provider.endpoint_id() != endpoint.id || !connection.is_idle() {
            return;
        }
        self.with(endpoint, provider, |pool| {
            pool.expiry = share.expiry;
            if pool.idle.len() < share.size {
                pool.idle.push(Idle { connection, since: Instant::now() });
            }
        });
    }

    /// How many HTTP/1.1 connections to an endpoint are idle; 1 where HTTP/2 is shared.
    pub(super) fn idle(&self, endpoint_id: u64) -> usize {
        let pools = self.0.borrow();
        pools
            .iter()
            .find(|pool| pool.endpoint_id == endpoint_id)
            .map_or(0, |pool| pool.idle.len() + usize::from(pool.http2.is_some()))
    }

    /// The shared HTTP/2 connection, while it is open.
    pub(super) fn http2(&self, endpoint_id: u64) -> Option<Http2> {
        let pools = self.0.borrow();
        let pool = pools.iter().find(|pool| pool.endpoint_id == endpoint_id)?;
        pool.http2.clone().filter(Http2::is_open)
    }

    /// Shares a new HTTP/2 connection.
    pub(super) fn share_http2(&self, endpoint: &Endpoint, provider: &Arc<Provider>, share: Share, shared: Http2) {
        if provider.endpoint_id() == endpoint.id {
            self.with(endpoint, provider, |pool| {
                pool.expiry = share.expiry;
                pool.http2 = Some(shared);
            });
        }
    }

    /// Remembers that an endpoint does not speak HTTP/2, so that its connections can be opened side by side.
    pub(super) fn note_http1(&self, endpoint: &Endpoint, provider: &Arc<Provider>) {
        self.with(endpoint, provider, |pool| pool.is_http1 = true);
    }

    /// What to hold while opening a connection that may turn out to be HTTP/2; `None` where it cannot.
    pub(super) fn gate(&self, endpoint: &Endpoint, provider: &Arc<Provider>) -> Option<Rc<Mutex<()>>> {
        self.with(endpoint, provider, |pool| (!pool.is_http1).then(|| pool.gate.clone()))
    }

    /// Drops what is expired, closed or replaced.
    pub(super) fn trim(&self) {
        let now = Instant::now();
        let mut pools = self.0.borrow_mut();
        pools.retain(Pool::is_current);
        for pool in pools.iter_mut() {
            let expiry = pool.expiry;
            pool.idle
                .retain_mut(|idle| now.saturating_duration_since(idle.since) < expiry && idle.connection.is_idle());
            if pool.http2.as_ref().is_some_and(|shared| !shared.is_open() || shared.is_expired(now, expiry)) {
                pool.http2 = None;
            }
        }
    }

    fn with<T>(&self, endpoint: &Endpoint, provider: &Arc<Provider>, act: impl FnOnce(&mut Pool) -> T) -> T {
        let mut pools = self.0.borrow_mut();
        if let Some(pool) = pools.iter_mut().find(|pool| pool.endpoint_id == endpoint.id) {
            return act(pool);
        }
        // A new endpoint often replaces another, so this is where the list is kept from growing.
        pools.retain(Pool::is_current);
        let mut pool = Pool {
            endpoint_id: endpoint.id,
            provider: Arc::downgrade(provider),
            expiry: Duration::MAX,
            idle: Vec::new(),
            http2: None,
            is_http1: false,
            gate: Rc::default(),
        };
        let outcome = act(&mut pool);
        pools.push(pool);
        outcome
    }
}

impl Pool {
    /// Its provider is still there and still at this endpoint.
    fn is_current(&self) -> bool {
        self.provider.upgrade().is_some_and(|provider| provider.endpoint_id() == self.endpoint_id)
    }
}
