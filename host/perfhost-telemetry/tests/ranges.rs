//! Questions about whole ranges: phases in history, distributions, scopes, and single requests.

#![allow(clippy::unwrap_used, reason = "the whole file is tests")]

use perfhost_strategy::Scope;
use perfhost_strategy::plan::Operation;
use perfhost_telemetry::{CacheStatus, Counter, HistoryQuery, Phase, RequestOutcome, RequestRecord, Store, Telemetry};

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
        saved_ns: 0,
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

#[test]
fn causes_and_savings_are_counted_over_any_range_and_through_every_roll_up() {
    const DAY_MS: u64 = 86_400_000;
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let telemetry = Telemetry::new();
    let recorder = telemetry.recorder();
    let tick = |at_ms: u64, timeouts: u64, hits: u64| {
        // A tick is as long as the time since the one before.
        telemetry.tick(at_ms - 1_000);
        (0..timeouts).for_each(|_| recorder.record(&record(&telemetry, RequestOutcome::Timeout, 1_000)));
        (0..hits).for_each(|_| {
            let hit = record(&telemetry, RequestOutcome::Success, 1_000);
            let saved = RequestRecord { cache: CacheStatus::Hit, output_tokens: 7, saved_ns: 2_000_000, ..hit };
            recorder.record(&saved);
        });
        telemetry.tick(at_ms);
        store.persist(&telemetry, at_ms);
        store.flush();
    };
    // Two days of a few moments each, and silence between them.
    for (at_ms, timeouts, hits) in [(5_000, 3, 1), (6_000, 2, 0), (7 * 3_600_000, 4, 2), (DAY_MS + 9_000, 1, 3)] {
        tick(START_MS + at_ms, timeouts, hits);
    }
    // House is kept: everything is rolled up.
    (0..3).for_each(|pass| tick(START_MS + 3 * DAY_MS + pass * 20_000, 0, 0));

    let counted = |counter: Counter, scope: &str, range: std::ops::Range<u64>, step_ms: u64| {
        let (from_ms, to_ms) = (START_MS + range.start, START_MS + range.end);
        let wanted = HistoryQuery { from_ms, to_ms, step_ms, ..query(counter.metric(), scope) };
        store.distribution(&wanted).unwrap().count()
    };
    for step_ms in [20_000, 60_000, 300_000, 3_600_000, DAY_MS] {
        let days = |counter, range| counted(counter, "engine/m", range, step_ms);
        assert_eq!(days(Counter::Timeouts, 0..2 * DAY_MS), 10, "steps of {step_ms} ms");
        assert_eq!(days(Counter::Timeouts, 0..DAY_MS), 9, "steps of {step_ms} ms");
        assert_eq!(days(Counter::Timeouts, DAY_MS..2 * DAY_MS), 1, "steps of {step_ms} ms");
        assert_eq!(days(Counter::OutputTokensSaved, 0..2 * DAY_MS), 42, "steps of {step_ms} ms");
        assert_eq!(days(Counter::TimeSaved, 0..2 * DAY_MS), 12_000, "steps of {step_ms} ms");
        assert_eq!(days(Counter::Unavailable, 0..2 * DAY_MS), 0);
    }
    assert_eq!(counted(Counter::Timeouts, "", 0..3_600_000, 10_000), 5);
    assert_eq!(counted(Counter::Timeouts, "strategy:balanced", 0..2 * DAY_MS, 3_600_000), 10);
}

#[test]
fn a_request_that_got_to_no_provider_counts_once_for_the_whole_host() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let telemetry = Telemetry::new();
    let series = telemetry.series("", "m", "balanced", Operation::Chat);
    telemetry.recorder().record(&RequestRecord { series, ..record(&telemetry, RequestOutcome::Unavailable, 1) });
    telemetry.tick(START_MS + 1_000);
    store.persist(&telemetry, START_MS + 1_000);
    store.flush();
    for metric in ["requests_unavailable", "error_rate"] {
        assert_eq!(store.distribution(&query(metric, "")).unwrap().count(), 1, "{metric}");
    }
    let scopes: Vec<String> = store.scopes().unwrap().iter().map(|scope| scope.as_str().to_owned()).collect();
    assert_eq!(scopes, ["", "strategy:balanced"]);
}
