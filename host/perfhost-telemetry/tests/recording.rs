//! From recorded requests to windows: rates, scopes, strategies, and that nothing is lost while ticks go on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use perfhost_strategy::Scope;
use perfhost_strategy::observation::{Metric, Summary, metric};
use perfhost_strategy::plan::Operation;
use perfhost_telemetry::window::RING_TICKS;
use perfhost_telemetry::{CacheStatus, Phase, RequestOutcome, RequestRecord, SeriesId, Telemetry};

const MINUTE: Duration = Duration::from_secs(60);

fn success(series: SeriesId, total_ms: u64) -> RequestRecord {
    let mut phases_ns = [0; Phase::COUNT];
    phases_ns[Phase::Stream as usize] = total_ms * 1_000_000;
    RequestRecord {
        series,
        outcome: RequestOutcome::Success,
        cache: CacheStatus::Miss,
        is_streaming: false,
        phases_ns,
        total_ns: total_ms * 1_000_000,
        ttft_ns: None,
        prompt_tokens: 10,
        output_tokens: 5,
        saved_ns: 0,
    }
}

fn find(metrics: &[Metric], name: &str, scope: &Scope) -> Option<Summary> {
    metrics.iter().find(|metric| metric.name == name && metric.scope == *scope).map(|metric| metric.summary)
}

#[test]
fn requests_count_for_the_host_their_provider_their_model_and_their_strategy() {
    let telemetry = Telemetry::new();
    let recorder = telemetry.recorder();
    let small = telemetry.series("engine", "org/small", "balanced", Operation::Chat);
    let large = telemetry.series("engine", "large", "aggressive", Operation::Chat);
    recorder.record(&success(small, 10));
    recorder.record(&success(large, 30));
    telemetry.tick(1_000);

    let seen = telemetry.window(MINUTE);
    let mean = |scope: &Scope| find(&seen, metric::RESPONSE_TIME, scope).map(|summary| (summary.count, summary.mean));
    assert_eq!(mean(&Scope::global()), Some((2, 20.0)));
    assert_eq!(mean(&Scope::provider("engine")), Some((2, 20.0)));
    assert_eq!(mean(&Scope::model("engine", "org/small")), Some((1, 10.0)));
    assert_eq!(mean(&Scope::model("engine", "large")), Some((1, 30.0)));

    let strategies = telemetry.by_strategy(MINUTE);
    let names: Vec<&str> = strategies.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["aggressive", "balanced"]);
    let of_aggressive = find(&strategies[0].1, metric::RESPONSE_TIME, &Scope::global());
    assert_eq!(of_aggressive.map(|summary| summary.max), Some(30.0));
}

#[test]
fn a_window_is_the_newest_ticks_and_rates_are_over_their_time() {
    let telemetry = Telemetry::new();
    let recorder = telemetry.recorder();
    let series = telemetry.series("engine", "m", "s", Operation::Chat);
    for second in 1..=30 {
        let requests = if second <= 20 { 1 } else { 4 };
        (0..requests).for_each(|_| recorder.record(&success(series, second)));
        recorder.tokens(series, 50);
        telemetry.tick(1_000 * second + second % 7);
    }
    let host = Scope::global();
    let last_ten = telemetry.window(Duration::from_secs(10));
    let rate = find(&last_ten, metric::REQUESTS_PER_SECOND, &host).unwrap();
    assert_eq!(rate.count, 40);
    assert!((rate.mean - 4.0).abs() < 0.01, "{}", rate.mean);
    assert_eq!(find(&last_ten, metric::RESPONSE_TIME, &host).unwrap().min, 21.0);
    let tokens = find(&last_ten, metric::TOKENS_PER_SECOND, &host).unwrap();
    assert!((tokens.mean - 50.0).abs() < 0.1, "{}", tokens.mean);
    let all = telemetry.window(MINUTE);
    assert_eq!(find(&all, metric::REQUESTS_PER_SECOND, &host).unwrap().count, 60);
    assert!(last_ten.iter().all(|metric| metric.window_ms == 10_000));
}

#[test]
fn tokens_count_while_their_answer_is_still_under_way() {
    let telemetry = Telemetry::new();
    let recorder = telemetry.recorder();
    let series = telemetry.series("engine", "m", "s", Operation::Chat);
    recorder.tokens(series, 30);
    telemetry.tick(1_000);
    let seen = telemetry.window(MINUTE);
    let tokens = find(&seen, metric::TOKENS_PER_SECOND, &Scope::global()).unwrap();
    assert_eq!((tokens.count, tokens.mean), (1, 30.0));
    assert_eq!(find(&seen, metric::REQUESTS_PER_SECOND, &Scope::global()), Some(Summary::default()));
    assert_eq!(find(&seen, metric::ERROR_RATE, &Scope::global()), None);
}

