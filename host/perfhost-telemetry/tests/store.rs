//! The store through its public surface: history across tiers and restarts, the decision log, state, damaged files.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "the whole file is tests")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use perfhost_strategy::decision::{CycleRecord, CycleRequests, Decision, DecisionUpdate, Validations};
use perfhost_strategy::observation::metric;
use perfhost_strategy::plan::Operation;
use perfhost_strategy::proposal::Measurement;
use perfhost_strategy::{Observation, Proposal, Scope, Value, Verdict};
use perfhost_telemetry::sketch::RELATIVE_ERROR;
use perfhost_telemetry::store::{
    CycleListQuery, CycleQuery, FILE_NAME, MOST_CYCLES, MOST_CYCLES_AT_ONCE, MOST_DECISIONS_AT_ONCE, MOST_POINTS,
    MOST_SUMMARIES_AT_ONCE, ReadOnlyStore,
};
use perfhost_telemetry::window::STRATEGY_SCOPE_PREFIX;
use perfhost_telemetry::{
    CacheStatus, DecisionQuery, HistoryPoint, HistoryQuery, Phase, Recorder, RequestOutcome, RequestRecord, SeriesId,
    Store, StoreError, Telemetry,
};

/// A whole multiple of a day, so that windows of every tier begin here.
const START_MS: u64 = 20_000 * 86_400_000;
const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 3_600_000;

/// A process's telemetry with a clock of its own.
struct Running {
    telemetry: Arc<Telemetry>,
    recorder: Recorder,
    series: SeriesId,
    store: Store,
}

impl Running {
    fn start(dir: &Path) -> Self {
        let telemetry = Telemetry::new();
        let series = telemetry.series("engine", "m", "balanced", Operation::Chat);
        let recorder = telemetry.recorder();
        Self { telemetry, recorder, series, store: Store::open(dir).unwrap() }
    }

    fn record(&self, total_ms: f64) {
        let total_ns = (total_ms * 1e6) as u64;
        self.recorder.record(&RequestRecord {
            series: self.series,
            outcome: RequestOutcome::Success,
            cache: CacheStatus::Miss,
            is_streaming: false,
            phases_ns: [0; Phase::COUNT],
            total_ns,
            ttft_ns: None,
            prompt_tokens: 0,
            output_tokens: 0,
            saved_ns: 0,
        });
    }

    /// The second that ends at `now_ms` is over.
    fn tick(&self, now_ms: u64) {
        self.telemetry.tick(now_ms);
        self.store.persist(&self.telemetry, now_ms);
        self.store.flush();
    }

    fn history(&self, metric: &str, scope: &str, range_ms: (u64, u64), step_ms: u64) -> Vec<HistoryPoint> {
        let query = HistoryQuery {
            metric: metric.to_owned(),
            scope: Scope::parse(scope),
            from_ms: range_ms.0,
            to_ms: range_ms.1,
            step_ms,
        };
        self.store.history(&query).unwrap().points
    }
}

#[test]
fn a_second_is_in_history_as_soon_as_it_is_persisted() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path());
    for second in 1..=25 {
        running.record(100.0);
        running.tick(START_MS + second * 1_000);
    }
    let range = (START_MS, START_MS + MINUTE_MS);
    for scope in ["", "engine", "engine/m", &format!("{STRATEGY_SCOPE_PREFIX}balanced")] {
        let points = running.history(metric::RESPONSE_TIME, scope, range, 10_000);
        let counts: Vec<(u64, u64)> = points.iter().map(|point| (point.at_ms - START_MS, point.count)).collect();
        assert_eq!(counts, [(0, 10), (10_000, 10), (20_000, 5)], "{scope}");
        assert!(points.iter().all(|point| point.mean == 100.0));
    }
    let rate = running.history(metric::REQUESTS_PER_SECOND, "", range, MINUTE_MS);
    assert_eq!((rate[0].count, rate[0].mean), (25, 1.0));
    assert!(running.history(metric::RESPONSE_TIME, "elsewhere", range, 10_000).is_empty());
}

