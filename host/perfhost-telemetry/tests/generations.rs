//! What is kept of strategies in service: their records, what they learned, and the figures of their time.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "the whole file is tests")]

use perfhost_strategy::generation::{Arrival, Figures, GenerationRecord};
use perfhost_strategy::plan::Operation;
use perfhost_strategy::strategy::{Identity, World};
use perfhost_telemetry::store::{FILE_NAME, MOST_GENERATIONS, MOST_STATES, MOST_STATES_OF_ONE};
use perfhost_telemetry::{CacheStatus, LearnedState, Phase, RequestOutcome, RequestRecord, Store, Telemetry};

fn generation(number: u64) -> GenerationRecord {
    let identity = Identity {
        name: "balanced".to_owned(),
        version: "1.0.0".to_owned(),
        digest: format!("{number:064x}"),
        world: World::Strategy,
        source: "built-in balanced".to_owned(),
    };
    GenerationRecord::new(number, &identity, Arrival::Swap, 1_000 * number)
}

fn learned(strategy: &str, digest: &str, at_ms: u64) -> LearnedState {
    LearnedState {
        strategy: strategy.to_owned(),
        version: "1.0.0".to_owned(),
        digest: digest.to_owned(),
        at_ms,
        state: digest.as_bytes().to_vec(),
    }
}

#[test]
fn generations_outlive_the_process_and_the_newest_come_first() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    (1..=5).for_each(|number| store.record_generation(generation(number)));
    let ended = GenerationRecord { to_ms: Some(9_000), ..generation(4) };
    store.record_generation(ended.clone());
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.generations(2, None).unwrap(), [generation(5), ended.clone()]);
    assert_eq!(store.generations(10, Some(5)).unwrap()[0], ended);
    assert_eq!(store.generations(10, Some(1)).unwrap(), []);
}

#[test]
fn only_so_many_generations_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    (1..=MOST_GENERATIONS + 10).for_each(|number| store.record_generation(generation(number)));
    let all = store.generations(usize::MAX >> 1, None).unwrap();
    assert_eq!((all.len() as u64, all.last().unwrap().number), (MOST_GENERATIONS, 11));
}

#[test]
fn each_version_of_a_strategy_keeps_what_it_learned_and_the_newest_comes_first() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    for (digest, at_ms) in [("one", 1), ("two", 2), ("one", 3)] {
        store.keep_learned(learned("balanced", digest, at_ms));
    }
    store.keep_learned(learned("other", "three", 9));
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.learned("balanced").unwrap(), [learned("balanced", "one", 3), learned("balanced", "two", 2)]);
    assert_eq!(store.learned("nobody").unwrap(), []);
}

#[test]
fn states_are_bounded_for_each_strategy_and_in_all() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let most = MOST_STATES_OF_ONE as u64;
    (1..=most + 3).for_each(|at| store.keep_learned(learned("a", &format!("a{at}"), at)));
    let kept = store.learned("a").unwrap();
    assert_eq!((kept.len() as u64, kept[0].at_ms), (most, most + 3));
    for at in 0..MOST_STATES as u64 {
        store.keep_learned(learned(&format!("b{at}"), "d", 1_000 + at));
    }
    assert_eq!(store.learned("a").unwrap(), []);
    assert_eq!(store.learned("b0").unwrap().len(), 1);
}

#[test]
fn a_file_of_the_first_version_is_brought_up_to_date_with_what_strategies_had_learned() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path()).unwrap());
    let connection = rusqlite::Connection::open(dir.path().join(FILE_NAME)).unwrap();
    for table in ["generations", "learned", "experiments", "experiment_batches", "alerts", "cycle_summaries"] {
        connection.execute_batch(&format!("DROP TABLE {table};")).unwrap();
    }
    connection.execute_batch("PRAGMA user_version = 1;").unwrap();
    connection.execute_batch("INSERT INTO state VALUES ('strategy/balanced', x'010203'), ('other', x'04')").unwrap();
    connection.close().unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.learned("balanced").unwrap()[0].state, [1, 2, 3]);
    assert_eq!(store.state("strategy/balanced").unwrap(), None);
    assert_eq!(store.state("other").unwrap().unwrap(), [4]);
}

#[test]
fn totals_are_of_the_ticks_between_their_beginning_and_the_last_call() {
    let telemetry = Telemetry::new();
    let recorder = telemetry.recorder();
    let series = telemetry.series("engine", "m", "s", Operation::Chat);
    let record = |outcome, total_ms: u64| {
        recorder.record(&RequestRecord {
            series,
            outcome,
            cache: CacheStatus::Miss,
            is_streaming: true,
            phases_ns: [0; Phase::COUNT],
            total_ns: total_ms * 1_000_000,
            ttft_ns: Some(2_000_000),
            prompt_tokens: 1,
            output_tokens: 5,
            saved_ns: 0,
        });
    };
    record(RequestOutcome::Success, 1_000);
    telemetry.tick(1_000);
    let mut totals = telemetry.totals();
    assert_eq!(totals.figures(), Figures::default());

    (0..6).for_each(|_| record(RequestOutcome::Success, 10));
    recorder.tokens(series, 40);
    telemetry.tick(2_000);
    telemetry.add_to(&mut totals);
    telemetry.tick(3_000);
    record(RequestOutcome::Timeout, 50);
    record(RequestOutcome::Rejected, 50);
    telemetry.tick(4_000);
    telemetry.add_to(&mut totals);
    telemetry.add_to(&mut totals);

    let requests = totals.requests();
    assert_eq!((requests.total, requests.errors, requests.rejected), (7, 1, 1));
    assert_eq!((requests.cache_hits, requests.cache_misses), (0, 8));
    let figures = totals.figures();
    assert_eq!((figures.requests, figures.errors, figures.rejected, figures.output_tokens), (7, 1, 1, 40));
    // The second without anything is not busy.
    assert_eq!((figures.busy_seconds, figures.successes_per_second, figures.tokens_per_second), (2.0, 3.0, 20.0));
    assert!((figures.response_time_p95_ms - 10.0).abs() < 0.2 && figures.time_to_first_token_p95_ms > 1.9);
}
