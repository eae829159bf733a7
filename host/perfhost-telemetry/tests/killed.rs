//! What is left after kill -9: a whole file that lacks at most the second that was being persisted.
//!
//! The test runs itself again as a child that persists as fast as it can, each round one made-up second, and says which
//! round it has handed over and seen committed. The parent kills it at random moments and looks at what is there.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use perfhost_strategy::Scope;
use perfhost_strategy::observation::metric;
use perfhost_strategy::plan::Operation;
use perfhost_telemetry::{CacheStatus, HistoryQuery, Phase, RequestOutcome, RequestRecord, Store, Telemetry};

const DIR: &str = "PERFHOST_TEST_KILLED_DIR";
const FIRST_SECOND: &str = "PERFHOST_TEST_KILLED_FIRST_SECOND";
const START_MS: u64 = 20_000 * 86_400_000;
const KILLS: u64 = 12;

/// The child; does nothing when the test program is run as usual.
#[test]
fn persist_until_killed() {
    let (Ok(dir), Ok(first)) = (std::env::var(DIR), std::env::var(FIRST_SECOND)) else { return };
    let store = Store::open(Path::new(&dir)).unwrap();
    let telemetry = Telemetry::new();
    let recorder = telemetry.recorder();
    let series = telemetry.series("engine", "m", "s", Operation::Chat);
    let mut out = std::io::stdout().lock();
    for second in first.parse::<u64>().unwrap().. {
        recorder.record(&RequestRecord {
            series,
            outcome: RequestOutcome::Success,
            cache: CacheStatus::Miss,
            is_streaming: false,
            phases_ns: [0; Phase::COUNT],
            total_ns: 1_000_000,
            ttft_ns: None,
            prompt_tokens: 0,
            output_tokens: 0,
            saved_ns: 0,
        });
        let now_ms = START_MS + (second + 1) * 1_000;
        telemetry.tick(now_ms);
        store.persist(&telemetry, now_ms);
        store.flush();
        writeln!(out, "second {second}").unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn nothing_persisted_is_lost_and_the_file_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = fastrand::Rng::with_seed(5);
    let (mut next, mut confirmed) = (0, 0);
    for _ in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "persist_until_killed", "--nocapture"])
            .env(DIR, dir.path())
            .env(FIRST_SECOND, next.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let rounds = rng.usize(1..150);
        // Other lines are the test program's own.
        let mut seen = lines.by_ref().filter_map(|line| line.rsplit_once("second ")?.1.parse::<u64>().ok());
        let reached = seen.by_ref().nth(rounds).unwrap();
        // Somewhere in the middle of the next round.
        (0..rng.u32(..200_000)).for_each(|_| std::hint::spin_loop());
        child.kill().unwrap();
        child.wait().unwrap();
        let last = seen.last().unwrap_or(reached);
        confirmed += last + 1 - next;
        // The round that was cut off may or may not be there; the next child begins behind it.
        next = last + 2;
        let whole = rusqlite::Connection::open(dir.path().join("perfhost.db")).unwrap();
        let answer: String = whole.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(answer, "ok");
    }
    let store = Store::open(dir.path()).unwrap();
    let query = HistoryQuery {
        metric: metric::RESPONSE_TIME.to_owned(),
        scope: Scope::global(),
        from_ms: START_MS,
        to_ms: START_MS + (next + 60) * 1_000,
        step_ms: 60_000,
    };
    let found: u64 = store.history(&query).unwrap().points.iter().map(|point| point.count).sum();
    assert!((confirmed..=confirmed + KILLS).contains(&found), "{found} seconds for {confirmed}");
    assert!(
        std::fs::read_dir(dir.path())
            .unwrap()
            .all(|entry| { !entry.unwrap().file_name().to_string_lossy().contains("corrupt") })
    );
}
