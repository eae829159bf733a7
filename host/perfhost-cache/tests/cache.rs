//! The store of entries through its public surface: bounds, time to live, resizing, counts.

#![allow(clippy::unwrap_used, reason = "test code")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use perfhost_cache::{Cache, Entry, Form, Key, Origin};

const HOUR: Duration = Duration::from_secs(3_600);

fn key(number: u64) -> Key {
    let mut bytes = [9; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Key::from_bytes(bytes)
}

fn entry(model: &str, bytes: usize) -> Entry {
    let origin = Origin {
        provider: "local".into(),
        model: model.into(),
        prompt_tokens: 10,
        output_tokens: 20,
        took: Duration::from_millis(300),
        stored_at_ms: 1,
    };
    Entry::new(Form::Body, Bytes::from_static(b"application/json"), &[Bytes::from(vec![b'x'; bytes])], origin).unwrap()
}

#[test]
fn an_entry_is_found_until_the_cache_is_cleared() {
    let cache = Cache::new(1 << 20);
    assert!(cache.get(&key(1)).is_none());
    cache.insert(key(1), entry("m", 100), HOUR);
    assert_eq!(cache.get(&key(1)).unwrap().chunks.concat(), vec![b'x'; 100]);
    assert!(cache.get(&key(2)).is_none());
    cache.clear();
    assert!(cache.get(&key(1)).is_none());
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.inserts, stats.entries, stats.bytes), (1, 3, 1, 0, 0));
}

#[test]
fn what_entries_weigh_stays_within_the_capacity() {
    let capacity = 64 << 10;
    let cache = Cache::new(capacity);
    for number in 0..1_000 {
        cache.insert(key(number), entry("m", 1_000), HOUR);
    }
    let stats = cache.stats();
    assert!(stats.bytes <= capacity, "{stats:?}");
    assert!(stats.entries > 20 && stats.entries + stats.evictions == 1_000, "{stats:?}");
}

#[test]
fn an_entry_larger_than_the_capacity_is_not_kept() {
    let cache = Cache::new(10_000);
    cache.insert(key(1), entry("m", 20_000), HOUR);
    assert_eq!(cache.stats().entries, 0);
    assert!(cache.get(&key(1)).is_none());
}

#[test]
fn an_entry_is_gone_after_its_time_to_live() {
    let cache = Cache::new(1 << 20);
    cache.insert(key(1), entry("m", 10), Duration::ZERO);
    assert!(cache.get(&key(1)).is_none());
    cache.insert(key(2), entry("m", 10), Duration::from_millis(30));
    cache.insert(key(3), entry("m", 10), HOUR);
    let waiting = Instant::now();
    while cache.get(&key(2)).is_some() {
        assert!(waiting.elapsed() < Duration::from_secs(60), "never expires");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(cache.get(&key(3)).is_some());
}

#[test]
fn a_time_to_live_without_end_is_accepted() {
    let cache = Cache::new(1 << 20);
    cache.insert(key(1), entry("m", 10), Duration::MAX);
    assert!(cache.get(&key(1)).is_some());
}

#[test]
fn a_replaced_entry_takes_the_new_time_to_live() {
    let cache = Cache::new(1 << 20);
    cache.insert(key(1), entry("m", 10), Duration::from_millis(1));
    cache.insert(key(1), entry("m", 20), HOUR);
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(cache.get(&key(1)).unwrap().bytes(), 20);
}

#[test]
fn a_smaller_cache_keeps_the_entries_asked_for_most_and_a_larger_one_all() {
    let cache = Cache::new(1 << 20);
    for number in 0..100 {
        cache.insert(key(number), entry("m", 1_000), HOUR);
    }
    for number in [3, 50, 97] {
        for _ in 0..5 {
            assert!(cache.get(&key(number)).is_some());
        }
    }
    cache.set_capacity(8 << 10);
    let stats = cache.stats();
    assert!(stats.bytes <= 8 << 10 && stats.entries >= 4, "{stats:?}");
    assert_eq!(stats.capacity_bytes, 8 << 10);
    for number in [3, 50, 97] {
        assert!(cache.get(&key(number)).is_some(), "{number}");
    }
    let before = cache.stats().entries;
    cache.set_capacity(1 << 20);
    assert_eq!(cache.stats().entries, before);
}

#[test]
fn a_capacity_of_zero_switches_the_cache_off_and_back_on() {
    let cache = Cache::new(1 << 20);
    cache.insert(key(1), entry("m", 10), HOUR);
    cache.set_capacity(0);
    cache.insert(key(1), entry("m", 10), HOUR);
    assert!(cache.get(&key(1)).is_none());
    assert_eq!((cache.stats().entries, cache.stats().bytes), (0, 0));
    cache.set_capacity(1 << 20);
    cache.insert(key(1), entry("m", 10), HOUR);
    assert!(cache.get(&key(1)).is_some());
}

#[test]
fn savings_are_counted_by_model() {
    let cache = Cache::new(1 << 20);
    cache.insert(key(1), entry("often", 10), HOUR);
    cache.insert(key(2), entry("once", 10), HOUR);
    cache.insert(key(3), entry(&"long".repeat(100), 10), HOUR);
    for number in [1, 1, 1, 2, 3] {
        assert!(cache.get(&key(number)).is_some());
    }
    let stats = cache.stats();
    assert_eq!(
        (stats.hits, stats.prompt_tokens_saved, stats.output_tokens_saved, stats.time_saved_ms),
        (5, 50, 100, 1_500)
    );
    let models: Vec<_> = stats.models.iter().map(|m| (m.model.as_str(), m.hits, m.output_tokens, m.time_ms)).collect();
    assert_eq!(models, [("often", 3, 60, 900), ("once", 1, 20, 300), ("other", 1, 20, 300)]);
}

#[test]
fn a_key_was_seen_before_from_the_second_time_on() {
    let cache = Cache::new(0);
    assert!(!cache.was_seen_before(&key(1)));
    assert!(cache.was_seen_before(&key(1)));
    assert!(!cache.was_seen_before(&key(2)));
}

#[test]
fn lookups_inserts_and_resizing_go_on_at_once() {
    let cache = Cache::new(1 << 20);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let cache: &Arc<Cache> = &cache;
            scope.spawn(move || {
                for round in 0..2_000 {
                    let number = fastrand::u64(0..50);
                    match (cache.get(&key(number)), round % 200) {
                        (Some(found), _) => assert_eq!(found.bytes(), 100 + number as usize),
                        (None, _) => cache.insert(key(number), entry("m", 100 + number as usize), HOUR),
                    }
                    if round % 200 == 199 {
                        cache.set_capacity([1 << 20, 1 << 14, 0, 1 << 16][(round / 200 + thread) % 4]);
                    }
                }
            });
        }
    });
    let stats = cache.stats();
    assert!(stats.bytes <= stats.capacity_bytes, "{stats:?}");
}
