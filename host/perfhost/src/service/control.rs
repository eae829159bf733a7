//! What the API asks of this process: answers about strategies, knobs and the state of the host, as JSON.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use perfhost_cache::Cache;
use perfhost_gateway::{Admission, Control, ControlError, StrategySource};
use perfhost_strategy::{Generation, KnobId, Scope, Settings, Shared, Strategy};
use perfhost_telemetry::ResourceSnapshot;
use perfhost_upstream::Fleet;
use serde_json::{Value, json};

use super::engine::ManagedEngine;
use super::strategies::{Strategies, SwapError};
use super::tuner::Tuner;
use crate::built_in;
use crate::plugin_source::error::SourceError;
use crate::plugin_source::kind::Kind;

/// The running host, as the API sees it.
pub struct HostControl {
    /// The strategies.
    pub strategies: Arc<Strategies>,
    /// The decision loop.
    pub tuner: Arc<Tuner>,
    /// The configuration in force.
    pub config: Arc<Mutex<Arc<crate::config::Config>>>,
    /// Present settings.
    pub settings: Arc<Shared<Settings>>,
    /// Providers.
    pub fleet: Arc<Fleet>,
    /// Requests under way and waiting.
    pub admission: Arc<Admission>,
    /// The answer cache.
    pub cache: Arc<Cache>,
    /// The managed engine.
    pub engine: Option<Arc<ManagedEngine>>,
    /// The last reading.
    pub resources: Arc<Mutex<Option<ResourceSnapshot>>>,
    /// Where the host listens.
    pub listen: SocketAddr,
    /// When it started.
    pub started: Instant,
}

impl Control for HostControl {
    fn strategies(&self) -> Value {
        let generation = self.strategies.in_service().load();
        let built_in: Vec<&str> = built_in::BUILT_IN.iter().map(|(name, _)| *name).collect();
        json!({
            "in_service": self.in_service(&generation),
            "at_hand": self.strategies.at_hand().iter().map(|strategy| self.describe(strategy.as_ref())).collect::<Vec<_>>(),
            "retired": self.strategies.retired().map(|retired| json!({
                "strategy": self.describe(retired.strategy.as_ref()),
                "cause": retired.cause,
                "retry_at_ms": retired.retry_at_ms,
            })),
            "built_in": built_in,
        })
    }

    fn load(&self, source: StrategySource) -> Result<Value, ControlError> {
        let intake = self.strategies.loader().intake();
        match &source {
            StrategySource::Named { name, .. } => intake.check_api_name(name),
            StrategySource::Uploaded { .. } => intake.check_api(Kind::Upload),
        }
        .map_err(|error| refusal(error.into()))?;
        self.strategies.swap(&source).map_err(refusal)?;
        Ok(json!({ "in_service": self.in_service(&self.strategies.in_service().load()) }))
    }

    fn rollback(&self) -> Result<Value, ControlError> {
        self.strategies.rollback().map_err(refusal)?;
        Ok(json!({ "in_service": self.in_service(&self.strategies.in_service().load()) }))
    }

    fn knobs(&self) -> Value {
        let settings = self.settings.load();
        let config = self.config.lock().clone();
        let offered = self.tuner.offered(&config);
        let providers: Vec<String> = self.fleet.providers().iter().map(|provider| provider.name().to_owned()).collect();
        let knobs: Vec<Value> = settings
            .list(&providers)
            .into_iter()
            .filter_map(|setting| {
                let knob = KnobId::by_name(&setting.name)?.knob();
                let here = offered.iter().find(|offer| offer.knob.id == knob.id && offer.at == setting.scope);
                Some(json!({
                    "name": knob.name, "scope": setting.scope, "value": setting.value, "default": knob.default,
                    "unit": knob.unit, "bounds": here.map_or(&knob.bounds, |offer| &offer.bounds_here),
                    "step": knob.step, "reload": knob.reload, "risk": knob.risk,
                    "is_offered": here.is_some(), "meaning": knob.meaning,
                }))
            })
            .collect();
        json!({ "version": settings.version, "knobs": knobs })
    }

