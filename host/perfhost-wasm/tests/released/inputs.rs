//! What the fixtures are asked: made-up inputs in which no two numbers are the same, with every case of every variant.

use perfhost_strategy::advice::Choice;
use perfhost_strategy::knob::{Bounds, Knob, OfferedKnob};
use perfhost_strategy::observation::{Gpu, Hardware, Health, Metric, ProviderState, Setting, Summary};
use perfhost_strategy::plan::{FleetNames, Operation, Target};
use perfhost_strategy::proposal::Measurement;
use perfhost_strategy::{Candidate, KnobId, Observation, Outcome, PlanRequest, Scope, Value, Verdict};
use perfhost_wasm::{History, HistoryPoint};

/// Three points that follow from the question.
pub(crate) struct AskedHistory;

impl History for AskedHistory {
    fn query(&self, metric: &str, scope: &str, from_ms: u64, to_ms: u64, step_ms: u32) -> Vec<HistoryPoint> {
        let point = |at: u64| HistoryPoint {
            at_ms: from_ms + at * u64::from(step_ms),
            count: at + (to_ms - from_ms),
            mean: metric.len() as f64 + 0.1 * at as f64,
            p95: scope.len() as f64 * 1.7,
        };
        (0..3).map(point).collect()
    }
}

/// Knobs of every type, with entries that are not the registry's: that may change.
pub(crate) fn knobs() -> Vec<OfferedKnob> {
    let offered =
        |name: &'static str, at: Scope, unit: &'static str, bounds_here: Bounds, default: Value| OfferedKnob {
            knob: Knob {
                name,
                unit,
                default,
                reload: name.starts_with("engine"),
                bounds: bounds_here.clone(),
                ..KnobId::ConcurrencyLimit.knob()
            },
            at,
            bounds_here,
        };
    let words = ["f16", "q8_0", "q4_0"].map(str::to_owned).to_vec();
    let local = || Scope::provider("local");
    vec![
        offered("concurrency_limit", Scope::global(), "count", Bounds::IntegerRange(-5, 260), Value::Integer(256)),
        offered("candidate_weight", local(), "ratio", Bounds::NumberRange(0.25, 1.5), Value::Number(1.0)),
        offered("engine_kv_type", local(), "", Bounds::OneOf(words), Value::Text("f16".to_owned())),
        offered(
            "engine_slots",
            Scope::model("local", "gemma:270m"),
            "",
            Bounds::IntegerRange(1, i64::MAX),
            Value::Integer(1),
        ),
        offered("be_careful", Scope::global(), "", Bounds::AnyFlag, Value::Flag(false)),
    ]
}

pub(crate) fn settings() -> Vec<Setting> {
    let set = |name: &str, scope: Scope, value: Value| Setting { name: name.to_owned(), scope, value };
    vec![
        set("concurrency_limit", Scope::provider("local"), Value::Integer(9)),
        set("concurrency_limit", Scope::global(), Value::Integer(17)),
        set("candidate_weight", Scope::provider("local"), Value::Number(1.3)),
        set("engine_kv_type", Scope::provider("local"), Value::Text("q4_0".to_owned())),
        set("engine_slots", Scope::model("local", "gemma:270m"), Value::Integer(i64::MAX - 2)),
        set("be_careful", Scope::global(), Value::Flag(true)),
    ]
}

pub(crate) fn hardware() -> Hardware {
    Hardware {
        physical_cores: 6,
        logical_cores: 12,
        memory_total_bytes: 34_000_000_001,
        memory_free_bytes: 2_000_000_003,
        gpus: vec![Gpu {
            name: "Zwölfkern „GT“ 7".to_owned(),
            memory_total_bytes: 8_000_000_007,
            memory_free_bytes: 5_000_000_009,
        }],
    }
}

pub(crate) fn observation() -> Observation {
    let metric = |name: &str, scope: Scope, unit: &str, window_ms, count, p50| Metric {
        name: name.to_owned(),
        scope,
        unit: unit.to_owned(),
        window_ms,
        summary: Summary { count, mean: 41.5, min: 10.25, max: 97.1, p50, p95: 80.1, p99: 88.8 },
    };
    let provider = |name: &str, kind: &str, health, in_flight| ProviderState {
        name: name.to_owned(),
        kind: kind.to_owned(),
        health,
        managed: kind == "llama-cpp",
        in_flight,
        queued: 3,
        models: vec!["gemma:270m".to_owned(), "日本語".to_owned()],
        extra: vec![("error_rate".to_owned(), 0.015_625)],
    };
    Observation {
        now_ms: 1_763_712_000_123,
        seed: 0xfedc_ba98_7654_3210,
        interval_ms: 5_001,
        metrics: vec![
            metric("response_time_ms", Scope::global(), "ms", 10_000, 1_000_000_007, 38.3),
            metric("in_flight", Scope::provider("local"), "count", 30_000, 0, f64::MIN_POSITIVE),
        ],
        providers: vec![
            provider("local", "llama-cpp", Health::Up, 5),
            provider("far", "openai", Health::Degraded, u32::MAX),
            provider("gone", "vllm", Health::Down, 0),
        ],
        settings: settings(),
        hardware: hardware(),
        extra: vec![("plans_demoted".to_owned(), 1.0), ("plan_mean_us".to_owned(), 0.625)],
    }
}

