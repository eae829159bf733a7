//! The last stage of loading: one call of each kind with made-up numbers, so that a strategy that cannot work at all is
//! refused before it is in service.
//!
//! A fault in the strategy's own words is no reason to refuse it: it may rightly need a parameter that is not set yet.

use perfhost_strategy::advice::Choice;
use perfhost_strategy::knob::OfferedKnob;
use perfhost_strategy::observation::{Hardware, Health, Metric, ProviderState, Setting, Summary, extra, metric};
use perfhost_strategy::plan::{FleetNames, Operation, Target};
use perfhost_strategy::{Candidate, KnobId, Observation, PlanRequest, Scope, StrategyError};

use crate::deadline::Limit;
use crate::instance::Instance;
use crate::load::component::counted;
use crate::strategy::Prepared;

const PROVIDER: &str = "trial";
const GIB: u64 = 1 << 30;

/// Makes the calls and says what is worth knowing.
pub(super) fn run(prepared: &Prepared, trial: &mut Instance, limit: Limit) -> Result<String, StrategyError> {
    let context = prepared.context();
    let mut notes = Vec::new();
    if let Err(error) = trial.configure(context, limit, &[], &knobs()) {
        return fault(error);
    }
    match trial.propose(context, limit, &observation()) {
        Ok(proposals) => notes.push(counted(proposals.len(), "proposal")),
        Err(error) => notes.push(fault(error)?),
    }
    notes.push(format!("{} of state", counted(trial.save(context, limit)?.len(), "byte")));
    if prepared.exports.route.is_some() {
        trial.fleet(context, limit, &fleet())?;
        let _awake = context.ticker.long_call();
        let plan = trial.plan(context, limit, &request(), &candidates())?;
        notes.push(format!("a plan with {}", counted(plan.order.len(), "candidate")));
    }
    if prepared.exports.advise.is_some() {
        match trial.recommend(context, limit, &hardware(), (4_096, 1), &[choice()]) {
            Ok(advice) => notes.push(format!("{} of advice", counted(advice.len(), "piece"))),
            Err(error) => notes.push(fault(error)?),
        }
    }
    Ok(notes.join(", "))
}

fn fault(error: StrategyError) -> Result<String, StrategyError> {
    match error {
        StrategyError::Fault { .. } => Ok(error.to_string()),
        error => Err(error),
    }
}

fn knobs() -> Vec<OfferedKnob> {
    [KnobId::ConcurrencyLimit, KnobId::CandidateWeight, KnobId::EngineFlashAttention]
        .into_iter()
        .map(|id| {
            let knob = id.knob();
            OfferedKnob { at: Scope::global(), bounds_here: knob.bounds.clone(), knob }
        })
        .collect()
}

fn hardware() -> Hardware {
    Hardware {
        physical_cores: 4,
        logical_cores: 8,
        memory_total_bytes: 16 * GIB,
        memory_free_bytes: 8 * GIB,
        gpus: Vec::new(),
    }
}

fn observation() -> Observation {
    let summary = Summary { count: 100, mean: 40.0, min: 10.0, max: 90.0, p50: 38.0, p95: 80.0, p99: 88.0 };
    let metrics = [metric::RESPONSE_TIME, metric::TIME_TO_FIRST_TOKEN, metric::IN_FLIGHT, metric::QUEUE_LENGTH];
    Observation {
        now_ms: 1_750_000_000_000,
        seed: 1,
        interval_ms: 5_000,
        metrics: metrics
            .into_iter()
            .map(|name| Metric {
                name: name.to_owned(),
                scope: Scope::global(),
                unit: metric::ALL.iter().find(|info| info.name == name).map_or("", |info| info.unit).to_owned(),
                window_ms: 10_000,
                summary,
            })
            .collect(),
        providers: vec![ProviderState {
            name: PROVIDER.to_owned(),
            kind: "llama-cpp".to_owned(),
            health: Health::Up,
            managed: true,
            in_flight: 1,
            queued: 0,
            models: vec![PROVIDER.to_owned()],
            extra: extra::PROVIDER.iter().map(|info| (info.name.to_owned(), 0.0)).collect(),
        }],
        settings: knobs()
            .into_iter()
            .map(|offered| Setting {
                name: offered.knob.name.to_owned(),
                scope: offered.at,
                value: offered.knob.default,
            })
            .collect(),
        hardware: hardware(),
        extra: extra::OBSERVATION.iter().map(|info| (info.name.to_owned(), 0.0)).collect(),
    }
}

fn fleet() -> FleetNames {
    let target = |provider: &str| Target {
        provider: provider.to_owned(),
        model: PROVIDER.to_owned(),
        kind: "openai-compatible".to_owned(),
    };
    FleetNames { targets: vec![target(PROVIDER), target("other")], models: vec![PROVIDER.to_owned()] }
}

fn request() -> PlanRequest {
    PlanRequest {
        operation: Operation::Chat,
        model: 0,
        is_streaming: true,
        is_deterministic: true,
        prompt_bytes: 200,
        max_tokens: 64,
        priority: 0,
        deadline_ms: 0,
        key: 1,
        session: 0,
        was_seen_before: false,
    }
}

fn candidates() -> Vec<Candidate> {
    (0..2).map(|target| Candidate { target, is_resident: true, weight: 1.0, ..Candidate::default() }).collect()
}

fn choice() -> Choice {
    Choice {
        model: PROVIDER.to_owned(),
        variant_name: "Q4_K_M".to_owned(),
        bits_per_weight: 4.8,
        size_bytes: GIB,
        kv_bytes_per_token: 16 << 10,
        tokens_per_second: None,
        quality_loss: None,
        is_loaded: false,
    }
}
