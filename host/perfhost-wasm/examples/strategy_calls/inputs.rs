//! What the measured calls are made with: a fleet, a request, candidates, and an observation as large as a real one.

use perfhost_strategy::observation::{Hardware, Metric, Setting, Summary, metric};
use perfhost_strategy::plan::{FleetNames, Operation, Target};
use perfhost_strategy::{Candidate, KnobId, Observation, PlanRequest, Scope};

pub(crate) fn fleet(targets: u32) -> FleetNames {
    let target = |at: u32| Target {
        provider: format!("provider-{at}"),
        model: "gemma-3-270m".to_owned(),
        kind: "llama-cpp".to_owned(),
    };
    FleetNames { targets: (0..targets).map(target).collect(), models: vec!["gemma-3-270m".to_owned()] }
}

pub(crate) fn request() -> PlanRequest {
    PlanRequest {
        operation: Operation::Chat,
        model: 0,
        is_streaming: true,
        is_deterministic: false,
        prompt_bytes: 812,
        max_tokens: 128,
        priority: 0,
        deadline_ms: 0,
        key: 0x1234_5678_9abc_def0,
        session: 0,
        was_seen_before: false,
    }
}

pub(crate) fn candidates(count: u32) -> Vec<Candidate> {
    (0..count)
        .map(|target| Candidate {
            target,
            in_flight: target + 1,
            is_resident: true,
            latency_p50_ms: 120.0,
            ttft_p50_ms: 30.0,
            weight: 1.0,
            ..Candidate::default()
        })
        .collect()
}

/// As large as a real one: every metric in three scopes, every knob in two.
pub(crate) fn observation() -> Observation {
    let summary = Summary { count: 100, mean: 40.0, min: 10.0, max: 90.0, p50: 38.0, p95: 80.0, p99: 88.0 };
    let scopes = [Scope::global(), Scope::provider("local"), Scope::model("local", "gemma-3-270m")];
    let metrics = scopes.iter().flat_map(|scope| {
        metric::ALL.iter().map(move |info| Metric {
            name: info.name.to_owned(),
            scope: scope.clone(),
            unit: info.unit.to_owned(),
            window_ms: 10_000,
            summary,
        })
    });
    let settings = scopes[..2].iter().flat_map(|scope| {
        KnobId::ALL.iter().map(move |id| Setting {
            name: id.name().to_owned(),
            scope: scope.clone(),
            value: id.knob().default,
        })
    });
    Observation {
        now_ms: 1_750_000_000_000,
        seed: 1,
        interval_ms: 5_000,
        metrics: metrics.collect(),
        settings: settings.collect(),
        hardware: Hardware { physical_cores: 2, logical_cores: 2, ..Hardware::default() },
        ..Observation::default()
    }
}
