//! The windows of a simulated host against telemetry's own, fed with the same requests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use perfhost_simulation::operator::{Beginning, Direction, STARTS_AT_MS};
use perfhost_simulation::scenario::{
    CloudSpec, Disturbance, Effect, EngineSpec, ModelSpec, ProviderSpec, Repeats, Requests,
};
use perfhost_simulation::{CacheUse, Ending, Operator, RequestEnd, Scenario, simulate};
use perfhost_strategy::observation::{Metric, Summary, metric};
use perfhost_strategy::plan::Operation;
use perfhost_strategy::{Candidate, Observation, Plan, PlanRequest, Scope, Settings, StrategyError, Value};
use perfhost_telemetry::{CacheStatus, Phase, RequestOutcome, RequestRecord, Telemetry};

#[derive(Default)]
struct Witness {
    settings: Arc<Settings>,
    names: Vec<String>,
    ends: Vec<RequestEnd>,
    seen: Vec<Observation>,
}

impl Operator for Witness {
    fn begin(&mut self, beginning: &Beginning<'_>) -> Result<(), StrategyError> {
        self.settings = beginning.settings.clone();
        self.names = beginning.fleet.models.clone();
        Ok(())
    }

    fn direct(&mut self, asked: &PlanRequest, candidates: &[Candidate]) -> Direction {
        Direction { plan: Plan::default_for(asked, candidates), settings: self.settings.clone(), arm: 0 }
    }

    fn look(&mut self, seen: &Observation) -> Option<Arc<Settings>> {
        self.seen.push(seen.clone());
        None
    }

    fn finished(&mut self, end: &RequestEnd) {
        self.ends.push(*end);
    }
}

/// Overload, failures, hits and whole answers, at two providers with a model of their own and one in common.
fn eventful() -> Scenario {
    let model = |name: &str| ModelSpec { name: name.to_owned(), ..ModelSpec::default() };
    let failing = Effect::Failing { provider: "cloud".to_owned(), share: 0.5 };
    let shares = [("common", 0.5), ("own", 0.5)]
        .map(|(name, share)| perfhost_simulation::scenario::ModelShare { name: name.to_owned(), share });
    Scenario {
        duration_s: 150.0,
        arrivals: perfhost_simulation::scenario::Arrivals::Poisson { per_second: 6.0 },
        requests: Requests {
            streamed: 0.7,
            deterministic: 0.6,
            repeats: Some(Repeats { share: 0.4, distinct: 50, exponent: 1.0 }),
            models: shares.to_vec(),
            ..Requests::default()
        },
        providers: vec![
            ProviderSpec::Engine(EngineSpec { models: vec![model("common")], ..EngineSpec::default() }),
            ProviderSpec::Cloud(CloudSpec {
                models: vec!["common".to_owned(), "own".to_owned()],
                ..CloudSpec::default()
            }),
        ],
        disturbances: vec![Disturbance { at_s: 60.0, for_s: 60.0, effect: failing }],
        knobs: [("concurrency_limit".to_owned(), Value::Integer(6)), ("queue_length".to_owned(), Value::Integer(3))]
            .into(),
        ..Scenario::default()
    }
}

fn outcome(ending: Ending) -> RequestOutcome {
    match ending {
        Ending::Success => RequestOutcome::Success,
        Ending::Rejected => RequestOutcome::Rejected,
        Ending::ClientError => RequestOutcome::ClientError,
        Ending::UpstreamError => RequestOutcome::UpstreamError,
        Ending::Timeout => RequestOutcome::Timeout,
        Ending::Cancelled => RequestOutcome::Cancelled,
        Ending::Unavailable => RequestOutcome::Unavailable,
    }
}