#[test]
fn a_restart_within_a_window_goes_on_with_it() {
    let dir = tempfile::tempdir().unwrap();
    for (process, second) in [1, 4, 7].into_iter().enumerate() {
        let running = Running::start(dir.path());
        running.record(10.0 * (process + 1) as f64);
        running.tick(START_MS + second * 1_000);
    }
    let running = Running::start(dir.path());
    let points = running.history(metric::RESPONSE_TIME, "", (START_MS, START_MS + MINUTE_MS), 10_000);
    assert_eq!(points.len(), 1);
    assert_eq!((points[0].count, points[0].min, points[0].max), (3, 10.0, 30.0));
}

#[test]
fn seconds_that_were_not_persisted_in_time_are_persisted_later() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path());
    for second in 1..=30 {
        running.record(1.0);
        running.telemetry.tick(START_MS + second * 1_000);
    }
    running.store.persist(&running.telemetry, START_MS + 30_000);
    running.store.flush();
    let points = running.history(metric::RESPONSE_TIME, "", (START_MS, START_MS + MINUTE_MS), 10_000);
    assert_eq!(points.iter().map(|point| point.count).collect::<Vec<_>>(), [10, 10, 10]);
}

#[test]
fn percentiles_are_as_right_in_coarse_tiers_as_in_fine_ones() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path());
    let mut rng = fastrand::Rng::with_seed(11);
    let mut values = Vec::new();
    // Three hours, a tick every ten seconds: few requests here, many there, so that an average of percentiles is wrong.
    let until_ms = START_MS + 3 * HOUR_MS;
    for now_ms in (START_MS + 10_000..=until_ms).step_by(10_000) {
        let is_busy = rng.u8(..) < 20;
        for _ in 0..if is_busy { 50 } else { 1 } {
            let value = (if is_busy { 500.0 } else { 5.0 }) * (0.5 + rng.f64());
            values.push(value);
            running.record(value);
        }
        running.tick(now_ms);
    }
    // One more tick closes the last windows.
    running.tick(until_ms + 20_000);
    values.sort_by(f64::total_cmp);
    for step_ms in [10_000, MINUTE_MS, 5 * MINUTE_MS, HOUR_MS, 3 * HOUR_MS] {
        let points = running.history(metric::RESPONSE_TIME, "engine/m", (START_MS, until_ms), step_ms);
        assert_eq!(points.iter().map(|point| point.count).sum::<u64>(), values.len() as u64, "step {step_ms}");
        assert!(points.iter().all(|point| point.at_ms % step_ms == 0), "step {step_ms}");
    }
    let whole = running.history(metric::RESPONSE_TIME, "engine/m", (START_MS, until_ms), 3 * HOUR_MS);
    assert_eq!(whole.len(), 1);
    for (found, q) in [(whole[0].p50, 0.5), (whole[0].p95, 0.95), (whole[0].p99, 0.99)] {
        let exact = values[(q * (values.len() - 1) as f64) as usize];
        assert!((found / exact - 1.0).abs() <= RELATIVE_ERROR * 1.001, "{q}: {found} for {exact}");
    }
}

#[test]
fn the_newest_part_comes_from_finer_tiers_and_the_oldest_from_coarser_ones() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path());
    let day_ms = 24 * HOUR_MS;
    // A request every ten minutes for ten days.
    let until_ms = START_MS + 10 * day_ms;
    for now_ms in (START_MS + 10 * MINUTE_MS..=until_ms).step_by(10 * MINUTE_MS as usize) {
        running.record(1.0);
        running.tick(now_ms);
    }
    let count = |points: &[HistoryPoint]| points.iter().map(|point| point.count).sum::<u64>();
    // The last day is not rolled up to days yet.
    let days = running.history(metric::RESPONSE_TIME, "", (START_MS, until_ms), day_ms);
    assert_eq!((days.len(), count(&days)), (10, 10 * 24 * 6));
    // Raw windows are kept for two days: for ten, minutes for seven days are too few, and five minutes answer.
    let all = running.history(metric::RESPONSE_TIME, "", (START_MS, until_ms), 100_000);
    assert_eq!(count(&all), 10 * 24 * 6);
    assert!(all.iter().all(|point| point.at_ms % (5 * MINUTE_MS) == 0));
    // And what they were made of is gone.
    let recent = running.history(metric::RESPONSE_TIME, "", (until_ms - HOUR_MS, until_ms), 10_000);
    assert_eq!(recent.len(), 6);
}

