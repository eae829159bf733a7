//! A request that takes the answer of an equal one.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::flying::Flight;
use super::{Aborted, Head};

/// Takes the answer from its beginning. Dropped, it is no longer a reason to go on with it.
#[derive(Debug)]
pub struct Follower {
    flight: Arc<Flight>,
    place: usize,
}

impl Follower {
    pub(super) fn new(flight: Arc<Flight>, place: usize) -> Self {
        Self { flight, place }
    }

    /// Waits for the answer to begin.
    ///
    /// # Errors
    /// When the leader ended before that.
    pub async fn head(&mut self) -> Result<Head, Aborted> {
        poll_fn(|context| self.poll_head(context)).await
    }

    /// Waits for the next bytes; `None` after the last of a whole answer.
    ///
    /// # Errors
    /// When the leader ended before the answer was whole, or this follower was too slow.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Aborted> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// [`Follower::head`] for hand-written futures.
    pub fn poll_head(&mut self, context: &mut Context<'_>) -> Poll<Result<Head, Aborted>> {
        self.flight.poll_head(self.place, context)
    }

    /// [`Follower::next`] for hand-written bodies.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Aborted>> {
        self.flight.poll_next(self.place, context)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.flight.leave(self.place);
    }
}
