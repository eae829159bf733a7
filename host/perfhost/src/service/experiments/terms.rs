//! The terms of an experiment: what was asked for, completed by what is measured on this host.

use std::time::Duration;

use perfhost_strategy::Scope;
use perfhost_strategy::experiment::regime::{self, Pace};
use perfhost_strategy::experiment::settling::Settled;
use perfhost_strategy::experiment::statistics::Level;
use perfhost_strategy::experiment::{Ramp, Regime, Spec, Unit};
use perfhost_strategy::observation::{Metric, metric};
use perfhost_telemetry::Telemetry;

use super::ExperimentError;
use super::arms::{self, RunningArm};
use super::request::StartRequest;
use crate::service::settling;

/// Over which the pace of traffic is measured. The faster of the two counts: traffic may only just have begun.
const PACE_WINDOWS: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(60)];

/// The shortest window that strategies see. An arm that tunes needs one of its own before what it does is its own doing.
const TUNING_SETTLES_MS: u64 = 10_000;

/// Requests per second where none have been measured: blocks are then as long as their burn-in makes them.
const UNKNOWN_PACE: f64 = 5.0;

/// The terms. `measured_settling` is what is known of how long figures take to settle here, and over how many changes.
pub(super) fn spec(
    request: &StartRequest,
    arms: &[RunningArm],
    telemetry: &Telemetry,
    measured_settling: (Option<Settled>, usize),
) -> Result<Spec, ExperimentError> {
    let windows = PACE_WINDOWS.map(|window| telemetry.window(window));
    let measured = |name: &str| {
        let of_host = |metric: &&Metric| metric.name == name && metric.scope == Scope::global();
        let found = windows.iter().filter_map(move |metrics| metrics.iter().find(of_host));
        found.map(|metric| metric.summary).max_by(|one, other| one.mean.total_cmp(&other.mean))
    };
    let default_ms = if arms::is_fixed(arms) { 0 } else { TUNING_SETTLES_MS };
    let settled_ms = measured_settling.0.map_or(0, |settled| settled.upper_quartile_ms);
    let pace = Pace {
        // What was measured never makes blocks shorter than what arms that tune need to see their own doing.
        settling_ms: request.settling_ms.unwrap_or(default_ms.max(settled_ms)),
        response_p95_ms: measured(metric::RESPONSE_TIME).map_or(0, |times| times.p95 as u64),
        requests_per_second: request
            .pace
            .or_else(|| measured(metric::REQUESTS_PER_SECOND).map(|rate| rate.mean))
            .filter(|rate| *rate > 0.0)
            .unwrap_or(UNKNOWN_PACE),
    };
    let pace = Pace {
        // Somebody who says how long arms take to settle has looked; the tail of answers may be of another time.
        response_p95_ms: if request.settling_ms.is_some() { 0 } else { pace.response_p95_ms },
        ..pace
    };
    let described = arms::described(arms);
    let mut choice = regime::choose(&described, &pace);
    if choice.regime != Regime::PerRequest {
        let origin = match request.settling_ms {
            Some(_) => "settling time: as asked for".to_owned(),
            None => settling::origin(measured_settling),
        };
        choice.reason = format!("{} ({origin})", choice.reason);
    }
    let objective = request.objective(measured(metric::TOKENS_PER_SECOND).map_or(0.0, |rate| rate.mean))?;
    let names: Vec<&str> = arms.iter().map(|arm| arm.name.as_str()).collect();
    let name = request.name.clone().unwrap_or_else(|| names.join(" or "));
    let seed = request.seed.unwrap_or_else(|| fastrand::u64(..));
    let base = Spec::new(&name, seed, described, choice, objective);
    let ramp = Ramp::default();
    let level = request.error_bound.map_or(Ok(base.level), Level::new).map_err(|error| ExperimentError::Term {
        field: "error_bound",
        found: request.error_bound.unwrap_or_default().to_string(),
        allowed: error.to_string(),
    })?;
    Ok(Spec {
        unit: request.unit.unwrap_or(Unit::Request),
        slo: request.slo(),
        guardrails: request.guardrails()?,
        level,
        least_units: request.least_units.unwrap_or(base.least_units),
        at_most_ms: request.at_most_ms(),
        ramp: Ramp {
            shares: request.ramp.clone().unwrap_or(ramp.shares),
            step_ms: request.ramp_step_ms.unwrap_or(ramp.step_ms),
            ..Ramp::default()
        },
        confirmation: request.confirmation(),
        ..base
    })
}