#[test]
fn a_late_window_is_rolled_up_again() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path());
    for now_ms in (START_MS + 10_000..=START_MS + 2 * HOUR_MS).step_by(10_000) {
        running.record(1.0);
        running.tick(now_ms);
    }
    // The clock is set back by an hour.
    for now_ms in (START_MS + HOUR_MS + 1_000..START_MS + HOUR_MS + 60_000).step_by(1_000) {
        running.record(1.0);
        running.tick(now_ms);
    }
    for now_ms in (START_MS + 2 * HOUR_MS + 10_000..=START_MS + 4 * HOUR_MS).step_by(10_000) {
        running.tick(now_ms);
    }
    let hours = running.history(metric::RESPONSE_TIME, "", (START_MS, START_MS + 2 * HOUR_MS), HOUR_MS);
    assert_eq!(hours.iter().map(|point| point.count).collect::<Vec<_>>(), [360, 360 + 59]);
}

#[test]
fn too_many_points_are_refused_with_the_step_that_is_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let query = |to_ms, step_ms| HistoryQuery {
        metric: metric::RESPONSE_TIME.to_owned(),
        scope: Scope::global(),
        from_ms: 1_000,
        to_ms,
        step_ms,
    };
    let to_ms = 1_000 + 30 * 24 * HOUR_MS;
    let Err(StoreError::TooManyPoints { points, allowed_step_ms, .. }) = store.history(&query(to_ms, 10_000)) else {
        panic!("thirty days of ten seconds are too many");
    };
    assert_eq!(points, 259_200);
    assert!(store.history(&query(to_ms, allowed_step_ms)).is_ok());
    assert!(allowed_step_ms.is_multiple_of(10_000) && points.div_ceil(allowed_step_ms / 10_000) <= MOST_POINTS);
    assert!(matches!(store.history(&query(500, 10_000)), Err(StoreError::EmptyRange { .. })));
    assert!(store.history(&query(u64::MAX, u64::MAX)).is_ok());
    assert!(matches!(store.history(&query(u64::MAX, 0)), Err(StoreError::TooManyPoints { .. })));
}

fn decision(id: u64, strategy: &str, knob: &str) -> Decision {
    Decision {
        id,
        cycle: id,
        at_ms: START_MS + id,
        strategy: strategy.to_owned(),
        digest: "ab".to_owned(),
        proposal: Proposal {
            name: knob.to_owned(),
            scope: Scope::global(),
            value: Value::Integer(8),
            reason: "queue grows".to_owned(),
            expected: None,
            confidence: 0.5,
        },
        verdict: Verdict::Applied,
        detail: String::new(),
        before: Value::Integer(4),
        applied: Some(Value::Integer(8)),
        measured: None,
        guardrail: None,
    }
}

fn cycle(id: u64) -> CycleRecord {
    CycleRecord {
        id,
        at_ms: START_MS + id,
        strategy: "balanced@0.1.0".to_owned(),
        digest: "ab".to_owned(),
        observation: Observation { seed: u64::MAX, ..Observation::default() },
        duration_us: 70,
        ..CycleRecord::default()
    }
}

