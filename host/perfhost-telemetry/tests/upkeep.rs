//! How the store keeps itself in order: retention as configured, a bounded size, files of older versions, and damage that
//! shows while it is used.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "the whole file is tests")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use perfhost_strategy::Scope;
use perfhost_strategy::decision::CycleRecord;
use perfhost_strategy::observation::metric;
use perfhost_telemetry::store::FILE_NAME;
use perfhost_telemetry::{CycleListQuery, HistoryQuery, ReadOnlyStore, Retention, Store, Telemetry};

/// A whole multiple of a day, so that windows of every tier begin here.
const START_MS: u64 = 20_000 * 86_400_000;
const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// One gauge in some scopes, a sample each ten seconds.
fn fill(store: &Store, scopes: usize, from_ms: u64, until_ms: u64) {
    let telemetry = Telemetry::new();
    let scopes: Vec<Scope> = (0..scopes).map(|at| Scope::provider(&format!("p{at}"))).collect();
    let mut rng = fastrand::Rng::with_seed(3);
    for now_ms in (from_ms + 10_000..=until_ms).step_by(10_000) {
        for scope in &scopes {
            telemetry.gauge(metric::PROCESS_MEMORY, scope, 1e9 * (0.5 + rng.f64()));
        }
        telemetry.tick(now_ms);
        store.persist(&telemetry, now_ms);
        store.flush();
    }
}

fn samples(store: &Store, range_ms: (u64, u64), step_ms: u64) -> u64 {
    let query = HistoryQuery {
        metric: metric::PROCESS_MEMORY.to_owned(),
        scope: Scope::provider("p0"),
        from_ms: range_ms.0,
        to_ms: range_ms.1,
        step_ms,
    };
    store.history(&query).unwrap().points.iter().map(|point| point.count).sum()
}

fn set_aside(dir: &Path) -> usize {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let of_damage = names.filter(|name| name.starts_with("perfhost.db.corrupt-"));
    of_damage.filter(|name| !name.ends_with("-wal") && !name.ends_with("-shm")).count()
}

#[test]
fn history_is_kept_as_long_as_configured() {
    let dir = tempfile::tempdir().unwrap();
    let kept = [HOUR_MS, 3 * HOUR_MS, 6 * HOUR_MS, 3 * DAY_MS, 3 * DAY_MS].map(Duration::from_millis);
    let store = Store::open_with(dir.path(), Retention::new(kept, Retention::LEAST_BYTES).unwrap()).unwrap();
    let until_ms = START_MS + DAY_MS;
    fill(&store, 1, START_MS, until_ms);
    drop(store);
    let connection = rusqlite::Connection::open(dir.path().join(FILE_NAME)).unwrap();
    for (tier, (length_ms, kept)) in
        [(10_000, kept[0]), (MINUTE_MS, kept[1]), (5 * MINUTE_MS, kept[2])].iter().enumerate()
    {
        let windows: u64 = connection
            .query_row(
                "SELECT count(*) FROM windows JOIN series ON series.id = series WHERE tier = ?1 AND scope = 'p0'",
                [tier as i64],
                |row| row.get::<_, i64>(0),
            )
            .unwrap() as u64;
        let least = kept.as_millis() as u64 / length_ms;
        // Cleaning is done once an hour.
        let most = least + HOUR_MS / length_ms + 12;
        assert!((least - 12..=most).contains(&windows), "tier {tier}: {windows} of {least}");
    }
    drop(connection);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(samples(&store, (START_MS, until_ms), HOUR_MS), DAY_MS / 10_000, "the coarse tiers have all of it");
}

#[test]
fn a_store_that_outgrows_its_bytes_sheds_the_oldest_of_the_finest_and_shrinks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    let usual = Retention::default();
    // Some megabytes of old windows, put there at once.
    drop(Store::open(dir.path()).unwrap());
    let mut connection = rusqlite::Connection::open(&path).unwrap();
    let transaction = connection.transaction().unwrap();
    transaction.execute("INSERT INTO series VALUES (1, ?1, 'p0')", [metric::PROCESS_MEMORY]).unwrap();
    for series in 2..=200 {
        transaction.execute("INSERT INTO series VALUES (?1, 'm', ?1)", [series]).unwrap();
    }
    let blob = vec![0_u8; 200];
    for series in 1..=200 {
        for window in 0..600 {
            let start_ms = START_MS + window * 10_000;
            let row = (series, start_ms as i64, &blob);
            transaction.execute("INSERT INTO windows VALUES (0, ?1, ?2, ?3)", row).unwrap();
        }
    }
    transaction.commit().unwrap();
    connection.close().unwrap();
    let before = fs::metadata(&path).unwrap().len();
    assert!(before > Retention::LEAST_BYTES, "{before} bytes: the test needs more");

    let store = Store::open_with(dir.path(), Retention::new(usual.kept(), Retention::LEAST_BYTES).unwrap()).unwrap();
    fill(&store, 1, START_MS + 6_000_000, START_MS + 6_000_000 + 10 * MINUTE_MS);
    assert_eq!(store.failed_writes(), 0);
    assert_eq!(samples(&store, (START_MS + 6_000_000, START_MS + 2 * HOUR_MS), 10_000), 60, "the newest stays");
    drop(store);
    let after = fs::metadata(&path).unwrap().len();
    assert!(after <= Retention::LEAST_BYTES, "{after} bytes after {before}");
    let connection = rusqlite::Connection::open(&path).unwrap();
    let oldest: i64 =
        connection.query_row("SELECT min(start_ms) FROM windows WHERE tier = 0", [], |row| row.get(0)).unwrap();
    assert!(oldest as u64 > START_MS + 1_000_000, "the oldest went first");
}