pub(crate) fn outcomes() -> Vec<Outcome> {
    let outcome = |name: &str, scope: Scope, proposed, verdict, measured| Outcome {
        name: name.to_owned(),
        scope,
        proposed,
        verdict,
        detail: "said the guard – in words".to_owned(),
        measured,
    };
    let measured = Measurement { metric: "response_time_ms".to_owned(), before: 12.75, after: 7.5 };
    vec![
        outcome("concurrency_limit", Scope::global(), Value::Integer(-7), Verdict::Applied, Some(measured)),
        outcome("candidate_weight", Scope::provider("local"), Value::Number(2.75), Verdict::Clamped, None),
        outcome("engine_kv_type", Scope::provider("local"), Value::Text("größer".to_owned()), Verdict::Refused, None),
        outcome("be_careful", Scope::model("far", "m"), Value::Flag(true), Verdict::RolledBack, None),
    ]
}

pub(crate) fn fleet() -> FleetNames {
    let target = |provider: &str, model: &str, kind: &str| Target {
        provider: provider.to_owned(),
        model: model.to_owned(),
        kind: kind.to_owned(),
    };
    FleetNames {
        targets: vec![
            target("far", "gemma", "openai"),
            target("local", "gemma:270m", "llama-cpp"),
            target("gone", "日本語", "vllm"),
        ],
        models: vec!["gemma".to_owned(), "日本語".to_owned()],
    }
}

/// Requests with the candidates that could serve them.
pub(crate) fn requests() -> Vec<(PlanRequest, Vec<Candidate>)> {
    let chat = PlanRequest {
        operation: Operation::Chat,
        model: 8,
        is_streaming: true,
        is_deterministic: false,
        prompt_bytes: 1_023,
        max_tokens: 77,
        priority: -3,
        deadline_ms: 0,
        key: 0xffff_0000_1234_5678,
        session: 0x0123_4567_89ab_cdef,
        was_seen_before: true,
    };
    let completion = PlanRequest {
        operation: Operation::Completion,
        model: 1,
        is_streaming: false,
        is_deterministic: true,
        deadline_ms: 2_001,
        priority: 100,
        was_seen_before: false,
        ..chat
    };
    let embedding = PlanRequest { operation: Operation::Embedding, is_streaming: false, ..chat };
    let candidate = |target: u32| Candidate {
        target,
        in_flight: 2 + target,
        queued: 1,
        is_resident: true,
        latency_p50_ms: 120.3,
        ttft_p50_ms: 30.6 + target as f32,
        error_rate: 0.01,
        cost: 0.0,
        prefix_match: 0.0,
        weight: 1.0,
        tokens_per_second: 0.0,
    };
    let failing = Candidate { error_rate: 0.5, ..candidate(1) };
    vec![
        (chat, (0..3).map(candidate).collect()),
        (completion, vec![candidate(0), failing, Candidate { weight: 0.0, ..candidate(2) }]),
        (embedding, vec![failing]),
        // Which is first hangs on one number of each of these.
        (chat, vec![candidate(0), Candidate { in_flight: 0, ..candidate(0) }, Candidate { queued: 0, ..candidate(0) }]),
        (
            chat,
            vec![candidate(0), Candidate { cost: 0.001, ..candidate(0) }, Candidate { cost: -0.001, ..candidate(0) }],
        ),
        (chat, vec![Candidate { is_resident: false, ..candidate(0) }, candidate(2), candidate(2)]),
        (
            chat,
            vec![
                candidate(2),
                Candidate { prefix_match: 0.01, ..candidate(2) },
                Candidate { weight: 1.01, ..candidate(2) },
            ],
        ),
        (
            chat,
            vec![
                Candidate { tokens_per_second: 0.5, ..candidate(2) },
                candidate(2),
                Candidate { latency_p50_ms: 1.0, ..candidate(2) },
            ],
        ),
        (chat, (0..40).map(|at| Candidate { in_flight: at * 7 % 11, ..candidate(at % 4) }).collect()),
    ]
}

pub(crate) fn choices() -> Vec<Choice> {
    let choice = |variant: &str, bits_per_weight, size_bytes| Choice {
        model: "gemma".to_owned(),
        variant_name: variant.to_owned(),
        bits_per_weight,
        size_bytes,
        kv_bytes_per_token: 16_385,
        tokens_per_second: None,
        quality_loss: None,
        is_loaded: false,
    };
    vec![
        choice("F16", 16.0, 7_000_000_001),
        Choice { quality_loss: Some(0.0625), tokens_per_second: Some(58.5), ..choice("Q4_K_M", 4.75, 3_000_000_001) },
        Choice { is_loaded: true, ..choice("Q8_0", 8.5, 3_600_000_011) },
    ]
}
