//! How many requests may be upstream at once, and who goes next: the rules of the real host's admission (the gateway's
//! `admission`), without its locks.

use std::cmp::Reverse;
use std::collections::BTreeMap;

/// A place in the queue: higher priority first, then earlier arrival.
pub(crate) type Place = (Reverse<i32>, u64);

/// The limit, the queue and the count.
#[derive(Debug)]
pub(crate) struct Admission<T> {
    limit: usize,
    in_flight: usize,
    waiting: BTreeMap<Place, T>,
    arrivals: u64,
}

/// What a request is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    Admitted,
    Waiting(Place),
    /// As many wait as may.
    Refused,
}

impl<T> Admission<T> {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, in_flight: 0, waiting: BTreeMap::new(), arrivals: 0 }
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub(crate) fn queued(&self) -> usize {
        self.waiting.len()
    }

    /// A place at once, one in the queue of at most `queue_length`, or none.
    pub(crate) fn enter(&mut self, who: T, priority: i32, queue_length: usize) -> Entry {
        if self.in_flight < self.limit && self.waiting.is_empty() {
            self.in_flight += 1;
            return Entry::Admitted;
        }
        if self.waiting.len() >= queue_length {
            return Entry::Refused;
        }
        self.arrivals += 1;
        let place = (Reverse(priority), self.arrivals);
        self.waiting.insert(place, who);
        Entry::Waiting(place)
    }

    /// Gives up a place in the queue; whether it was still there.
    pub(crate) fn leave(&mut self, place: Place) -> bool {
        self.waiting.remove(&place).is_some()
    }

    /// One that was admitted is over.
    pub(crate) fn depart(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// A lower limit lets those under way finish.
    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// The next one who is admitted now, if there is room for one.
    pub(crate) fn admit_next(&mut self) -> Option<T> {
        if self.in_flight >= self.limit {
            return None;
        }
        let (_, who) = self.waiting.pop_first()?;
        self.in_flight += 1;
        Some(who)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_go_by_priority_then_arrival_within_limit_and_queue() {
        let mut admission = Admission::new(1);
        assert_eq!(admission.enter('a', 0, 3), Entry::Admitted);
        let Entry::Waiting(b) = admission.enter('b', 0, 3) else { panic!("a place was free") };
        admission.enter('c', 0, 3);
        admission.enter('d', 5, 3);
        assert_eq!((admission.enter('e', 9, 3), admission.admit_next()), (Entry::Refused, None));
        admission.set_limit(2);
        assert_eq!((admission.admit_next(), admission.admit_next()), (Some('d'), None));
        assert!(admission.leave(b) && !admission.leave(b));
        admission.depart();
        assert_eq!((admission.admit_next(), admission.in_flight(), admission.queued()), (Some('c'), 2, 0));
    }

    #[test]
    fn nobody_overtakes_those_who_wait() {
        let mut admission = Admission::new(1);
        admission.enter('a', 0, 9);
        admission.enter('b', 0, 9);
        admission.depart();
        assert!(matches!(admission.enter('c', 0, 9), Entry::Waiting(_)));
        assert_eq!(admission.admit_next(), Some('b'));
    }
}