#[test]
fn ratios_count_what_they_say() {
    let telemetry = Telemetry::new();
    let recorder = telemetry.recorder();
    let series = telemetry.series("engine", "m", "s", Operation::Chat);
    let outcomes = [
        (RequestOutcome::Success, CacheStatus::Hit),
        (RequestOutcome::Success, CacheStatus::Shared),
        (RequestOutcome::Success, CacheStatus::Bypass),
        (RequestOutcome::Timeout, CacheStatus::Miss),
        (RequestOutcome::Cancelled, CacheStatus::Miss),
        (RequestOutcome::ClientError, CacheStatus::Bypass),
        (RequestOutcome::Rejected, CacheStatus::Bypass),
    ];
    for (outcome, cache) in outcomes {
        recorder.record(&RequestRecord { outcome, cache, ..success(series, 5) });
    }
    telemetry.tick(1_000);
    let seen = telemetry.window(MINUTE);
    let ratio = |name| find(&seen, name, &Scope::global()).map(|summary| (summary.count, summary.mean)).unwrap();
    assert_eq!(ratio(metric::ERROR_RATE), (4, 0.25));
    assert_eq!(ratio(metric::CACHE_HIT_RATE), (4, 0.5));
    assert_eq!(ratio(metric::REJECTED_RATE), (6, 1.0 / 6.0));
    assert_eq!(find(&seen, metric::RESPONSE_TIME, &Scope::global()).unwrap().count, 3);
}

#[test]
fn gauges_are_summed_up_over_their_samples_and_forgotten() {
    let telemetry = Telemetry::new();
    let scope = Scope::provider("engine");
    for (second, busy) in [1.0, 2.0, 6.0].into_iter().enumerate() {
        telemetry.gauge(metric::ENGINE_SLOTS_BUSY, &scope, busy);
        telemetry.tick(1_000 * (second as u64 + 1));
    }
    let busy = find(&telemetry.window(MINUTE), metric::ENGINE_SLOTS_BUSY, &scope).unwrap();
    assert_eq!((busy.count, busy.mean, busy.max, busy.p50), (3, 3.0, 6.0, 2.0));
    for second in 0..RING_TICKS as u64 {
        telemetry.tick(4_000 + 1_000 * second);
    }
    assert_eq!(find(&telemetry.window(MINUTE), metric::ENGINE_SLOTS_BUSY, &scope), None);
}

#[test]
fn a_clock_that_jumps_does_not_distort_rates() {
    let telemetry = Telemetry::new();
    let recorder = telemetry.recorder();
    let series = telemetry.series("engine", "m", "s", Operation::Chat);
    for now_ms in [100_000, 101_000, 50_000, 51_000, 51_000] {
        (0..10).for_each(|_| recorder.record(&success(series, 1)));
        telemetry.tick(now_ms);
    }
    let rate = find(&telemetry.window(MINUTE), metric::REQUESTS_PER_SECOND, &Scope::global()).unwrap();
    assert_eq!((rate.count, rate.mean), (50, 10.0));
}

#[test]
fn nothing_is_lost_while_workers_record_and_ticks_go_on() {
    const WORKERS: u64 = 4;
    const EACH: u64 = 20_000;
    let telemetry = Telemetry::new();
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let telemetry = &telemetry;
                scope.spawn(move || {
                    let recorder = telemetry.recorder();
                    for at in 0..EACH {
                        let model = format!("m{}", at % 3);
                        let series = telemetry.series("engine", &model, "s", Operation::Chat);
                        recorder.record(&success(series, 1 + worker));
                        recorder.tokens(series, 2);
                    }
                })
            })
            .collect();
        let ticker = scope.spawn(|| {
            // Fewer ticks than windows keep, so that all of them can be counted at the end.
            for tick in 1..RING_TICKS as u64 - 1 {
                telemetry.tick(tick * 10);
                std::thread::yield_now();
                if is_done.load(Ordering::Acquire) {
                    return;
                }
            }
        });
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        is_done.store(true, Ordering::Release);
        ticker.join().unwrap();
    });
    telemetry.tick(1_000_000);
    let seen = telemetry.window(Duration::from_secs(10_000));
    let response = find(&seen, metric::RESPONSE_TIME, &Scope::global()).unwrap();
    assert_eq!(response.count, WORKERS * EACH);
    assert_eq!(response.mean, 2.5);
    let rate = find(&seen, metric::REQUESTS_PER_SECOND, &Scope::global()).unwrap();
    assert_eq!(rate.count, WORKERS * EACH);
    let text = perfhost_telemetry::prometheus::render(&telemetry, &[]);
    let generated: u64 = text
        .lines()
        .filter(|line| line.starts_with("perfhost_generated_tokens_total"))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum();
    assert_eq!(generated, WORKERS * EACH * 2);
}

#[test]
fn without_requests_only_gauges_are_measured() {
    let telemetry = Telemetry::without_requests();
    let recorder = telemetry.recorder();
    let series = telemetry.series("engine", "m", "balanced", Operation::Chat);
    assert_eq!(series, telemetry.series("cloud", "other", "aggressive", Operation::Embedding), "no series is made");
    recorder.record(&success(series, 10));
    recorder.tokens(series, 5);
    telemetry.gauge(metric::CPU_USAGE, &Scope::global(), 0.5);
    telemetry.tick(1_000);

    let seen = telemetry.window(MINUTE);
    assert_eq!(find(&seen, metric::CPU_USAGE, &Scope::global()).map(|summary| summary.mean), Some(0.5));
    let of_requests = seen.iter().filter(|metric| metric.name != metric::CPU_USAGE);
    assert!(of_requests.clone().all(|metric| metric.summary.max == 0.0), "{:?}", of_requests.collect::<Vec<_>>());
    assert!(telemetry.by_strategy(MINUTE).is_empty());
    assert!(telemetry.outcomes().iter().all(|(_, count)| *count == 0));
    assert!(telemetry.profiles(|_| true, 10).is_empty());
}
