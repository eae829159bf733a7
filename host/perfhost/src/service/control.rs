//! What the API asks of this process: answers about strategies, knobs and the state of the host, as JSON.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use perfhost_cache::Cache;
use perfhost_gateway::{Admission, AlertsAsk, Control, ControlError, Firing, StrategySource};
use perfhost_strategy::decision::Decision;
use perfhost_strategy::generation::Arrival;
use perfhost_strategy::{KnobId, Proposal, Scope, Settings, Shared, Strategy};
use perfhost_telemetry::{ExtraMetric, GpuResources, ResourceSnapshot, Telemetry};
use perfhost_upstream::Fleet;
use serde_json::{Value, json};

use super::alerts::Alerts;
use super::engine::ManagedEngine;
use super::exposed;
use super::strategies::{Strategies, SwapError};
use super::tuner::Tuner;
use crate::built_in;
use crate::plugin_source::error::SourceError;

/// The running host, as the API sees it.
pub struct HostControl {
    /// The strategies.
    pub strategies: Arc<Strategies>,
    /// Whether requests are recorded.
    pub telemetry: Arc<Telemetry>,
    /// The decision loop.
    pub tuner: Arc<Tuner>,
    /// What people are told.
    pub alerts: Arc<Alerts>,
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
        let built_in: Vec<&str> = built_in::BUILT_IN.iter().map(|(name, _)| *name).collect();
        json!({
            "in_service": self.in_service(),
            "at_hand": self.strategies.at_hand().iter().map(|strategy| self.describe(strategy.as_ref())).collect::<Vec<_>>(),
            "kept": self.strategies.kept(),
            "last_refused": self.strategies.last_refused(),
            "watched": self.watched(),
            "retired": self.strategies.retired().map(|retired| json!({
                "strategy": self.describe(retired.strategy().as_ref()),
                "cause": retired.cause,
                "retry_at_ms": retired.retry_at_ms,
            })),
            "built_in": built_in,
        })
    }

    fn load(&self, source: StrategySource) -> Result<Value, ControlError> {
        self.strategies.swap(&source, Arrival::Swap).map_err(refusal)?;
        Ok(self.now_in_service())
    }

    fn keep(&self, source: StrategySource) -> Result<Value, ControlError> {
        let kept = self.strategies.keep(&source).map_err(refusal)?;
        Ok(json!({ "at_hand": self.describe(kept.as_ref()) }))
    }

    fn rollback(&self, to: Option<u64>) -> Result<Value, ControlError> {
        self.strategies.rollback(to).map_err(refusal)?;
        Ok(self.now_in_service())
    }

    fn generations(&self, limit: usize, before: Option<u64>) -> Result<Value, ControlError> {
        let generations = self.strategies.generations(limit, before).map_err(refusal)?;
        // Where the next page begins, if there may be one.
        let next = generations.last().filter(|_| generations.len() == limit).map(|last| last.number);
        Ok(json!({ "generations": generations, "next_before": next }))
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

    fn propose(&self, author: &str, proposals: Vec<Proposal>) -> Result<Vec<Decision>, ControlError> {
        self.tuner.propose(author, &proposals).ok_or_else(|| {
            let message = "an experiment is running and decides who tunes; stop it first: perfhost ab stop".to_owned();
            ControlError::Conflict { code: "experiment".to_owned(), message }
        })
    }

    fn alerts(&self, ask: AlertsAsk) -> Result<Value, ControlError> {
        self.alerts.answer(ask)
    }

    fn alerts_firing(&self) -> Vec<Firing> {
        self.alerts.firing()
    }

    fn metrics(&self) -> Vec<ExtraMetric> {
        let engine = self.engine.as_ref().map(|engine| engine.state());
        let decisions = exposed::decisions(&self.strategies.serving().decisions);
        engine.iter().flat_map(exposed::engine).chain(decisions).collect()
    }

    fn status(&self) -> Value {
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
            "strategy": self.in_service(),
            "admission": {
                "in_flight": self.admission.in_flight(), "queued": self.admission.queued(),
                "limit": self.settings.load().value(KnobId::ConcurrencyLimit, &Scope::global()),
            },
            "providers": providers,
            "engine": self.engine.as_ref().map(|engine| engine.state()),
            "cache": self.cache.stats(),
            "alerts": self.alerts.summary(),
            "is_recording": self.telemetry.is_recording(),
            "settings_version": self.settings.load().version,
        })
    }

    fn resources(&self) -> Value {
        let snapshot = self.resources.lock();
        snapshot.as_ref().and_then(|snapshot| serde_json::to_value(snapshot).ok()).unwrap_or(Value::Null)
    }

    fn gpus(&self) -> Vec<GpuResources> {
        self.resources.lock().as_ref().map(|snapshot| snapshot.gpus.clone()).unwrap_or_default()
    }
}

