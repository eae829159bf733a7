//! One answer under way: what its leader has written and how far each follower has read.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use parking_lot::Mutex;

use super::{Aborted, Head};
use crate::pages::Pages;

/// Bytes that a flight buffers.
pub const MAX_FLIGHT_BYTES: usize = 8 << 20;

/// State shared by one leader and its followers.
#[derive(Debug, Default)]
pub(super) struct Flight {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    head: Option<Head>,
    /// Chunks not yet dropped; the first is number `dropped` of the answer.
    chunks: VecDeque<Bytes>,
    dropped: usize,
    /// Bytes in `chunks`.
    buffered: usize,
    pages: Pages,
    end: Option<End>,
    /// The answer outgrew the buffer: no new followers, nothing for the cache.
    is_over: bool,
    followers: Vec<Option<Place>>,
    is_client_gone: bool,
    /// Of the leader, waiting for nobody to want the answer.
    leader: Option<Waker>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Whole,
    Aborted,
}

/// A follower's place in the answer.
#[derive(Debug, Default)]
struct Place {
    /// Number of the chunk to read next.
    next: usize,
    is_lagged: bool,
    waker: Option<Waker>,
}

impl Flight {
    /// Takes in a follower at the beginning of the answer; `None` when the beginning is gone.
    pub(super) fn board(&self) -> Option<usize> {
        let mut state = self.state.lock();
        if state.is_over || state.end == Some(End::Aborted) {
            return None;
        }
        let free = state.followers.iter().position(Option::is_none);
        let place = free.unwrap_or(state.followers.len());
        if free.is_none() {
            state.followers.push(None);
        }
        state.followers[place] = Some(Place::default());
        Some(place)
    }

    pub(super) fn leave(&self, place: usize) {
        let mut state = self.state.lock();
        state.followers[place] = None;
        state.trim();
        let leader = if state.is_wanted() { None } else { state.leader.take() };
        drop(state);
        if let Some(waker) = leader {
            waker.wake();
        }
    }

    pub(super) fn start(&self, head: Head) {
        self.change(|state| state.head = Some(head));
    }

    /// Adds a chunk. True when this one made the answer outgrow the buffer.
    pub(super) fn push(&self, chunk: Bytes) -> bool {
        let mut outgrew = false;
        self.change(|state| {
            if chunk.is_empty() {
                return;
            }
            outgrew = !state.is_over && state.buffered + chunk.len() > MAX_FLIGHT_BYTES;
            state.is_over |= outgrew;
            let chunk = state.pages.keep(chunk);
            state.buffered += chunk.len();
            state.chunks.push_back(chunk);
            state.trim();
        });
        outgrew
    }

    pub(super) fn end(&self, end: End) {
        self.change(|state| state.end = Some(end));
    }

    pub(super) fn collected(&self) -> Option<Vec<Bytes>> {
        let state = self.state.lock();
        (!state.is_over).then(|| state.chunks.iter().cloned().collect())
    }

    /// The leader's own client has gone.
    pub(super) fn client_left(&self) {
        let mut state = self.state.lock();
        state.is_client_gone = true;
        let leader = if state.is_wanted() { None } else { state.leader.take() };
        drop(state);
        if let Some(waker) = leader {
            waker.wake();
        }
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.state.lock().is_wanted()
    }

    pub(super) fn poll_unwanted(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if !state.is_wanted() {
            return Poll::Ready(());
        }
        keep(&mut state.leader, context);
        Poll::Pending
    }

    pub(super) fn poll_head(&self, place: usize, context: &mut Context<'_>) -> Poll<Result<Head, Aborted>> {
        let mut state = self.state.lock();
        match (&state.head, state.end) {
            (Some(head), _) => Poll::Ready(Ok(head.clone())),
            (None, Some(_)) => Poll::Ready(Err(Aborted::LeaderGone)),
            (None, None) => state.wait(place, context),
        }
    }

    pub(super) fn poll_next(&self, place: usize, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Aborted>> {
        let mut state = self.state.lock();
        let Some(follower) = &state.followers[place] else { return Poll::Ready(Err(Aborted::LeaderGone)) };
        if follower.is_lagged {
            return Poll::Ready(Err(Aborted::Lagged));
        }
        if let Some(chunk) = state.chunks.get(follower.next - state.dropped).cloned() {
            if let Some(follower) = &mut state.followers[place] {
                follower.next += 1;
            }
            state.trim();
            return Poll::Ready(Ok(Some(chunk)));
        }
        match state.end {
            Some(End::Whole) => Poll::Ready(Ok(None)),
            Some(End::Aborted) => Poll::Ready(Err(Aborted::LeaderGone)),
            None => state.wait(place, context),
        }
    }

    /// Changes the state and wakes every follower that waits.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        change(&mut state);
        let wakers: Vec<Waker> = state.followers.iter_mut().flatten().filter_map(|place| place.waker.take()).collect();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl State {
    fn is_wanted(&self) -> bool {
        !self.is_client_gone || self.followers.iter().any(Option::is_some)
    }

    fn wait<T>(&mut self, place: usize, context: &mut Context<'_>) -> Poll<T> {
        if let Some(follower) = &mut self.followers[place] {
            keep(&mut follower.waker, context);
        }
        Poll::Pending
    }

    /// Once the answer is over the buffer, drops what every follower has read, and cuts off those too far behind.
    fn trim(&mut self) {
        if !self.is_over {
            return;
        }
        loop {
            let needed = self.followers.iter().flatten().filter(|place| !place.is_lagged).map(|place| place.next).min();
            if needed == Some(self.dropped) {
                if self.buffered <= MAX_FLIGHT_BYTES {
                    return;
                }
                for place in self.followers.iter_mut().flatten().filter(|place| place.next == self.dropped) {
                    place.is_lagged = true;
                }
            }
            let Some(chunk) = self.chunks.pop_front() else { return };
            self.buffered -= chunk.len();
            self.dropped += 1;
        }
    }
}

fn keep(slot: &mut Option<Waker>, context: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(context.waker()),
        None => *slot = Some(context.waker().clone()),
    }
}