    fn status(&self) -> Value {
        let generation = self.strategies.in_service().load();
        let providers: Vec<Value> = self
            .fleet
            .providers()
            .iter()
            .map(|provider| {
                let recent = provider.recent();
                json!({
                    "name": provider.name(), "kind": provider.kind().name(), "health": provider.health().name(),
                    "endpoint": provider.endpoint().to_string(), "is_managed": provider.is_managed(),
                    "in_flight": provider.in_flight(), "queued": provider.queued(), "models": provider.models().to_vec(),
                    "latency_p50_ms": recent.latency_p50_ms, "ttft_p50_ms": recent.ttft_p50_ms, "error_rate": recent.error_rate, "tokens_per_second": recent.tokens_per_second,
                })
            })
            .collect();
        let is_any_up = self
            .fleet
            .providers()
            .iter()
            .any(|provider| provider.health() != perfhost_upstream::provider::Health::Down);
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "listen": self.listen.to_string(),
            "uptime_s": self.started.elapsed().as_secs(),
            "status": if is_any_up { "up" } else { "no provider" },
            "strategy": self.in_service(&generation),
            "admission": {
                "in_flight": self.admission.in_flight(), "queued": self.admission.queued(),
                "limit": self.settings.load().value(KnobId::ConcurrencyLimit, &Scope::global()),
            },
            "providers": providers,
            "engine": self.engine.as_ref().map(|engine| engine.state()),
            "cache": self.cache.stats(),
            "settings_version": self.settings.load().version,
        })
    }

    fn resources(&self) -> Value {
        let snapshot = self.resources.lock();
        snapshot.as_ref().and_then(|snapshot| serde_json::to_value(snapshot).ok()).unwrap_or(Value::Null)
    }
}

impl HostControl {
    /// The strategy in service with what planning costs.
    fn in_service(&self, generation: &Generation) -> Value {
        let mut value = self.describe(generation.strategy.as_ref());
        let counts = generation.planning.read();
        value["generation"] = json!(generation.number);
        value["planning"] = json!({
            "is_demoted": counts.is_demoted, "calls": counts.calls, "failures": counts.failures, "overruns": counts.overruns,
            "mean_us": if counts.calls == 0 { 0.0 } else { counts.nanoseconds as f64 / counts.calls as f64 / 1_000.0 },
        });
        value
    }

    fn describe(&self, strategy: &dyn Strategy) -> Value {
        let (identity, description, allowance) = (strategy.identity(), strategy.description(), strategy.allowance());
        json!({
            "name": identity.name, "version": identity.version, "digest": identity.digest, "world": identity.world,
            "source": identity.source, "provenance": self.strategies.loader().provenance(&identity.digest),
            "summary": description.summary, "goal": description.goal, "reads": description.reads,
            "turns": description.turns, "parameters": description.parameters, "grants": allowance.grants,
            "limits": allowance.limits, "warm_instances": strategy.warm_instances(),
        })
    }
}

fn refusal(error: SwapError) -> ControlError {
    let message = error.to_string();
    match error {
        SwapError::Source(source) => match source {
            SourceError::Unknown { .. } | SourceError::NotFound { .. } => ControlError::NotFound { message },
            SourceError::NotAllowed { .. }
            | SourceError::Unsigned { .. }
            | SourceError::BadSignature { .. }
            | SourceError::PlainHttp { .. } => ControlError::Refused { code: source.code().to_owned(), message },
            SourceError::Read { .. } => ControlError::Failed { message },
            source => ControlError::Invalid { code: source.code().to_owned(), message },
        },
        SwapError::Digest(_) => ControlError::Invalid { code: "bad-digest".to_owned(), message },
        SwapError::Config(_) => ControlError::Failed { message },
        SwapError::NothingBefore => ControlError::Conflict { code: "nothing_before".to_owned(), message },
        SwapError::Load(load) => ControlError::Invalid { code: load.failure.code().to_owned(), message },
        SwapError::Configure { .. } => ControlError::Invalid { code: "refused_configuration".to_owned(), message },
        SwapError::OnlyAdvises(_) => ControlError::Invalid { code: "only_advises".to_owned(), message },
    }
}
