//! What a guest is called with. Strings are borrowed; lists of records are gathered for the call.
//!
//! Records with lists inside borrow from gathered lists, so those conversions hand their result to a closure.

use perfhost_strategy::advice::Choice;
use perfhost_strategy::knob::{Bounds, OfferedKnob};
use perfhost_strategy::observation::{Hardware, Health, extra};
use perfhost_strategy::plan::{FleetNames, Operation};
use perfhost_strategy::{Candidate, Observation, Outcome, PlanRequest, Value, Verdict};

use crate::bindings::exports::perfhost::strategy::{advise, control, route};
use crate::bindings::perfhost::strategy::types;

fn value(value: &Value) -> types::ValueParam<'_> {
    match value {
        Value::Flag(flag) => types::ValueParam::Flag(*flag),
        Value::Integer(integer) => types::ValueParam::Integer(*integer),
        Value::Number(number) => types::ValueParam::Number(*number),
        Value::Text(text) => types::ValueParam::Text(text),
    }
}

/// Parameters as pairs of names and values.
pub(crate) fn parameters(parameters: &[(String, String)]) -> Vec<(&str, &str)> {
    parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// Knobs with their bounds in their scope.
pub(crate) fn with_knobs<T>(knobs: &[OfferedKnob], then: impl FnOnce(&[types::Knob<'_>]) -> T) -> T {
    let words: Vec<Vec<&str>> = knobs
        .iter()
        .map(|offered| match &offered.bounds_here {
            Bounds::OneOf(words) => words.iter().map(String::as_str).collect(),
            _ => Vec::new(),
        })
        .collect();
    let knobs: Vec<types::Knob<'_>> = knobs
        .iter()
        .zip(&words)
        .map(|(offered, words)| types::Knob {
            name: offered.knob.name,
            scope: offered.at.as_str(),
            unit: offered.knob.unit,
            bounds: match &offered.bounds_here {
                Bounds::AnyFlag => types::Bounds::AnyFlag,
                Bounds::IntegerRange(lowest, highest) => types::Bounds::IntegerRange((*lowest, *highest)),
                Bounds::NumberRange(lowest, highest) => types::Bounds::NumberRange((*lowest, *highest)),
                Bounds::OneOf(_) => types::Bounds::OneOf(words),
            },
            default: value(&offered.knob.default),
            reload: offered.knob.reload,
        })
        .collect();
    then(&knobs)
}

fn gpus(hardware: &Hardware) -> Vec<types::Gpu<'_>> {
    hardware
        .gpus
        .iter()
        .map(|gpu| types::Gpu {
            name: &gpu.name,
            memory_total_bytes: gpu.memory_total_bytes,
            memory_free_bytes: gpu.memory_free_bytes,
        })
        .collect()
}

fn hardware<'a>(hardware: &Hardware, gpus: &'a [types::Gpu<'a>]) -> types::Hardware<'a> {
    types::Hardware {
        physical_cores: hardware.physical_cores,
        logical_cores: hardware.logical_cores,
        memory_total_bytes: hardware.memory_total_bytes,
        memory_free_bytes: hardware.memory_free_bytes,
        gpus,
    }
}

fn named(extra: &[(String, f64)]) -> Vec<(&str, f64)> {
    extra.iter().map(|(name, number)| (name.as_str(), *number)).collect()
}

/// An observation.
pub(crate) fn with_observation<T>(seen: &Observation, then: impl FnOnce(types::Observation<'_>) -> T) -> T {
    let metrics: Vec<types::Metric<'_>> = seen
        .metrics
        .iter()
        .map(|metric| types::Metric {
            name: &metric.name,
            scope: metric.scope.as_str(),
            unit: &metric.unit,
            window_ms: metric.window_ms,
            summary: types::Summary {
                count: metric.summary.count,
                mean: metric.summary.mean,
                min: metric.summary.min,
                max: metric.summary.max,
                p50: metric.summary.p50,
                p95: metric.summary.p95,
                p99: metric.summary.p99,
            },
        })
        .collect();
    let models: Vec<Vec<&str>> =
        seen.providers.iter().map(|provider| provider.models.iter().map(String::as_str).collect()).collect();
    let extras: Vec<Vec<(&str, f64)>> = seen.providers.iter().map(|provider| named(&provider.extra)).collect();
    let providers: Vec<types::ProviderState<'_>> = seen
        .providers
        .iter()
        .zip(models.iter().zip(&extras))
        .map(|(provider, (models, extra))| types::ProviderState {
            name: &provider.name,
            kind: &provider.kind,
            health: match provider.health {
                Health::Up => types::Health::Up,
                Health::Degraded => types::Health::Degraded,
                Health::Down => types::Health::Down,
            },
            managed: provider.managed,
            in_flight: provider.in_flight,
            queued: provider.queued,
            models,
            extra,
        })
        .collect();
    let settings: Vec<types::Setting<'_>> = seen
        .settings
        .iter()
        .map(|setting| types::Setting {
            name: &setting.name,
            scope: setting.scope.as_str(),
            value: value(&setting.value),
        })
        .collect();
    let gpus = gpus(&seen.hardware);
    then(types::Observation {
        now_ms: seen.now_ms,
        seed: seen.seed,
        interval_ms: seen.interval_ms,
        metrics: &metrics,
        providers: &providers,
        settings: &settings,
        hardware: hardware(&seen.hardware, &gpus),
        extra: &named(&seen.extra),
    })
}

/// Outcomes of earlier proposals.
pub(crate) fn outcomes(outcomes: &[Outcome]) -> Vec<control::Outcome<'_>> {
    outcomes
        .iter()
        .map(|outcome| control::Outcome {
            name: &outcome.name,
            scope: outcome.scope.as_str(),
            proposed: value(&outcome.proposed),
            verdict: match outcome.verdict {
                Verdict::Applied => control::Verdict::Applied,
                Verdict::Clamped => control::Verdict::Clamped,
                Verdict::Refused => control::Verdict::Refused,
                Verdict::RolledBack => control::Verdict::RolledBack,
            },
            detail: &outcome.detail,
            measured: outcome.measured.as_ref().map(|measured| control::Measurement {
                metric: &measured.metric,
                before: measured.before,
                after: measured.after,
            }),
        })
        .collect()
}

/// Names of targets and models.
pub(crate) fn with_fleet<T>(names: &FleetNames, then: impl FnOnce(route::FleetNames<'_>) -> T) -> T {
    let targets: Vec<route::Target<'_>> = names
        .targets
        .iter()
        .map(|target| route::Target { provider: &target.provider, model: &target.model, kind: &target.kind })
        .collect();
    let models: Vec<&str> = names.models.iter().map(String::as_str).collect();
    let candidate_extra: Vec<&str> = extra::CANDIDATE.iter().map(|info| info.name).collect();
    then(route::FleetNames {
        targets: &targets,
        models: &models,
        request_extra: &[],
        candidate_extra: &candidate_extra,
    })
}

/// One request; copies numbers only.
#[inline]
pub(crate) fn request(asked: &PlanRequest) -> route::Request<'static> {
    route::Request {
        operation: match asked.operation {
            Operation::Chat => route::Operation::Chat,
            Operation::Completion => route::Operation::Completion,
            Operation::Embedding => route::Operation::Embedding,
        },
        model: asked.model,
        streaming: asked.is_streaming,
        deterministic: asked.is_deterministic,
        prompt_bytes: asked.prompt_bytes,
        max_tokens: asked.max_tokens,
        priority: asked.priority,
        deadline_ms: asked.deadline_ms,
        key: asked.key,
        session: asked.session,
        seen_before: asked.was_seen_before,
        extra: &[],
    }
}

/// A candidate's further numbers, in the order of [`extra::CANDIDATE`].
#[inline]
pub(crate) fn candidate_extra(candidate: &Candidate) -> &[f32] {
    std::slice::from_ref(&candidate.tokens_per_second)
}

/// One candidate; copies numbers only.
#[inline]
pub(crate) fn candidate<'a>(candidate: &Candidate, extra: &'a [f32]) -> route::Candidate<'a> {
    route::Candidate {
        target: candidate.target,
        in_flight: candidate.in_flight,
        queued: candidate.queued,
        resident: candidate.is_resident,
        latency_p50_ms: candidate.latency_p50_ms,
        ttft_p50_ms: candidate.ttft_p50_ms,
        error_rate: candidate.error_rate,
        cost: candidate.cost,
        prefix_match: candidate.prefix_match,
        weight: candidate.weight,
        extra,
    }
}

/// Hardware and variants to choose from.
pub(crate) fn with_choices<T>(
    on: &Hardware,
    choices: &[Choice],
    then: impl FnOnce(types::Hardware<'_>, &[advise::Choice<'_>]) -> T,
) -> T {
    let gpus = gpus(on);
    let choices: Vec<advise::Choice<'_>> = choices
        .iter()
        .map(|choice| advise::Choice {
            model: &choice.model,
            variant_name: &choice.variant_name,
            bits_per_weight: choice.bits_per_weight,
            size_bytes: choice.size_bytes,
            kv_bytes_per_token: choice.kv_bytes_per_token,
            tokens_per_second: choice.tokens_per_second,
            quality_loss: choice.quality_loss,
            loaded: choice.is_loaded,
            extra: &[],
        })
        .collect();
    then(hardware(on, &gpus), &choices)
}
