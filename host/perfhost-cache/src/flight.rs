//! Single flight: of equal requests at the same time one leads and makes the answer; the others follow and take it, each
//! from its beginning and at its own pace.
//!
//! Leader and followers may live on different threads. Each flight has one lock, held for a few instructions; wakers are
//! kept under it, so a change and the wish to hear of it cannot miss each other, and are called after it is released.
//! Locks are taken in the order table, then flight; never the other way.
//!
//! Memory: a flight buffers its answer for followers that come late and for the cache, up to [`MAX_FLIGHT_BYTES`].
//! Beyond that it takes no more followers (an equal request then leads a flight of its own) and keeps only what its
//! slowest follower has yet to read; a follower that falls more than the same amount behind is cut off with
//! [`Aborted::Lagged`]. There are never more flights than requests under way.

mod flying;
mod follower;
mod leader;

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::entry::Form;
use crate::key::Key;

use flying::Flight;
pub use flying::MAX_FLIGHT_BYTES;
pub use follower::Follower;
pub use leader::Leader;

/// Parts of the table, each with its own lock.
const SHARDS: usize = 16;

/// What followers know of an answer before its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// How the answer is sent.
    pub form: Form,
    /// Value of its `content-type`.
    pub content_type: Bytes,
    /// Provider that makes it.
    pub provider: Arc<str>,
}

/// Why a follower will not get the answer, or the rest of it. Nothing marks the end of the bytes that it did get: if
/// some went to a client, that client's connection has to be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Aborted {
    /// The leader ended without a whole answer. A follower that has sent nothing yet joins again: the first becomes the
    /// next leader.
    #[error("single flight: the leading request ended without a whole answer")]
    LeaderGone,
    /// The follower read too slowly.
    #[error("single flight: this request fell more than {MAX_FLIGHT_BYTES} bytes behind the answer that it shares")]
    Lagged,
}

/// The role of a request.
#[derive(Debug)]
pub enum Join {
    /// No equal request is under way: make the answer.
    Leader(Leader),
    /// Take the answer that an equal request makes.
    Follower(Follower),
}

/// All flights under way.
#[derive(Debug, Default)]
pub struct Flights {
    shards: [Mutex<HashMap<Key, Arc<Flight>>>; SHARDS],
}

impl Flights {
    /// No flights yet.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Follows the flight of that key, or leads a new one.
    pub fn join(self: &Arc<Self>, key: Key) -> Join {
        let mut shard = self.shard(&key).lock();
        let flight = match shard.entry(key) {
            Slot::Occupied(mut slot) => {
                if let Some(place) = slot.get().board() {
                    return Join::Follower(Follower::new(slot.get().clone(), place));
                }
                let flight = Arc::new(Flight::default());
                slot.insert(flight.clone());
                flight
            }
            Slot::Vacant(slot) => slot.insert(Arc::new(Flight::default())).clone(),
        };
        drop(shard);
        Join::Leader(Leader::new(self.clone(), key, flight))
    }

    /// Flights under way that can be followed.
    pub fn count(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// Takes the flight out of the table, if it is still the one there.
    fn land(&self, key: &Key, flight: &Arc<Flight>) {
        let mut shard = self.shard(key).lock();
        if shard.get(key).is_some_and(|found| Arc::ptr_eq(found, flight)) {
            shard.remove(key);
        }
    }

    fn shard(&self, key: &Key) -> &Mutex<HashMap<Key, Arc<Flight>>> {
        &self.shards[key.word(2) as usize % SHARDS]
    }
}