#[test]
fn decisions_are_found_page_by_page_and_take_updates() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.next_ids().map(|ids| (ids.cycle, ids.decision)).unwrap(), (1, 1));
    for id in 1..=20 {
        let (strategy, knob) = if id % 2 == 0 { ("balanced@0.1.0", "retries") } else { ("bal@1", "queue_length") };
        store.record_decision(decision(id, strategy, knob));
    }
    let measured = Measurement { metric: metric::RESPONSE_TIME.to_owned(), before: 10.0, after: 30.0 };
    let update = DecisionUpdate {
        id: 20,
        verdict: Verdict::RolledBack,
        detail: "response time got worse".to_owned(),
        measured: Some(measured.clone()),
        guardrail: Some(metric::RESPONSE_TIME.to_owned()),
    };
    store.update_decision(update.clone());
    store.update_decision(DecisionUpdate { id: 9_999, ..update });
    store.flush();

    let ids = |query: DecisionQuery| -> Vec<u64> {
        store.decisions(&query).unwrap().iter().map(|decision| decision.id).collect()
    };
    assert_eq!(ids(DecisionQuery { limit: 3, ..DecisionQuery::default() }), [20, 19, 18]);
    assert_eq!(ids(DecisionQuery { limit: 2, before_id: Some(18), ..DecisionQuery::default() }), [17, 16]);
    assert_eq!(ids(DecisionQuery { limit: MOST_DECISIONS_AT_ONCE * 2, ..DecisionQuery::default() }).len(), 20);
    let of_name = DecisionQuery { strategy: Some("bal".to_owned()), ..DecisionQuery::default() };
    assert_eq!(ids(of_name).len(), 10);
    let of_version = DecisionQuery { strategy: Some("balanced@0.1.0".to_owned()), ..DecisionQuery::default() };
    assert_eq!(ids(of_version)[0], 20);
    let of_knob = DecisionQuery { knob: Some("queue_length".to_owned()), limit: 1, ..DecisionQuery::default() };
    assert_eq!(ids(of_knob), [19]);

    let newest = &store.decisions(&DecisionQuery { limit: 1, ..DecisionQuery::default() }).unwrap()[0];
    assert_eq!((newest.verdict, newest.measured.as_ref()), (Verdict::RolledBack, Some(&measured)));
    assert_eq!(newest.proposal, decision(20, "", "retries").proposal);
}

#[test]
fn cycles_in_short_tell_what_became_of_their_proposals_by_now() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let requests = CycleRequests { total: 9, errors: 1, rejected: 2, cache_hits: 3, cache_misses: 4 };
    store.record_cycle(CycleRecord { requests: Some(requests), ..cycle(1) });
    let failure = Some("trap".to_owned());
    store.record_cycle(CycleRecord { failure, strategy: "bal@1".to_owned(), ..cycle(2) });
    for (id, verdict) in [(1, Verdict::Applied), (2, Verdict::Clamped), (3, Verdict::Refused)] {
        store.record_decision(Decision { cycle: 1, verdict, ..decision(id, "balanced@0.1.0", "retries") });
    }
    store.flush();
    let list = |query: CycleListQuery| store.cycle_summaries(&query).unwrap();
    let all = list(CycleListQuery { limit: 10, ..CycleListQuery::default() });
    assert_eq!(all.iter().map(|one| (one.id, one.is_success)).collect::<Vec<_>>(), [(2, false), (1, true)]);
    assert_eq!((all[0].failure.as_deref(), all[0].validations), (Some("trap"), Validations::default()));
    assert_eq!((all[1].requests, all[1].duration_us, all[1].at_ms), (Some(requests), 70, START_MS + 1));
    let given = Validations { total: 3, applied: 1, clamped: 1, refused: 1, rolled_back: 0 };
    assert_eq!(all[1].validations, given);

    let (verdict, detail) = (Verdict::RolledBack, String::new());
    store.update_decision(DecisionUpdate { id: 1, verdict, detail, measured: None, guardrail: None });
    store.flush();
    let of_one = list(CycleListQuery { limit: 10, strategy: Some("balanced".to_owned()), before_id: Some(2) });
    assert_eq!(of_one.len(), 1);
    assert_eq!(of_one[0].validations, Validations { applied: 0, rolled_back: 1, ..given });
    assert!(list(CycleListQuery { limit: 10, before_id: Some(1), ..CycleListQuery::default() }).is_empty());
}

