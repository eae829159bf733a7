//! Whether an equal request was seen not long ago, asked for every request.
//!
//! A fixed table of fingerprints in buckets of one cache line, the newest first in each bucket. There is no lock: two
//! threads that touch one bucket at once may lose or repeat a fingerprint in it, which makes the answer, a hint, a
//! little worse and nothing else.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::key::Key;

/// Buckets in the table; with [`BUCKET_SLOTS`] and eight bytes a slot, 256 KiB.
const BUCKETS: usize = 4_096;

/// Fingerprints in one bucket: as many as fill a cache line.
const BUCKET_SLOTS: usize = 8;

/// The keys seen last: about the last 20,000 different ones, at most 32,768.
pub struct RecentKeys {
    buckets: Box<[Bucket]>,
}

#[repr(align(64))]
#[derive(Default)]
struct Bucket([AtomicU64; BUCKET_SLOTS]);

impl RecentKeys {
    /// Remembers `key` and says whether it was remembered already.
    pub fn note(&self, key: &Key) -> bool {
        let bucket = &self.buckets[key.word(1) as usize % BUCKETS].0;
        let fingerprint = key.short();
        let mut carried = fingerprint;
        for slot in bucket {
            let held = slot.load(Ordering::Relaxed);
            if held != carried {
                slot.store(carried, Ordering::Relaxed);
            }
            if held == fingerprint {
                return true;
            }
            carried = held;
        }
        false
    }

    /// Forgets all.
    pub fn clear(&self) {
        for slot in self.buckets.iter().flat_map(|bucket| &bucket.0) {
            slot.store(0, Ordering::Relaxed);
        }
    }
}

impl Default for RecentKeys {
    fn default() -> Self {
        Self { buckets: (0..BUCKETS).map(|_| Bucket::default()).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> Key {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        Key::from_bytes(bytes)
    }

    #[test]
    fn a_key_is_new_once() {
        let recent = RecentKeys::default();
        assert_eq!([recent.note(&key(1)), recent.note(&key(1)), recent.note(&key(2))], [false, true, false]);
        recent.clear();
        assert!(!recent.note(&key(1)));
    }

    #[test]
    fn a_full_bucket_forgets_the_key_seen_longest_ago() {
        let recent = RecentKeys::default();
        for number in 1..=BUCKET_SLOTS as u64 {
            recent.note(&key(number));
        }
        assert!(recent.note(&key(1)), "still there, and now the newest");
        recent.note(&key(100));
        assert!(recent.note(&key(1)));
        assert!(!recent.note(&key(2)), "the oldest made room");
    }
}
