//! What a question to history costs: milliseconds for ranges of up to thirty days, as one line of JSON.
//!
//! Run with `cargo run --release -p perfhost-telemetry --example history_queries`. Thirty days of five scopes are made up
//! first, a sample a minute (coarser tiers then hold what they would of one a second); each question is asked a hundred
//! times, and the median and the longest are told.

use std::time::{Duration, Instant};

use perfhost_strategy::Scope;
use perfhost_strategy::observation::metric;
use perfhost_telemetry::{HistoryQuery, Retention, Store, StoreError, Telemetry};

const DAY_MS: u64 = 86_400_000;
const START_MS: u64 = 20_000 * DAY_MS;
const END_MS: u64 = START_MS + 30 * DAY_MS;
const TIMES: usize = 100;

#[allow(clippy::print_stdout, reason = "its output is its purpose")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let store = Store::open_with(folder.path(), Retention::default())?;
    fill(&store);
    let mut figures = Vec::new();
    for (name, range_ms, step_ms) in [
        ("day_5m", DAY_MS, 300_000),
        ("week_5m", 7 * DAY_MS, 300_000),
        ("thirty_days_1h", 30 * DAY_MS, 3_600_000),
        ("thirty_days_1d", 30 * DAY_MS, DAY_MS),
    ] {
        let (median, longest, points) = ask(&store, range_ms, step_ms)?;
        figures.push(format!(
            r#""{name}":{{"points":{points},"p50_ms":{:.2},"max_ms":{:.2}}}"#,
            median.as_secs_f64() * 1e3,
            longest.as_secs_f64() * 1e3
        ));
    }
    println!("{{{}}}", figures.join(","));
    Ok(())
}

fn fill(store: &Store) {
    let telemetry = Telemetry::new();
    let scopes: Vec<Scope> = (0..5).map(|at| Scope::provider(&format!("p{at}"))).collect();
    let mut random = fastrand::Rng::with_seed(1);
    for now_ms in (START_MS + 60_000..=END_MS).step_by(60_000) {
        for scope in &scopes {
            for _ in 0..4 {
                telemetry.gauge(metric::IN_FLIGHT, scope, 100.0 * random.f64());
            }
        }
        telemetry.tick(now_ms);
        store.persist(&telemetry, now_ms);
        if (now_ms / 60_000).is_multiple_of(60) {
            store.flush();
        }
    }
    store.flush();
}

fn ask(store: &Store, range_ms: u64, step_ms: u64) -> Result<(Duration, Duration, usize), StoreError> {
    let query = HistoryQuery {
        metric: metric::IN_FLIGHT.to_owned(),
        scope: Scope::provider("p2"),
        from_ms: END_MS - range_ms,
        to_ms: END_MS,
        step_ms,
    };
    let mut times = Vec::with_capacity(TIMES);
    let mut points = 0;
    for _ in 0..TIMES {
        let started = Instant::now();
        points = store.history(&query)?.points.len();
        times.push(started.elapsed());
    }
    times.sort_unstable();
    Ok((times[TIMES / 2], times[TIMES - 1], points))
}
