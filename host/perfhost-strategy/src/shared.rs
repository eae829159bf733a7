//! How a new snapshot (settings, a strategy generation) reaches the hot paths without a lock.
//!
//! A writer replaces the value and raises a version; each worker keeps a [`Reader`] with its own `Arc` and looks at the
//! version, one relaxed-cost load, before every use. The lock is taken only by writers and once per reader and change.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// A value that is replaced as a whole.
#[derive(Debug)]
pub struct Shared<T: ?Sized> {
    version: AtomicU64,
    value: RwLock<Arc<T>>,
}

impl<T: ?Sized> Shared<T> {
    /// Starts with `value` at version 1.
    pub fn new(value: Arc<T>) -> Self {
        Self { version: AtomicU64::new(1), value: RwLock::new(value) }
    }

    /// The present value. Takes the lock: for control paths; hot paths keep a [`Reader`].
    pub fn load(&self) -> Arc<T> {
        self.value.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the value and returns the one before.
    pub fn store(&self, value: Arc<T>) -> Arc<T> {
        let mut guard = self.value.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *guard, value);
        self.version.fetch_add(1, Ordering::Release);
        before
    }

    /// Rises by one with every [`Shared::store`].
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }
}

/// One worker's view of a [`Shared`] value.
#[derive(Debug)]
pub struct Reader<T: ?Sized> {
    source: Arc<Shared<T>>,
    seen: u64,
    value: Arc<T>,
}

impl<T: ?Sized> Reader<T> {
    /// A reader that starts at the present value.
    pub fn new(source: Arc<Shared<T>>) -> Self {
        let (seen, value) = (source.version(), source.load());
        Self { source, seen, value }
    }

    /// The newest value. Costs one atomic load when nothing changed.
    pub fn get(&mut self) -> &Arc<T> {
        let version = self.source.version();
        if version != self.seen {
            self.value = self.source.load();
            self.seen = version;
        }
        &self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_sees_every_replacement_and_keeps_what_it_holds() {
        let shared = Arc::new(Shared::new(Arc::new(1)));
        let mut reader = Reader::new(shared.clone());
        let held = reader.get().clone();
        assert_eq!(*shared.store(Arc::new(2)), 1);
        assert_eq!((**reader.get(), *held, shared.version()), (2, 1, 2));
    }
}