impl HostControl {
    fn now_in_service(&self) -> Value {
        json!({ "in_service": self.in_service() })
    }

    /// The strategy in service with what planning costs, and why it serves.
    fn in_service(&self) -> Value {
        let (generation, record) = (self.strategies.in_service().load(), self.strategies.serving());
        let mut value = self.describe(generation.strategy.as_ref());
        let counts = generation.planning.read();
        value["generation"] = json!(generation.number);
        if record.number == generation.number {
            value["why"] = json!(record.why);
            value["since_ms"] = json!(record.from_ms);
        }
        value["planning"] = json!({
            "is_demoted": counts.is_demoted, "demotion": counts.demotion,
            "demoted_because": counts.demotion.map(|why| why.to_string()),
            "calls": counts.calls, "failures": counts.failures, "overruns": counts.overruns, "mean_us": counts.mean_us(),
        });
        value
    }

    /// Files whose changes are followed.
    fn watched(&self) -> Vec<String> {
        let files = if self.config.lock().watch { self.strategies.files() } else { BTreeSet::new() };
        files.iter().map(|file| file.display().to_string()).collect()
    }

    fn describe(&self, strategy: &dyn Strategy) -> Value {
        let (identity, description, allowance) = (strategy.identity(), strategy.description(), strategy.allowance());
        json!({
            "name": identity.name, "version": identity.version, "digest": identity.digest, "world": identity.world,
            "source": identity.source, "provenance": self.strategies.provenance(&identity.digest),
            "summary": description.summary, "goal": description.goal, "reads": description.reads,
            "turns": description.turns, "parameters": description.parameters, "grants": allowance.grants,
            "limits": allowance.limits, "warm_instances": strategy.warm_instances(),
            "instances": strategy.instances(),
        })
    }
}

fn refusal(error: SwapError) -> ControlError {
    let (code, message) = (error.code().to_owned(), error.to_string());
    match error {
        SwapError::Unknown(_) | SwapError::NoSuchGeneration(_) => ControlError::NotFound { message },
        SwapError::NothingBefore | SwapError::InServiceAlready(_) | SwapError::NotKept { .. } => {
            ControlError::Conflict { code, message }
        }
        SwapError::Source(source) => match source {
            SourceError::Unknown { .. } | SourceError::NotFound { .. } => ControlError::NotFound { message },
            SourceError::NotAllowed { .. }
            | SourceError::Unsigned { .. }
            | SourceError::BadSignature { .. }
            | SourceError::NotTrustedNow { .. }
            | SourceError::PlainHttp { .. } => ControlError::Refused { code, message },
            SourceError::Read { .. } => ControlError::Failed { message },
            _ => ControlError::Invalid { code, message },
        },
        SwapError::Store(_) => ControlError::Failed { message },
        SwapError::Ambiguous { .. }
        | SwapError::Digest(_)
        | SwapError::Load(_)
        | SwapError::Configure { .. }
        | SwapError::OnlyAdvises(_) => ControlError::Invalid { code, message },
    }
}
