//! What happens next: events in the order of their time, and of their entry where times are equal.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use crate::moment::Moment;

/// Events to come.
#[derive(Debug)]
pub(crate) struct Agenda<E> {
    heap: BinaryHeap<Reverse<Entry<E>>>,
    entries: u64,
}

#[derive(Debug)]
struct Entry<E> {
    at: Moment,
    number: u64,
    event: E,
}

impl<E> Agenda<E> {
    pub(crate) fn new() -> Self {
        Self { heap: BinaryHeap::new(), entries: 0 }
    }

    /// Enters an event.
    pub(crate) fn add(&mut self, at: Moment, event: E) {
        self.entries += 1;
        self.heap.push(Reverse(Entry { at, number: self.entries, event }));
    }

    /// The next event, taken out.
    pub(crate) fn next(&mut self) -> Option<(Moment, E)> {
        self.heap.pop().map(|Reverse(entry)| (entry.at, entry.event))
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_by_entry() {
        let mut agenda = Agenda::new();
        for (at, name) in [(5, 'c'), (1, 'a'), (5, 'd'), (2, 'b')] {
            agenda.add(Moment::from_us(at), name);
        }
        let order: String = std::iter::from_fn(|| agenda.next()).map(|(_, name)| name).collect();
        assert_eq!(order, "abcd");
    }
}
