//! What `/metrics` shows of the engine and of decisions: the state of parts that the gateway does not know.

use perfhost_strategy::generation::DecisionCounts;
use perfhost_telemetry::ExtraMetric;
use perfhost_upstream::engine::{EnginePhase, EngineState};

/// The engine's phase, as one sample a phase of which one is 1, and how often it was started anew.
pub fn engine(state: &EngineState) -> Vec<ExtraMetric> {
    let of_engine = |metric: ExtraMetric| metric.with("gen_ai_provider_name", &state.provider);
    let phases = EnginePhase::ALL.map(|phase| {
        let is_in_it = f64::from(u8::from(phase == state.phase));
        let help = "1 for the phase that a managed engine is in, 0 for the others.";
        of_engine(ExtraMetric::gauge("perfhost_engine_phase", help, is_in_it)).with("phase", phase.name())
    });
    let counts = [
        ExtraMetric::counter(
            "perfhost_engine_restarts_total",
            "Times that an engine was started again after a failure.",
            state.restarts,
        ),
        ExtraMetric::counter(
            "perfhost_engine_replacements_total",
            "Times that an engine's process gave way to one with other settings.",
            state.replacements,
        ),
    ];
    phases.into_iter().chain(counts.map(of_engine)).collect()
}

/// What became of the proposals of the strategy in service.
pub fn decisions(counts: &DecisionCounts) -> [ExtraMetric; 3] {
    [("applied", counts.applied), ("refused", counts.refused), ("rolled_back", counts.rolled_back)].map(
        |(verdict, count)| {
            let help = "Decisions about proposals of this generation, by verdict; one rolled back was applied before.";
            ExtraMetric::counter("perfhost_decisions_total", help, count).with("verdict", verdict)
        },
    )
}
