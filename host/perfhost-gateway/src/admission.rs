//! Admission: how many requests may be under way upstream at once, and who goes next when all places are taken.
//!
//! Owns the limit, the bounded queue and the permits; it does not own what the limit should be (settings) or how a
//! refusal looks on the wire. One [`Admission`] is shared by all workers. While places are free and nobody waits, a
//! permit costs one atomic operation; the lock is taken only by requests that wait and by permits that wake them.
//!
//! The queue is ordered by priority, then by arrival. A low priority can wait long but never for ever: after
//! `queue_wait` every request is refused.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use perfhost_strategy::Settings;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Shortest and longest advice that a refused client gets on when to come back.
const RETRY_AFTER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Weight of the newest interval in the running mean of the time between departures.
const NEWEST: f64 = 0.1;

/// The limit, the queue and the counts. Shared by [`Arc`].
#[derive(Debug)]
pub struct Admission {
    /// Requests under way (upper half) and waiting (lower half) in one word, so that "a place is free and nobody waits"
    /// is one comparison and a departure cannot miss a request that begins to wait at the same moment.
    load: AtomicU64,
    limit: AtomicUsize,
    /// Version of the settings that `limit` was taken from.
    version: AtomicU64,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    /// Higher priority first, then earlier arrival.
    waiting: BTreeMap<(Reverse<i32>, u64), oneshot::Sender<Permit>>,
    arrivals: u64,
    last_departure: Option<Instant>,
    seconds_between_departures: Option<f64>,
}

/// One place among the requests under way. Given back when dropped.
#[derive(Debug)]
pub struct Permit {
    admission: Option<Arc<Admission>>,
}

/// Why a request was not admitted. [`Refusal::retry_after`] is an estimate from the present rate of departures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// As many wait as may wait.
    #[error("{limit} requests are under way and {waiting} wait, which is as many as may")]
    QueueFull {
        /// Requests that may be under way.
        limit: usize,
        /// Requests that wait.
        waiting: usize,
        /// When to come back.
        retry_after: Duration,
    },
    /// It waited as long as a request may.
    #[error("no place became free within {} ms", .waited.as_millis())]
    WaitedTooLong {
        /// How long it waited.
        waited: Duration,
        /// When to come back.
        retry_after: Duration,
    },
}

impl Refusal {
    /// When a place can be expected, 1 to 60 seconds.
    pub fn retry_after(&self) -> Duration {
        match self {
            Refusal::QueueFull { retry_after, .. } | Refusal::WaitedTooLong { retry_after, .. } => *retry_after,
        }
    }
}

impl Admission {
    /// An admission with the limit of `settings`.
    pub fn new(settings: &Settings) -> Arc<Self> {
        Arc::new(Self {
            load: AtomicU64::new(0),
            limit: AtomicUsize::new(settings.concurrency_limit),
            version: AtomicU64::new(settings.version),
            queue: Mutex::new(Queue::default()),
        })
    }

    /// Requests admitted and not yet finished.
    pub fn in_flight(&self) -> usize {
        unpack(self.load.load(Ordering::Relaxed)).0
    }

    /// Requests that wait.
    pub fn queued(&self) -> usize {
        unpack(self.load.load(Ordering::Relaxed)).1
    }

    /// Takes the limit of newer settings and admits whom it now has room for. A lower limit lets those under way finish.
    pub fn apply(self: &Arc<Self>, settings: &Settings) {
        if settings.version <= self.version.load(Ordering::Acquire) {
            return;
        }
        let mut queue = self.queue.lock();
        // Looked at again under the lock: a worker with older settings must not put an old limit back.
        if settings.version > self.version.load(Ordering::Relaxed) {
            self.limit.store(settings.concurrency_limit, Ordering::Relaxed);
            self.version.store(settings.version, Ordering::Release);
            self.admit_waiting(&mut queue);
        }
    }

    /// A place at once, if one is free and nobody waits for it.
    pub fn try_acquire(self: &Arc<Self>) -> Option<Permit> {
        self.take_place(|queued| queued == 0).then(|| self.permit())
    }

    /// A place: at once, or after waiting in the queue, until `deadline` at most. Refuses at once when the queue is full. May
    /// be dropped at any point; a place granted in the same moment is given back.
    pub async fn acquire(
        self: &Arc<Self>,
        settings: &Settings,
        priority: i32,
        deadline: Instant,
    ) -> Result<Permit, Refusal> {
        self.apply(settings);
        if let Some(permit) = self.try_acquire() {
            return Ok(permit);
        }
        let mut waiter = match self.enqueue(settings, priority)? {
            Entry::Admitted(permit) => return Ok(permit),
            Entry::Waiting(waiter) => waiter,
        };
        let longest = settings.queue_wait.min(deadline.saturating_duration_since(Instant::now()));
        let granted = tokio::time::timeout(longest, &mut waiter.granted).await;
        if let Ok(Ok(permit)) = granted {
            return Ok(permit);
        }
        // The grant may have come in the moment the wait ended.
        waiter.leave();
        match waiter.granted.try_recv() {
            Ok(permit) => Ok(permit),
            Err(_) => Err(Refusal::WaitedTooLong { waited: longest, retry_after: self.retry_after(self.queued()) }),
        }
    }

