//! Warm planning instances that no call is using at the moment. Grows as calls overlap, shrinks when they no longer do.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::instance::Instance;

/// Idle instances of one strategy. The last one given back is the first one taken: its memory is likely in a cache.
#[allow(clippy::vec_box, reason = "an instance is some hundred bytes, and moves twice in every plan")]
pub(crate) struct Pool {
    idle: Mutex<Vec<Box<Instance>>>,
    capacity: usize,
    /// Fewest idle instances since the last [`Pool::trim`]: so many were never needed.
    least_idle: AtomicUsize,
}

impl Pool {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { idle: Mutex::new(Vec::new()), capacity, least_idle: AtomicUsize::new(0) }
    }

    /// An idle instance, if there is one.
    #[inline]
    pub(crate) fn take(&self) -> Option<Box<Instance>> {
        let mut idle = self.idle.lock();
        let taken = idle.pop();
        // Only ever changed under the lock.
        if idle.len() < self.least_idle.load(Ordering::Relaxed) {
            self.least_idle.store(idle.len(), Ordering::Relaxed);
        }
        taken
    }

    /// Gives an instance back; one too many is dropped.
    #[inline]
    pub(crate) fn give(&self, instance: Box<Instance>) {
        let mut idle = self.idle.lock();
        if idle.len() < self.capacity {
            idle.push(instance);
            return;
        }
        drop(idle);
        drop(instance);
    }

    /// Takes an idle instance that is older than the set-up of `version`.
    pub(crate) fn take_stale(&self, version: u64) -> Option<Box<Instance>> {
        let mut idle = self.idle.lock();
        let at = idle.iter().position(|instance| instance.applied.total < version)?;
        Some(idle.swap_remove(at))
    }

    /// Drops half of the instances that were not needed since the last call, and keeps at least one.
    pub(crate) fn trim(&self) {
        let dropped: Vec<Box<Instance>> = {
            let mut idle = self.idle.lock();
            let unneeded = self.least_idle.load(Ordering::Relaxed).min(idle.len().saturating_sub(1));
            let dropped = idle.drain(..unneeded.div_ceil(2)).collect();
            self.least_idle.store(idle.len(), Ordering::Relaxed);
            dropped
        };
        drop(dropped);
    }

    /// Drops all idle instances.
    pub(crate) fn clear(&self) {
        let dropped = std::mem::take(&mut *self.idle.lock());
        drop(dropped);
    }

    /// Bytes of memory of the largest idle instance; 0 when there is none.
    pub(crate) fn largest_bytes(&self) -> u64 {
        self.idle.lock().iter().map(|instance| instance.memory_bytes()).max().unwrap_or(0)
    }

    /// Idle instances at present.
    pub(crate) fn len(&self) -> usize {
        self.idle.lock().len()
    }
}
