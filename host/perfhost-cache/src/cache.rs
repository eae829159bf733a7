//! The bounded store of entries: admission by frequency (TinyLFU), a weight in bytes and a time to live for each entry.
//!
//! A lookup takes no lock that a writer holds for long: the read side of one lock, then the store's own lock-free map.

use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::notification::RemovalCause;
use parking_lot::{Mutex, RwLock};

use crate::entry::Entry;
use crate::key::Key;
use crate::recency::RecentKeys;
use crate::stats::{CacheStats, Savings, SavingsByModel};

/// The longest time to live; a longer one counts as this.
pub const MAX_TTL: Duration = Duration::from_secs(30 * 24 * 3_600);

type Store = moka::sync::Cache<Key, Arc<Slot>>;

/// Whole answers by key.
pub struct Cache {
    /// `None` while the capacity is 0.
    store: RwLock<Option<Store>>,
    /// Held while the store is replaced, so that replacements do not overtake one another.
    replacing: Mutex<()>,
    counts: Arc<Counts>,
    savings: SavingsByModel,
    recent: RecentKeys,
}

/// An entry as the store holds it.
struct Slot {
    entry: Arc<Entry>,
    savings: Arc<Savings>,
    expires_at: Instant,
    /// Lookups that found it: what is kept first when the capacity shrinks.
    hits: AtomicU32,
}

#[derive(Default)]
struct Counts {
    capacity_bytes: AtomicU64,
    misses: AtomicU64,
    inserts: AtomicU64,
    evictions: AtomicU64,
    expirations: AtomicU64,
}

impl Cache {
    /// A cache whose entries weigh at most `capacity_bytes` together; 0 switches it off.
    pub fn new(capacity_bytes: u64) -> Arc<Self> {
        let counts = Arc::new(Counts::default());
        counts.capacity_bytes.store(capacity_bytes, Ordering::Relaxed);
        Arc::new(Self {
            store: RwLock::new(store(capacity_bytes, &counts)),
            replacing: Mutex::new(()),
            counts,
            savings: SavingsByModel::default(),
            recent: RecentKeys::default(),
        })
    }

    /// The entry of that key, unless its time to live has passed. Counts a hit or a miss.
    pub fn get(&self, key: &Key) -> Option<Arc<Entry>> {
        let found = self.get_again(key);
        if found.is_none() {
            self.counts.misses.fetch_add(1, Ordering::Relaxed);
        }
        found
    }

    /// The same for a request that has been counted as a miss: counts a hit only.
    pub fn get_again(&self, key: &Key) -> Option<Arc<Entry>> {
        let slot = self.store.read().as_ref().and_then(|store| store.get(key))?;
        slot.hits.fetch_add(1, Ordering::Relaxed);
        slot.savings.add(&slot.entry);
        Some(slot.entry.clone())
    }

    /// Offers an entry to the store, which may prefer to keep the ones that are asked for more often. An entry of the
    /// same key is replaced. `ttl` is cut to [`MAX_TTL`]; with 0 nothing is kept.
    pub fn insert(&self, key: Key, entry: Entry, ttl: Duration) {
        if ttl.is_zero() {
            return;
        }
        let store = self.store.read();
        let Some(store) = store.as_ref() else { return };
        let slot = Slot {
            savings: self.savings.of(&entry.model),
            expires_at: Instant::now() + ttl.min(MAX_TTL),
            hits: AtomicU32::new(0),
            entry: Arc::new(entry),
        };
        self.counts.inserts.fetch_add(1, Ordering::Relaxed);
        store.insert(key, Arc::new(slot));
    }

