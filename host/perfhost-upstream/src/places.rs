//! Places at a managed engine: who is sent there now, and who waits at the host until a slot is about to be free.
//!
//! An engine has as much as it can work on and a little more to go on with; the rest waits here, in order of arrival. So
//! an engine that is replaced has only what it works on to finish, its successor gets those that wait, and a crash takes
//! fewer requests with it. Owns no time limit: those of a request cover its wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Who is at one engine process, and who waits for it.
#[derive(Debug)]
pub(crate) struct Places {
    free: Arc<Semaphore>,
    waiting: AtomicU32,
    /// Places given out beyond the usual number, to be taken back one by one as places become free.
    surplus: AtomicU32,
}

/// One request's place. Given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    permit: Option<OwnedSemaphorePermit>,
}

/// Counts one request as waiting for as long as it lives.
struct Waiting<'a>(&'a AtomicU32);

impl Places {
    /// For an engine that generates for so many requests at once. Half as many more are there, so that slots that become
    /// free, often several in one batch, have their next requests at hand.
    pub(crate) fn for_slots(slots: u32) -> Arc<Self> {
        let slots = slots.max(1);
        let free = Arc::new(Semaphore::new((slots + slots.div_ceil(2)) as usize));
        Arc::new(Self { free, waiting: AtomicU32::new(0), surplus: AtomicU32::new(0) })
    }

    /// A place, as soon as there is one; `None` when the engine was replaced or has ended.
    pub(crate) async fn enter(self: &Arc<Self>) -> Option<Place> {
        let permit = match self.free.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let _waiting = Waiting::new(&self.waiting);
                self.free.clone().acquire_owned().await.ok()?
            }
        };
        Some(Place { places: self.clone(), permit: Some(permit) })
    }

    /// Requests that wait for a place.
    pub(crate) fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Nobody is let in any more, and those who wait are told.
    pub(crate) fn close(&self) {
        self.free.close();
    }

    /// The engine says that so many of its slots have nothing to do. Where somebody waits all the same, clients read their
    /// answers slower than the engine wrote them, and as many more are let in, once each.
    pub(crate) fn note_idle_slots(&self, idle: u32) {
        let more = idle.min(self.waiting());
        if more > 0 {
            self.surplus.fetch_add(more, Ordering::Relaxed);
            self.free.add_permits(more as usize);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let one_less = |surplus: u32| surplus.checked_sub(1);
        let is_surplus = self.places.surplus.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok();
        if let Some(permit) = self.permit.take()
            && is_surplus
        {
            permit.forget();
        }
    }
}

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicU32) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn enter(places: &Arc<Places>) -> Option<Place> {
        places.enter().now_or_never().flatten()
    }

    #[tokio::test]
    async fn slots_and_half_as_many_more_are_let_in_and_the_rest_in_turn() {
        let counts = [1, 2, 4, 8].map(|slots| {
            let places = Places::for_slots(slots);
            std::iter::from_fn(|| enter(&places)).collect::<Vec<_>>().len()
        });
        assert_eq!(counts, [2, 3, 6, 12]);

        let places = Places::for_slots(1);
        let (first, _second) = (enter(&places).expect("a place"), enter(&places).expect("a place"));
        let mut third = Box::pin(places.enter());
        let mut fourth = Box::pin(places.enter());
        assert!(third.as_mut().now_or_never().is_none() && fourth.as_mut().now_or_never().is_none());
        assert_eq!(places.waiting(), 2);
        drop(first);
        assert!(enter(&places).is_none(), "nobody passes those who wait");
        assert!(fourth.as_mut().now_or_never().is_none());
        assert!(third.await.is_some());
        drop(fourth);
        assert_eq!(places.waiting(), 0);
    }

    #[tokio::test]
    async fn those_who_wait_are_told_when_the_engine_is_gone() {
        let places = Places::for_slots(1);
        let _held = (enter(&places), enter(&places));
        let (waited, ()) = tokio::join!(places.enter(), async { places.close() });
        assert!(waited.is_none() && enter(&places).is_none());
        assert_eq!(places.waiting(), 0);
    }

    #[tokio::test]
    async fn slots_without_work_let_more_in_and_the_number_comes_back() {
        let places = Places::for_slots(2);
        let held: Vec<_> = std::iter::from_fn(|| enter(&places)).collect();
        places.note_idle_slots(2);
        assert!(enter(&places).is_none(), "nobody waited");
        let mut fourth = Box::pin(places.enter());
        assert!(fourth.as_mut().now_or_never().is_none());
        places.note_idle_slots(2);
        let fourth = fourth.await;
        assert!(fourth.is_some() && enter(&places).is_none());
        drop(fourth);
        drop(held);
        assert_eq!(std::iter::from_fn(|| enter(&places)).collect::<Vec<_>>().len(), 3);
    }
}