#[test]
fn cycles_are_bounded_and_come_with_their_decisions() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    // A multiple of 64, after which old rows are deleted.
    let last = MOST_CYCLES + 624;
    for id in 1..=last {
        store.record_cycle(cycle(id));
        if id == last - 5 {
            store.record_decision(decision(id, "s@1", "retries"));
            store.record_decision(Decision { id: id + 1, ..decision(id, "s@1", "retries") });
        }
    }
    store.flush();
    assert_eq!(store.cycle(624).unwrap(), None);
    assert_eq!(store.cycle(625).unwrap(), Some(cycle(625)));
    assert_eq!(store.cycle(last).unwrap(), Some(cycle(last)));
    let every = CycleListQuery { limit: usize::MAX, ..CycleListQuery::default() };
    assert_eq!(store.cycle_summaries(&every).unwrap().len(), MOST_SUMMARIES_AT_ONCE);
    let oldest = CycleListQuery { before_id: Some(626), ..every };
    assert_eq!(store.cycle_summaries(&oldest).unwrap().iter().map(|one| one.id).collect::<Vec<_>>(), [625]);
    let span = store.cycle_span(&CycleQuery { last: Some(10), ..CycleQuery::default() }).unwrap().unwrap();
    assert_eq!((span.start, span.first, span.last), (625, last - 9, last));
    let logged = store.cycles(span.first, span.last, 99).unwrap();
    let decisions: Vec<usize> = logged.iter().map(|logged| logged.decisions.len()).collect();
    assert_eq!(decisions, [0, 0, 0, 0, 2, 0, 0, 0, 0, 0]);
    assert_eq!(store.cycles(1, last, u64::MAX).unwrap().len() as u64, MOST_CYCLES_AT_ONCE);
    drop(store);
    let ids = Store::open(dir.path()).unwrap().next_ids().unwrap();
    assert_eq!((ids.cycle, ids.decision), (last + 1, last - 3));
}

/// The files in a folder with their sizes, without the index of the write-ahead log that every reader may touch.
fn files(dir: &Path) -> Vec<(String, u64)> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<(String, u64)> = entries
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().len()))
        .filter(|(name, _)| !name.ends_with("-shm"))
        .collect();
    files.sort();
    files
}

#[test]
fn a_store_is_read_beside_the_host_that_writes_it_and_after() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(ReadOnlyStore::open(dir.path()), Err(StoreError::File { .. })));
    assert_eq!(files(dir.path()), []);

    let store = Store::open(dir.path()).unwrap();
    store.record_cycle(cycle(1));
    store.flush();
    let before = files(dir.path());
    let reader = ReadOnlyStore::open(dir.path()).unwrap();
    assert_eq!(reader.span(&CycleQuery::default()).unwrap().map(|span| span.last), Some(1));
    assert_eq!(files(dir.path()), before, "reading changes no file");
    store.record_cycle(cycle(2));
    store.flush();
    assert_eq!(reader.cycles(1, 9, 9).unwrap().iter().map(|logged| logged.record.id).collect::<Vec<_>>(), [1, 2]);
    drop(store);
    assert_eq!(reader.cycles(1, 9, 9).unwrap().len(), 2);
    drop(reader);

    let reader = ReadOnlyStore::open(dir.path()).unwrap();
    assert_eq!(reader.cycles(1, 9, 9).unwrap().len(), 2);
    drop(reader);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!((store.next_ids().unwrap().cycle, store.failed_writes()), (3, 0));
    assert_eq!(set_aside(dir.path()), Vec::<String>::new());
}

#[test]
fn a_damaged_file_is_left_as_it_is_by_those_who_only_read() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("perfhost.db"), "not a database, and long enough to be looked at as one").unwrap();
    let before = files(dir.path());
    assert!(matches!(ReadOnlyStore::open(dir.path()), Err(StoreError::Database { .. })));
    assert_eq!(files(dir.path()), before);
}

#[test]
fn state_outlives_the_store_and_is_read_as_written() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.put_state("strategy/balanced", b"one");
    store.put_state("strategy/balanced", &[0, 255]);
    assert_eq!(store.state("strategy/balanced").unwrap().as_deref(), Some(&[0, 255][..]));
    let clone = store.clone();
    drop(store);
    clone.put_state("other", b"");
    drop(clone);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.state("strategy/balanced").unwrap().as_deref(), Some(&[0, 255][..]));
    assert_eq!(store.state("other").unwrap().as_deref(), Some(&[][..]));
    assert_eq!(store.state("none").unwrap(), None);
    assert_eq!(store.failed_writes(), 0);
}

