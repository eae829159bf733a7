//! Typical inputs of a strategy's calls: what they are measured with, by `plugin bench` and by the benchmarks. Constant, so
//! that figures of different strategies and days compare.

use crate::knob::OfferedKnob;
use crate::observation::{Hardware, Metric, Setting, Summary, metric};
use crate::plan::{FleetNames, Operation, Target};
use crate::scope::ScopeKind;
use crate::{Candidate, KnobId, Observation, PlanRequest, Scope};

const PROVIDER: &str = "local";
const MODEL: &str = "gemma-3-270m";

/// A fleet of so many targets.
pub fn fleet(targets: u32) -> FleetNames {
    let target =
        |at: u32| Target { provider: format!("provider-{at}"), model: MODEL.to_owned(), kind: "llama-cpp".to_owned() };
    FleetNames { targets: (0..targets).map(target).collect(), models: vec![MODEL.to_owned()] }
}

/// Every knob, on the host or at one provider.
pub fn knobs() -> Vec<OfferedKnob> {
    let offer = |id: &KnobId| {
        let knob = id.knob();
        let at = if knob.scope == ScopeKind::Global { Scope::global() } else { Scope::provider(PROVIDER) };
        OfferedKnob { at, bounds_here: knob.bounds.clone(), knob }
    };
    KnobId::ALL.iter().map(offer).collect()
}

/// One chat request.
pub fn request() -> PlanRequest {
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

/// The first so many targets, under some load.
pub fn candidates(count: u32) -> Vec<Candidate> {
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
pub fn observation() -> Observation {
    let summary = Summary { count: 100, mean: 40.0, min: 10.0, max: 90.0, p50: 38.0, p95: 80.0, p99: 88.0 };
    let scopes = [Scope::global(), Scope::provider(PROVIDER), Scope::model(PROVIDER, MODEL)];
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
