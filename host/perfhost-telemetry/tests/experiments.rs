//! Experiments in the store: one record, the batches after it, and nothing twice.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "the whole file is tests")]

use perfhost_strategy::experiment::{Batch, Event};
use perfhost_telemetry::Store;

fn batch(sequence: u64) -> Batch {
    let events = vec![Event::Scored { id: u64::MAX - sequence, arm: 1, epoch: 0, score: 0.1 }];
    Batch { source: u64::MAX - 7, sequence, events }
}

#[test]
fn a_batch_that_comes_twice_is_there_once_and_a_record_replaces_what_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.experiment(1).unwrap(), None);
    store.record_experiment(1, "one".to_owned());
    for sequence in [2, 1, 2, 1] {
        store.record_batch(1, batch(sequence));
    }
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    let kept = store.experiment(1).unwrap().unwrap();
    assert_eq!((kept.id, kept.record.as_str(), kept.batches), (1, "one", vec![batch(2), batch(1)]));

    store.record_experiment(1, "two".to_owned());
    store.record_batch(1, batch(3));
    let kept = store.experiment(1).unwrap().unwrap();
    assert_eq!((kept.record.as_str(), kept.batches), ("two", vec![batch(3)]));
}

#[test]
fn the_newest_experiments_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    for id in [1, 2, 3, 502] {
        store.record_experiment(id, id.to_string());
    }
    assert_eq!(store.experiments(10).unwrap(), [502, 3]);
    assert_eq!(store.experiments(1).unwrap(), [502]);
}