fn set_aside(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("perfhost.db.corrupt-")).collect()
}

#[test]
fn a_file_that_is_no_database_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(FILE_NAME), vec![b'x'; 10_000]).unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.put_state("a", b"b");
    assert_eq!(store.state("a").unwrap().as_deref(), Some(&b"b"[..]));
    assert_eq!(set_aside(dir.path()).len(), 1);
}

#[test]
fn a_database_damaged_inside_is_found_after_an_unclean_end() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    for key in 0..200 {
        store.put_state(&format!("key {key}"), &[7; 1_000]);
    }
    drop(store);
    let path = dir.path().join(FILE_NAME);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8_192].fill(0xaa);
    fs::write(&path, bytes).unwrap();
    fs::write(dir.path().join("perfhost.db.in-use"), b"").unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.state("key 1").unwrap(), None);
    assert_eq!(set_aside(dir.path()).len(), 1);
}

#[test]
fn a_newer_file_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path()).unwrap());
    let path = dir.path().join(FILE_NAME);
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    connection.close().unwrap();
    let before = fs::read(&path).unwrap();
    let error = Store::open(dir.path()).map(|_| ()).unwrap_err();
    assert!(matches!(error, StoreError::NewerSchema { found: 99, .. }), "{error}");
    assert!(fs::read(&path).unwrap() == before, "the file was changed");
    assert!(set_aside(dir.path()).is_empty());
}

#[test]
fn many_threads_read_while_one_writes() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let store = running.store.clone();
            scope.spawn(move || {
                let query = HistoryQuery {
                    metric: metric::RESPONSE_TIME.to_owned(),
                    scope: Scope::global(),
                    from_ms: START_MS,
                    to_ms: START_MS + HOUR_MS,
                    step_ms: MINUTE_MS,
                };
                for _ in 0..50 {
                    store.history(&query).unwrap();
                    store.decisions(&DecisionQuery::default()).unwrap();
                }
            });
        }
        for second in 1..=100 {
            running.record(1.0);
            running.telemetry.tick(START_MS + second * 1_000);
            running.store.persist(&running.telemetry, START_MS + second * 1_000);
            running.store.record_decision(decision(second, "s@1", "retries"));
        }
    });
    running.store.flush();
    let all = running.history(metric::RESPONSE_TIME, "", (START_MS, START_MS + HOUR_MS), HOUR_MS);
    assert_eq!(all[0].count, 100);
    assert_eq!(running.store.failed_writes(), 0);
}

#[test]
fn a_histogram_counts_every_measurement_of_the_range_once() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path());
    for (at_ms, total_ms) in [(1_000, 0.0), (1_000, 499.0), (12_000, 600.0), (25_000, 3_000.0), (25_000, 99_000.0)] {
        // A tick belongs to where it began: a second ago.
        running.tick(START_MS + at_ms);
        running.record(total_ms);
        running.tick(START_MS + at_ms + 1_000);
    }
    let query = |from_ms, to_ms| HistoryQuery {
        metric: metric::RESPONSE_TIME.to_owned(),
        scope: Scope::global(),
        from_ms: START_MS + from_ms,
        to_ms: START_MS + to_ms,
        step_ms: 10_000,
    };
    let counts = |from_ms, to_ms| running.store.histogram(&query(from_ms, to_ms), &[500.0, 1_000.0, 5_000.0]).unwrap();
    assert_eq!(counts(0, 30_000), [2, 1, 1, 1]);
    assert_eq!(counts(10_000, 20_000), [0, 1, 0, 0]);
    assert_eq!(counts(60_000, 90_000), [0, 0, 0, 0]);
    let outcomes = running.telemetry.outcomes();
    assert_eq!(outcomes[0], (RequestOutcome::Success, 5));
    assert_eq!(outcomes.iter().map(|(_, count)| count).sum::<u64>(), 5);
}
