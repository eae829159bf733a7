//! The answer cache: which answers are kept, for how long, and what goes when it is full.
//!
//! Unlike the real one, which weighs how often an answer is asked for (TinyLFU), it lets the one go that was used longest
//! ago. Owns keys and sizes; there are no answers here.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::moment::Moment;

/// Keys remembered as seen lately, as in the real host.
const RECENT_KEYS: usize = 20_000;

/// Bytes of a kept answer: the book-keeping, and for each token the text or, streamed, the event around it.
const ENTRY_BYTES: u64 = 1_024;
const BYTES_PER_TOKEN: u64 = 5;
const BYTES_PER_STREAMED_TOKEN: u64 = 250;

/// All kept answers.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    entries: HashMap<u64, Entry>,
    /// Keys by when they were last used.
    by_use: BTreeMap<u64, u64>,
    uses: u64,
    bytes: u64,
    capacity_bytes: u64,
    /// How many of `recent` are that key.
    seen: HashMap<u64, u32>,
    recent: VecDeque<u64>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) output_tokens: u32,
    /// Whose answer it was.
    pub(crate) provider: usize,
    expires: Moment,
    bytes: u64,
    used: u64,
}

impl Cache {
    /// Remembers the key, and says whether it was remembered already.
    pub(crate) fn was_seen_before(&mut self, key: u64) -> bool {
        if self.recent.len() >= RECENT_KEYS
            && let Some(oldest) = self.recent.pop_front()
            && let Some(count) = self.seen.get_mut(&oldest)
        {
            *count -= 1;
            if *count == 0 {
                self.seen.remove(&oldest);
            }
        }
        self.recent.push_back(key);
        let count = self.seen.entry(key).or_insert(0);
        *count += 1;
        *count > 1
    }

    /// The kept answer to that key, unless its time is over.
    pub(crate) fn get(&mut self, now: Moment, key: u64) -> Option<Entry> {
        let entry = self.entries.get_mut(&key)?;
        if entry.expires <= now {
            self.remove(key);
            return None;
        }
        self.uses += 1;
        self.by_use.remove(&entry.used);
        self.by_use.insert(self.uses, key);
        entry.used = self.uses;
        Some(*entry)
    }

    /// Keeps an answer until `expires`.
    pub(crate) fn insert(
        &mut self,
        key: u64,
        (output_tokens, provider): (u32, usize),
        is_streamed: bool,
        expires: Moment,
    ) {
        let each = if is_streamed { BYTES_PER_STREAMED_TOKEN } else { BYTES_PER_TOKEN };
        let bytes = ENTRY_BYTES + each * u64::from(output_tokens);
        if bytes > self.capacity_bytes {
            return;
        }
        self.remove(key);
        self.uses += 1;
        self.bytes += bytes;
        self.by_use.insert(self.uses, key);
        self.entries.insert(key, Entry { output_tokens, provider, expires, bytes, used: self.uses });
        self.shrink();
    }

    pub(crate) fn set_capacity(&mut self, bytes: u64) {
        self.capacity_bytes = bytes;
        self.shrink();
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn shrink(&mut self) {
        while self.bytes > self.capacity_bytes {
            let Some((_, key)) = self.by_use.first_key_value() else { return };
            self.remove(*key);
        }
    }

    fn remove(&mut self, key: u64) {
        if let Some(entry) = self.entries.remove(&key) {
            self.by_use.remove(&entry.used);
            self.bytes -= entry.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(cache: &mut Cache, keys: &[u64]) -> Vec<u64> {
        keys.iter().copied().filter(|key| cache.get(Moment::from_us(1), *key).is_some()).collect()
    }

    #[test]
    fn the_longest_unused_goes_when_it_is_full() {
        let mut cache = Cache::default();
        cache.set_capacity(3 * (ENTRY_BYTES + 10 * BYTES_PER_TOKEN));
        let later = Moment::from_us(10);
        (1..=3).for_each(|key| cache.insert(key, (10, 0), false, later));
        assert!(cache.get(Moment::START, 1).is_some());
        cache.insert(4, (10, 0), false, later);
        assert_eq!(kept(&mut cache, &[1, 2, 3, 4]), [1, 3, 4]);
        cache.set_capacity(ENTRY_BYTES + 10 * BYTES_PER_TOKEN);
        assert_eq!((kept(&mut cache, &[1, 3, 4]), cache.entries.len()), (vec![4], 1));
        cache.set_capacity(0);
        assert_eq!((cache.bytes(), cache.by_use.len()), (0, 0));
    }

    #[test]
    fn an_answer_is_kept_for_its_time_and_replaced_by_a_newer_one() {
        let mut cache = Cache::default();
        cache.set_capacity(1 << 20);
        cache.insert(1, (10, 0), true, Moment::from_us(5));
        cache.insert(1, (20, 1), true, Moment::from_us(9));
        assert_eq!(cache.get(Moment::from_us(8), 1).map(|entry| entry.output_tokens), Some(20));
        assert!(cache.get(Moment::from_us(9), 1).is_none());
        assert_eq!(cache.bytes(), 0);
    }

    #[test]
    fn keys_are_remembered_for_a_while() {
        let mut cache = Cache::default();
        assert!(!cache.was_seen_before(7) && cache.was_seen_before(7));
        (0..RECENT_KEYS as u64).for_each(|key| _ = cache.was_seen_before(100 + key));
        assert!(!cache.was_seen_before(7));
        assert_eq!((cache.recent.len(), cache.seen.len()), (RECENT_KEYS, RECENT_KEYS));
    }
}