    fn enqueue(self: &Arc<Self>, settings: &Settings, priority: i32) -> Result<Entry, Refusal> {
        let mut queue = self.queue.lock();
        loop {
            let load = self.load.load(Ordering::Acquire);
            let (in_flight, queued) = unpack(load);
            let limit = self.limit.load(Ordering::Relaxed);
            let (next, is_admitted) = match () {
                () if in_flight < limit && queued == 0 => (pack(in_flight + 1, queued), true),
                () if queued < settings.queue_length => (pack(in_flight, queued + 1), false),
                () => {
                    let retry_after = queue.estimate(queued);
                    return Err(Refusal::QueueFull { limit, waiting: queued, retry_after });
                }
            };
            if self.load.compare_exchange_weak(load, next, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                continue;
            }
            if is_admitted {
                return Ok(Entry::Admitted(self.permit()));
            }
            queue.arrivals += 1;
            let place = (Reverse(priority), queue.arrivals);
            let (sender, granted) = oneshot::channel();
            queue.waiting.insert(place, sender);
            // Counted as waiting now, so a place can only become free from here on by a departure that takes the lock.
            self.admit_waiting(&mut queue);
            return Ok(Entry::Waiting(Waiter { admission: self.clone(), place, granted }));
        }
    }

    /// Grants free places to those who wait, first in order first. The lock is held.
    fn admit_waiting(self: &Arc<Self>, queue: &mut Queue) {
        while !queue.waiting.is_empty() && self.take_place(|_| true) {
            let Some((_, sender)) = queue.waiting.pop_first() else {
                self.load.fetch_sub(UNDER_WAY, Ordering::AcqRel);
                return;
            };
            self.load.fetch_sub(WAITING, Ordering::AcqRel);
            if let Err(permit) = sender.send(self.permit()) {
                // The waiter is gone. Given back by hand: dropping the permit would take the lock again.
                permit.forget();
                self.load.fetch_sub(UNDER_WAY, Ordering::AcqRel);
            }
        }
    }

    /// Counts one more request under way if the limit has room and `may_pass` allows it for this many waiting.
    fn take_place(&self, may_pass: impl Fn(usize) -> bool) -> bool {
        let mut load = self.load.load(Ordering::Acquire);
        loop {
            let (in_flight, queued) = unpack(load);
            if in_flight >= self.limit.load(Ordering::Relaxed) || !may_pass(queued) {
                return false;
            }
            match self.load.compare_exchange_weak(load, load + UNDER_WAY, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return true,
                Err(now) => load = now,
            }
        }
    }

    fn depart(self: &Arc<Self>) {
        let before = self.load.fetch_sub(UNDER_WAY, Ordering::AcqRel);
        if unpack(before).1 == 0 {
            return;
        }
        let mut queue = self.queue.lock();
        queue.note_departure(Instant::now());
        self.admit_waiting(&mut queue);
    }

    fn permit(self: &Arc<Self>) -> Permit {
        Permit { admission: Some(self.clone()) }
    }

    fn retry_after(&self, queued: usize) -> Duration {
        self.queue.lock().estimate(queued)
    }
}

impl Queue {
    /// Departures are timed only while requests wait: only then does their rate say when a place becomes free.
    fn note_departure(&mut self, now: Instant) {
        if let Some(last) = self.last_departure.replace(now) {
            let seconds = now.duration_since(last).as_secs_f64();
            let mean = self.seconds_between_departures.map_or(seconds, |mean| mean + NEWEST * (seconds - mean));
            self.seconds_between_departures = Some(mean);
        }
    }

    fn estimate(&self, queued: usize) -> Duration {
        let seconds = self.seconds_between_departures.unwrap_or(0.0) * (queued + 1) as f64;
        Duration::from_secs(seconds.ceil().min(RETRY_AFTER.1.as_secs_f64()) as u64).max(RETRY_AFTER.0)
    }
}

impl Permit {
    fn forget(mut self) {
        self.admission = None;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(admission) = self.admission.take() {
            admission.depart();
        }
    }
}

enum Entry {
    Admitted(Permit),
    Waiting(Waiter),
}

/// A place in the queue, left when dropped.
struct Waiter {
    admission: Arc<Admission>,
    place: (Reverse<i32>, u64),
    granted: oneshot::Receiver<Permit>,
}

impl Waiter {
    fn leave(&self) {
        let mut queue = self.admission.queue.lock();
        if queue.waiting.remove(&self.place).is_some() {
            self.admission.load.fetch_sub(WAITING, Ordering::AcqRel);
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.leave();
    }
}

const WAITING: u64 = 1;
const UNDER_WAY: u64 = 1 << 32;

fn unpack(load: u64) -> (usize, usize) {
    ((load >> 32) as usize, (load & u64::from(u32::MAX)) as usize)
}

fn pack(in_flight: usize, queued: usize) -> u64 {
    (in_flight as u64) << 32 | queued as u64
}

#[cfg(test)]
mod tests;
