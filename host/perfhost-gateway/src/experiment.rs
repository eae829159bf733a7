//! An experiment as the request path sees it: which arm serves a request, and what is told of how it ended.
//!
//! Owns the assignment of requests and the way of their events out of the workers. What the events mean, who gets which
//! arm and when it ends is decided elsewhere (`perfhost_strategy::experiment` and the process around the gateway).
//!
//! Workers read the experiment as they read settings: one atomic load a request, also when there is none. Events leave
//! them through a queue without a lock. A request is counted only if there is room for both of its events, so that none
//! is ever counted whose end is lost: that would be a failure that never was.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use perfhost_strategy::experiment::{Allocation, Assigned, Assignment, Ending, Event, Outcome, Unit};
use perfhost_strategy::{Generation, Settings};
use perfhost_telemetry::RequestOutcome;

use crate::protocol::openai::Asked;

/// Events on their way at most, those still to come of requests under way among them.
pub const MOST_EVENTS: usize = 131_072;

/// A request has two: it got its arm, and it ended.
const EVENTS_A_REQUEST: usize = 2;

/// A running experiment.
pub struct LiveExperiment {
    /// Who gets which arm.
    pub allocation: Allocation,
    /// What is drawn by chance.
    pub unit: Unit,
    /// By place in the experiment's terms.
    pub arms: Vec<LiveArm>,
    /// Takes the events.
    pub outlet: Outlet,
}

/// One arm, ready to serve.
#[derive(Clone)]
pub struct LiveArm {
    /// Plans its requests.
    pub generation: Arc<Generation>,
    /// Settings of its requests; `None` for the host's.
    pub settings: Option<Arc<Settings>>,
}

/// A counted request, to be reported when it ends.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    id: u64,
    outlet: Outlet,
}

/// Where workers leave events. Clones lead to the same [`Inlet`].
#[derive(Debug, Clone)]
pub struct Outlet {
    events: Sender<Event>,
    room: Arc<Room>,
}

/// Where events come out.
#[derive(Debug)]
pub struct Inlet {
    events: Receiver<Event>,
    room: Arc<Room>,
}

#[derive(Debug)]
struct Room {
    most: usize,
    /// Events in the queue, and those that requests under way will bring.
    taken: AtomicUsize,
    refused: AtomicU64,
}

/// A way for at most `most` events at once, usually [`MOST_EVENTS`].
pub fn outlet(most: usize) -> (Outlet, Inlet) {
    let (sender, receiver) = channel();
    let room = Arc::new(Room { most, taken: AtomicUsize::new(0), refused: AtomicU64::new(0) });
    (Outlet { events: sender, room: room.clone() }, Inlet { events: receiver, room })
}

impl Outlet {
    /// Reports a request that got its arm; `None` when there is no room, and then it does not count.
    fn enter(&self, assigned: Assigned) -> Option<Entry> {
        if self.room.taken.fetch_add(EVENTS_A_REQUEST, Ordering::Relaxed) + EVENTS_A_REQUEST > self.room.most {
            self.room.taken.fetch_sub(EVENTS_A_REQUEST, Ordering::Relaxed);
            self.room.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let id = assigned.id;
        // Nobody listens any more once the experiment has ended.
        self.events.send(Event::Assigned(assigned)).ok()?;
        Some(Entry { id, outlet: self.clone() })
    }
}

impl Entry {
    /// Reports how the request ended.
    pub(crate) fn end(self, at_ms: u64, outcome: Outcome) {
        let _nobody_listens = self.outlet.events.send(Event::Finished { id: self.id, at_ms, outcome });
    }
}

impl Inlet {
    /// What has come since the last call, oldest first, at most `most`.
    pub fn take(&self, most: usize) -> Vec<Event> {
        let events: Vec<Event> = self.events.try_iter().take(most).collect();
        self.room.taken.fetch_sub(events.len(), Ordering::Relaxed);
        events
    }