    /// Changes what the entries may weigh together, in bytes; 0 switches the cache off.
    ///
    /// The store cannot change its size, so another takes its place: the entries that were asked for most move over, as
    /// many as fit, with the rest of their time to live. How often absent keys were asked for is forgotten, and an entry
    /// that is inserted meanwhile may be lost. Lookups go on in the old store until the new one is filled.
    pub fn set_capacity(&self, capacity_bytes: u64) {
        let _guard = self.replacing.lock();
        if self.counts.capacity_bytes.load(Ordering::Relaxed) == capacity_bytes {
            return;
        }
        let successor = store(capacity_bytes, &self.counts);
        let old = self.store.read().clone();
        if let (Some(old), Some(successor)) = (&old, &successor) {
            let mut slots: Vec<(Arc<Key>, Arc<Slot>)> = old.iter().collect();
            // Cached: hits go on rising while this sorts.
            slots.sort_by_cached_key(|(_, slot)| Reverse((slot.hits.load(Ordering::Relaxed), slot.expires_at)));
            let mut room = capacity_bytes;
            for (key, slot) in slots {
                let Some(rest) = room.checked_sub(u64::from(slot.entry.weight())) else { continue };
                room = rest;
                successor.insert(*key, slot);
            }
            successor.run_pending_tasks();
        }
        // `old` is still held here: its entries are freed after the lock is.
        *self.store.write() = successor;
        self.counts.capacity_bytes.store(capacity_bytes, Ordering::Relaxed);
    }

    /// Drops every entry and forgets the keys seen; counts stay.
    pub fn clear(&self) {
        let _guard = self.replacing.lock();
        let capacity_bytes = self.counts.capacity_bytes.load(Ordering::Relaxed);
        let old = std::mem::replace(&mut *self.store.write(), store(capacity_bytes, &self.counts));
        drop(old);
        self.recent.clear();
    }

    /// Counts, savings, and what is held now. Takes a while when much is waiting to be sorted out: for control paths.
    pub fn stats(&self) -> CacheStats {
        let store = self.store.read().clone();
        let (bytes, entries) = store.map_or((0, 0), |store| {
            store.run_pending_tasks();
            (store.weighted_size(), store.entry_count())
        });
        let counts = &self.counts;
        CacheStats {
            capacity_bytes: counts.capacity_bytes.load(Ordering::Relaxed),
            bytes,
            entries,
            misses: counts.misses.load(Ordering::Relaxed),
            inserts: counts.inserts.load(Ordering::Relaxed),
            evictions: counts.evictions.load(Ordering::Relaxed),
            expirations: counts.expirations.load(Ordering::Relaxed),
            ..self.savings.total()
        }
    }

    /// Remembers the key, and says whether it was remembered already: an equal request came not long ago. The last
    /// 20,000 keys or so are remembered, whatever became of their answers, also while the capacity is 0.
    pub fn was_seen_before(&self, key: &Key) -> bool {
        self.recent.note(key)
    }
}

fn store(capacity_bytes: u64, counts: &Arc<Counts>) -> Option<Store> {
    let counts = counts.clone();
    (capacity_bytes > 0).then(|| {
        Store::builder()
            .name("answers")
            .max_capacity(capacity_bytes)
            .weigher(|_, slot: &Arc<Slot>| slot.entry.weight())
            .expire_after(UntilExpiry)
            .eviction_listener(move |_, _, cause| match cause {
                RemovalCause::Size => _ = counts.evictions.fetch_add(1, Ordering::Relaxed),
                RemovalCause::Expired => _ = counts.expirations.fetch_add(1, Ordering::Relaxed),
                RemovalCause::Explicit | RemovalCause::Replaced => {}
            })
            .build()
    })
}

/// Each slot says when it ends.
struct UntilExpiry;

impl Expiry<Key, Arc<Slot>> for UntilExpiry {
    fn expire_after_create(&self, _key: &Key, slot: &Arc<Slot>, created_at: Instant) -> Option<Duration> {
        Some(slot.expires_at.saturating_duration_since(created_at))
    }

    fn expire_after_update(
        &self,
        _key: &Key,
        slot: &Arc<Slot>,
        updated_at: Instant,
        _remaining: Option<Duration>,
    ) -> Option<Duration> {
        Some(slot.expires_at.saturating_duration_since(updated_at))
    }
}