fn record(telemetry: &Telemetry, witness: &Witness, end: &RequestEnd) -> RequestRecord {
    // Providers are numbered by name.
    let provider = end.provider.map_or("", |number| ["cloud", "local"][number]);
    let nanoseconds = |ms: f64| (ms * 1e6).round() as u64;
    let mut phases_ns = [0; Phase::COUNT];
    phases_ns[Phase::Identify as usize] = nanoseconds(0.1);
    phases_ns[Phase::Admit as usize] = nanoseconds(end.queue_ms);
    phases_ns[Phase::Stream as usize] = nanoseconds(end.upstream_ms);
    RequestRecord {
        series: telemetry.series(provider, &witness.names[end.model], "nobody", Operation::Chat),
        outcome: outcome(end.ending),
        cache: match end.cache {
            CacheUse::Bypass => CacheStatus::Bypass,
            CacheUse::Miss => CacheStatus::Miss,
            CacheUse::Hit => CacheStatus::Hit,
            CacheUse::Shared => CacheStatus::Shared,
        },
        is_streaming: end.is_streaming,
        phases_ns,
        total_ns: nanoseconds(end.response_ms),
        ttft_ns: end.first_token_ms.map(nanoseconds),
        prompt_tokens: end.prompt_tokens,
        output_tokens: end.output_tokens,
        saved_ns: 0,
    }
}

/// Metrics that are made of requests; generated tokens and gauges are not in a request's end.
fn of_requests(metrics: &[Metric]) -> BTreeMap<(u32, &Scope, &str), (&str, Summary)> {
    const OTHERS: [&str; 13] = [
        metric::IN_FLIGHT,
        metric::QUEUE_LENGTH,
        metric::CPU_USAGE,
        metric::MEMORY_USED,
        metric::MEMORY_USAGE,
        metric::PROCESS_CPU,
        metric::PROCESS_MEMORY,
        metric::TOKENS_PER_SECOND,
        metric::ENGINE_SLOTS_BUSY,
        metric::ENGINE_REQUESTS_DEFERRED,
        metric::ENGINE_TOKENS_PER_SECOND,
        metric::PROVIDER_DOWN,
        metric::STRATEGY_FAILING,
    ];
    let is_of_requests = |name: &str| !OTHERS.contains(&name);
    let wanted = metrics.iter().filter(|metric| is_of_requests(&metric.name));
    wanted.map(|one| ((one.window_ms, &one.scope, one.name.as_str()), (one.unit.as_str(), one.summary))).collect()
}

#[test]
fn every_window_shows_what_telemetry_shows_of_the_same_requests() {
    let (run, witness) = simulate(&eventful(), 11, Witness::default()).unwrap();
    assert!(run.whole.error_rate > 0.05 && run.whole.rejected_rate > 0.05 && run.whole.cache_hit_rate > 0.05);
    let telemetry = Telemetry::new();
    let recorder = telemetry.recorder();
    let mut ends = witness.ends.iter().peekable();
    let mut compared = 0;
    for second in 1..=145 {
        let now_ms = STARTS_AT_MS + second * 1_000;
        while let Some(end) = ends.next_if(|end| end.ended.as_us() <= second * 1_000_000) {
            recorder.record(&record(&telemetry, &witness, end));
        }
        telemetry.tick(now_ms);
        let Some(seen) = witness.seen.iter().find(|seen| seen.now_ms == now_ms) else { continue };
        let real: Vec<Metric> =
            [10, 30, 60].iter().flat_map(|seconds| telemetry.window(Duration::from_secs(*seconds))).collect();
        let (simulated, real) = (of_requests(&seen.metrics), of_requests(&real));
        assert_eq!(simulated.keys().collect::<Vec<_>>(), real.keys().collect::<Vec<_>>(), "at {second} s");
        for (key, (unit, found)) in &simulated {
            let (expected_unit, expected) = &real[key];
            assert_eq!((unit, found.count), (expected_unit, expected.count), "{key:?} at {second} s");
            let numbers = |one: &Summary| [one.mean, one.min, one.max, one.p50, one.p95, one.p99];
            for (found, expected) in numbers(found).into_iter().zip(numbers(expected)) {
                // Telemetry's percentiles are sketched, within 1 %.
                let is_near = (found - expected).abs() <= 0.011 * expected.abs() + 1e-9;
                assert!(is_near, "{key:?} at {second} s: {found} for {expected}");
            }
            compared += 1;
        }
    }
    assert!(compared > 5_000, "{compared}");
}