    /// Requests that were not counted for want of room, since the start.
    pub fn refused(&self) -> u64 {
        self.room.refused.load(Ordering::Relaxed)
    }
}

impl LiveExperiment {
    /// The arm of a request with this id.
    pub(crate) fn assign(&self, id: u64, asked: &Asked) -> (u64, Assignment) {
        let known = match self.unit {
            Unit::Request => 0,
            Unit::Session => asked.session,
            Unit::User if asked.user != 0 => asked.user,
            Unit::User => asked.session,
        };
        // Who does not say where they belong is on their own.
        let unit = if known == 0 { id } else { known };
        (unit, self.allocation.assign(unit))
    }

    /// Counts a request, if it is to be counted.
    pub(crate) fn enter(
        &self,
        id: u64,
        unit: u64,
        assignment: &Assignment,
        at_ms: u64,
        asked: &Asked,
    ) -> Option<Entry> {
        if !assignment.is_counted {
            return None;
        }
        let covariates = [
            f64::from(asked.prompt_bytes).ln_1p(),
            f64::from(asked.max_tokens).ln_1p(),
            f64::from(u8::from(asked.is_streaming)),
            0.0,
        ];
        let Assignment { arm, epoch, block, .. } = *assignment;
        self.outlet.enter(Assigned { id, unit, arm, epoch, block, at_ms, covariates })
    }
}

/// How a request ended, in the experiment's words. A request that the provider calls wrong is a failure: an arm may have
/// chosen that provider.
pub(crate) fn ending(outcome: RequestOutcome) -> Ending {
    match outcome {
        RequestOutcome::Success => Ending::Answered,
        RequestOutcome::Rejected => Ending::Rejected,
        RequestOutcome::Timeout => Ending::TimedOut,
        RequestOutcome::Cancelled => Ending::ClientGone,
        RequestOutcome::ClientError | RequestOutcome::UpstreamError | RequestOutcome::Unavailable => Ending::Failed,
    }
}

/// The experiment's id of a request from the one that its answer carries (`x-perfhost-request-id`); `None` when it is not
/// of that form.
pub fn request_number(id: &str) -> Option<u64> {
    if id.len() != 24 || !id.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let (worker, count) = id.split_at(16);
    Some(number(u64::from_str_radix(worker, 16).ok()?, u64::from_str_radix(count, 16).ok()?))
}

/// One number for a worker's random bits and its count: as good as unique, and the same for the same request.
pub(crate) fn number(worker: u64, count: u64) -> u64 {
    worker.wrapping_add((count & 0xFFFF_FFFF).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assigned(id: u64) -> Assigned {
        Assigned { id, unit: id, arm: 0, epoch: 0, block: None, at_ms: 0, covariates: [0.0; 4] }
    }

    fn outcome() -> Outcome {
        let ending = Ending::Answered;
        Outcome { ending, response_ms: 1.0, ttft_ms: None, output_tokens: 0, cost: 0.0, quality: None }
    }

    #[test]
    fn a_request_that_is_counted_always_has_room_for_its_end() {
        let (outlet, inlet) = outlet(4);
        let entries: Vec<Entry> = (0..3).filter_map(|id| outlet.enter(assigned(id))).collect();
        assert_eq!((entries.len(), inlet.refused()), (2, 1));
        assert_eq!(inlet.take(10).len(), 2, "the room of their ends stays taken");
        assert!(outlet.enter(assigned(3)).is_some_and(|entry| entry.id == 3));
        for entry in entries {
            entry.end(1, outcome());
        }
        let ids = inlet.take(10).into_iter().map(|event| match event {
            Event::Assigned(assigned) => (assigned.id, true),
            Event::Finished { id, .. } | Event::Scored { id, .. } => (id, false),
        });
        assert_eq!(ids.collect::<Vec<_>>(), [(3, true), (0, false), (1, false)]);
    }

    #[test]
    fn a_client_can_name_a_request_by_the_id_of_its_answer() {
        assert_eq!(request_number("00000000000000ff00000002"), Some(number(0xFF, 2)));
        assert_eq!(request_number("00000000000000ff0000000"), None);
        assert_eq!(request_number("00000000000000fg00000002"), None);
    }
}