/// Puts a file of the first version, as it was dumped then, in place.
fn older_file(dir: &Path) {
    let connection = rusqlite::Connection::open(dir.join(FILE_NAME)).unwrap();
    connection.execute_batch(include_str!("older/schema-1.sql")).unwrap();
    connection.close().unwrap();
}

#[test]
fn a_file_of_the_first_version_is_brought_up_to_date_with_all_that_it_holds() {
    let dir = tempfile::tempdir().unwrap();
    older_file(dir.path());
    // Reading alone brings nothing up to date, and says what does.
    let error = ReadOnlyStore::open(dir.path()).err().unwrap().to_string();
    assert!(error.contains("schema 1") && error.contains("serve with it once"), "{error}");
    let store = Store::open(dir.path()).unwrap();
    assert!(ReadOnlyStore::open(dir.path()).is_ok());
    let range = (START_MS, START_MS + HOUR_MS);
    assert_eq!((samples(&store, range, 10_000), samples(&store, range, MINUTE_MS)), (18, 18));
    let learned = store.learned("balanced").unwrap();
    assert_eq!(learned.iter().map(|learned| learned.state.as_slice()).collect::<Vec<_>>(), [b"wisdom"]);
    assert_eq!(store.state("strategy/balanced").unwrap(), None, "it has a table of its own now");
    assert_eq!(store.state("settings").unwrap().as_deref(), Some(&b"tuned"[..]));
    assert!(store.generations(10, None).unwrap().is_empty());
    let cycles = CycleListQuery { limit: 10, ..CycleListQuery::default() };
    assert!(store.cycle_summaries(&cycles).unwrap().is_empty());
    store.record_cycle(CycleRecord { id: 7, ..CycleRecord::default() });
    store.flush();
    assert_eq!(store.cycle_summaries(&cycles).unwrap()[0].id, 7);
    assert_eq!(set_aside(dir.path()), 0);
    drop(store);
    // And once only.
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.learned("balanced").unwrap().len(), 1);
}

#[test]
fn a_migration_that_is_cut_off_is_done_again_whole() {
    let dir = tempfile::tempdir().unwrap();
    older_file(dir.path());
    let path = dir.path().join(FILE_NAME);
    let connection = rusqlite::Connection::open(&path).unwrap();
    // In the way of what the migration makes.
    connection.execute_batch("CREATE TABLE learned (unexpected)").unwrap();
    connection.close().unwrap();
    assert!(Store::open(dir.path()).is_err());
    let connection = rusqlite::Connection::open(&path).unwrap();
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    let half_done: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'generations'", [], |row| row.get(0))
        .unwrap();
    assert_eq!((version, half_done), (1, 0));
    connection.execute_batch("DROP TABLE learned").unwrap();
    connection.close().unwrap();
    assert_eq!(Store::open(dir.path()).unwrap().learned("balanced").unwrap().len(), 1);
}

#[test]
fn damage_that_shows_in_use_is_set_aside_and_the_store_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    for key in 0..400 {
        store.put_state(&format!("key {key}"), &[7; 4_000]);
    }
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    // All but the first page: the connections are open and know the schema.
    let path = dir.path().join(FILE_NAME);
    let mut bytes = fs::read(&path).unwrap();
    bytes[4_096..].fill(0xaa);
    fs::write(&path, bytes).unwrap();

    // Whoever meets it first: a reader gets an error, a write is tried again in the new file.
    let _unreadable = store.state("key 300");
    store.put_state("key 301", b"new");
    store.flush();
    assert_eq!(store.replaced_files(), 1);
    store.put_state("key 302", b"newer");
    assert_eq!(store.state("key 302").unwrap().as_deref(), Some(&b"newer"[..]));
    fill(&store, 1, START_MS, START_MS + 5 * MINUTE_MS);
    assert_eq!(samples(&store, (START_MS, START_MS + HOUR_MS), MINUTE_MS), 30);
    assert_eq!(set_aside(dir.path()), 1);
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.state("key 302").unwrap().as_deref(), Some(&b"newer"[..]));
    assert_eq!((store.replaced_files(), set_aside(dir.path())), (0, 1));
}
