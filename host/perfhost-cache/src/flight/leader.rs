//! The request that makes the answer.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;

use super::flying::{End, Flight};
use super::{Flights, Head};
use crate::key::Key;

/// Makes the answer. Dropped before [`Leader::finish`], it aborts the flight: followers get
/// [`super::Aborted::LeaderGone`], after the bytes that were pushed.
#[derive(Debug)]
pub struct Leader {
    flights: Arc<Flights>,
    key: Key,
    flight: Arc<Flight>,
    is_finished: bool,
}

impl Leader {
    pub(super) fn new(flights: Arc<Flights>, key: Key, flight: Arc<Flight>) -> Self {
        Self { flights, key, flight, is_finished: false }
    }

    /// The answer begins. Only for an answer that followers may have: its status is 200. On any other, drop the leader.
    pub fn start(&self, head: Head) {
        self.flight.start(head);
    }

    /// The answer's next bytes.
    pub fn push(&self, chunk: Bytes) {
        if self.flight.push(chunk) {
            self.flights.land(&self.key, &self.flight);
        }
    }

    /// All bytes so far, for the cache; `None` when they are more than [`super::MAX_FLIGHT_BYTES`].
    pub fn collected(&self) -> Option<Vec<Bytes>> {
        self.flight.collected()
    }

    /// The answer is whole. Put it into the cache first: then an equal request finds it either here or there.
    pub fn finish(mut self) {
        self.is_finished = true;
        self.end(End::Whole);
    }

    /// The leader's own client has gone. The answer goes on for followers, if there are any.
    pub fn client_left(&self) {
        self.flight.client_left();
    }

    /// The leader's own client is there, or a follower.
    pub fn is_wanted(&self) -> bool {
        self.flight.is_wanted()
    }

    /// Resolves when nobody wants the answer: [`Leader::client_left`] was called and no follower remains. A request that
    /// joins between that and the leader's drop is told that the leader is gone, and leads.
    pub async fn unwanted(&self) {
        poll_fn(|context| self.flight.poll_unwanted(context)).await;
    }

    fn end(&self, end: End) {
        self.flights.land(&self.key, &self.flight);
        self.flight.end(end);
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        if !self.is_finished {
            self.end(End::Aborted);
        }
    }
}
