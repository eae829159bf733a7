//! Questions about whole ranges: phases in history, distributions, scopes, and single requests.

#![allow(clippy::unwrap_used, reason = "the whole file is tests")]

use perfhost_strategy::Scope;
use perfhost_strategy::plan::Operation;
use perfhost_telemetry::{CacheStatus, HistoryQuery, Phase, RequestOutcome, RequestRecord, Store, Telemetry};

const START_MS: u64 = 20_000 * 86_400_000;

fn record(telemetry: &Telemetry, outcome: RequestOutcome, each_ns: u64) -> RequestRecord {
    RequestRecord {
        series: telemetry.series("engine", "m", "balanced", Operation::Chat),
        outcome,
        cache: CacheStatus::Miss,
        is_streaming: false,
        phases_ns: [each_ns; Phase::COUNT],
        total_ns: each_ns * Phase::COUNT as u64,
        ttft_ns: None,
        prompt_tokens: 0,
        output_tokens: 0,
    }
}

fn query(metric: &str, scope: &str) -> HistoryQuery {
    HistoryQuery {
        metric: metric.to_owned(),
        scope: Scope::parse(scope),
        from_ms: START_MS,
        to_ms: START_MS + 60_000,
        step_ms: 10_000,
    }
}

#[test]
fn phases_of_successes_and_whole_distributions_are_in_history() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let telemetry = Telemetry::new();
    let recorder = telemetry.recorder();
    for second in 1..=30_u64 {
        recorder.record(&record(&telemetry, RequestOutcome::Success, second * 1_000_000));
        recorder.record(&record(&telemetry, RequestOutcome::Timeout, 900_000_000));
        telemetry.tick(START_MS + second * 1_000);
        store.persist(&telemetry, START_MS + second * 1_000);
    }
    store.flush();
    for metric in Phase::METRICS {
        let whole = store.distribution(&query(metric, "engine/m")).unwrap();
        assert_eq!((whole.count(), whole.mean()), (30, 15.5), "{metric}");
    }
    let whole = store.distribution(&query("response_time_ms", "")).unwrap();
    assert_eq!((whole.count(), whole.min(), whole.max()), (30, 10.0, 300.0));
    assert_eq!([5.0, 104.0, 300.0].map(|bound| whole.count_up_to(bound)), [0, 10, 30]);
    assert!(store.distribution(&query("response_time_ms", "elsewhere")).unwrap().is_empty());
    let scopes: Vec<String> = store.scopes().unwrap().iter().map(|scope| scope.as_str().to_owned()).collect();
    assert_eq!(scopes, ["", "engine", "engine/m", "strategy:balanced"]);
}

#[test]
fn a_day_begins_with_its_first_window_and_not_with_a_step_that_began_the_day_before() {
    const DAY_MS: u64 = 86_400_000;
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let telemetry = Telemetry::new();
    let recorder = telemetry.recorder();
    // In steps of 25 minutes since 1970, the second of these days begins in the middle of one.
    let midnight_ms = START_MS + DAY_MS;
    assert_ne!(midnight_ms % 1_500_000, 0);
    for at_ms in [midnight_ms - 60_000, midnight_ms + 60_000] {
        telemetry.tick(at_ms - 1_000);
        recorder.record(&record(&telemetry, RequestOutcome::Success, 1_000_000));
        telemetry.tick(at_ms);
        store.persist(&telemetry, at_ms);
    }
    store.flush();
    let count = |from_ms| {
        let to_ms = from_ms + DAY_MS;
        // A sixtieth of a day, as reports ask.
        let query = HistoryQuery { from_ms, to_ms, step_ms: 1_440_000, ..query("response_time_ms", "") };
        store.distribution(&query).unwrap().count()
    };
    assert_eq!((count(START_MS), count(midnight_ms)), (1, 1));
}

#[test]
fn single_requests_are_at_hand_newest_first() {
    let telemetry = Telemetry::new();
    let recorder = telemetry.recorder();
    for second in 1..=3_u64 {
        recorder.record(&record(&telemetry, RequestOutcome::Success, second));
        telemetry.tick(START_MS + second * 1_000);
    }
    recorder.record(&record(&telemetry, RequestOutcome::Timeout, 9));
    telemetry.tick(START_MS + 4_000);
    let all = telemetry.profiles(|_| true, 3);
    assert_eq!(all.iter().map(|one| one.at_ms - START_MS).collect::<Vec<_>>(), [4_000, 3_000, 2_000]);
    let slow = telemetry.profiles(|one| one.record.outcome == RequestOutcome::Timeout, 10);
    assert_eq!((slow.len(), slow[0].names.model.as_str()), (1, "m"));
}
