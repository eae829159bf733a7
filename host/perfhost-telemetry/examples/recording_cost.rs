//! What recording costs a worker: nanoseconds per finished request and per report of tokens, as one line of JSON.
//!
//! Run with `cargo run --release -p perfhost-telemetry --example recording_cost`. Four series in turn, with values that
//! spread as real ones do; the best of several rounds, since only disturbances make a round longer.

use std::time::Instant;

use perfhost_strategy::plan::Operation;
use perfhost_telemetry::{CacheStatus, Phase, RequestOutcome, RequestRecord, SeriesId, Telemetry};

const ROUNDS: usize = 15;
const PER_ROUND: usize = 200_000;

#[allow(clippy::print_stdout, reason = "its output is its purpose")]
fn main() {
    let telemetry = Telemetry::new();
    let recorder = telemetry.recorder();
    let series: Vec<SeriesId> =
        ["a", "b", "c", "d"].map(|model| telemetry.series("engine", model, "balanced", Operation::Chat)).to_vec();
    let records: Vec<RequestRecord> = (0..1_024).map(|at| record(series[at % series.len()], at as u64)).collect();

    let mut now_ms = 0;
    let mut best = |run: &dyn Fn(usize)| {
        let mut best_ns = f64::INFINITY;
        for _ in 0..ROUNDS {
            let started = Instant::now();
            (0..PER_ROUND).for_each(run);
            best_ns = best_ns.min(started.elapsed().as_nanos() as f64 / PER_ROUND as f64);
            now_ms += 1_000;
            telemetry.tick(now_ms);
        }
        best_ns
    };
    let record_ns = best(&|at| recorder.record(&records[at % records.len()]));
    let tokens_ns = best(&|at| recorder.tokens(series[at % series.len()], 1));

    recorder.record(&records[0]);
    let started = Instant::now();
    telemetry.tick(now_ms + 1_000);
    let tick_us = started.elapsed().as_nanos() as f64 / 1_000.0;
    println!(
        r#"{{"record_ns":{record_ns:.1},"tokens_ns":{tokens_ns:.1},"tick_us":{tick_us:.1},"series":{}}}"#,
        series.len()
    );
}

/// A streamed answer that took between 1 and about 1,000 ms.
fn record(series: SeriesId, at: u64) -> RequestRecord {
    let scale = 1 + (at * 7_919) % 1_000;
    let mut phases_ns = [0; Phase::COUNT];
    for (phase, share) in phases_ns.iter_mut().zip([9, 6, 1, 2, 40, 30, 8, 200_000, 800_000, 3]) {
        *phase = share * scale;
    }
    RequestRecord {
        series,
        outcome: RequestOutcome::Success,
        cache: CacheStatus::Miss,
        is_streaming: true,
        total_ns: phases_ns.iter().sum(),
        phases_ns,
        ttft_ns: Some(200_099 * scale),
        prompt_tokens: (scale % 700) as u32,
        output_tokens: 2 + (scale % 300) as u32,
        saved_ns: 0,
    }
}
