//! `POST /api/optimization/{cache,resources,models}/tune`: what to change, with the evidence. Nothing is changed unless
//! `{"apply": true}` asks for it, and then through the guard, as if a strategy had proposed it.

use std::sync::Arc;

use http::{Request, StatusCode};
use hyper::body::Incoming;
use perfhost_strategy::decision::Decision;
use perfhost_strategy::observation::metric;
use perfhost_strategy::{KnobId, Proposal, Scope, Value as KnobValue};
use perfhost_telemetry::StoreError;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::aggregates::compared;
use super::blocking;
use super::findings::found_bottlenecks;
use super::query::Query;
use super::recorded::{self, HOUR, LEAST_REQUESTS, Range, Recorded};
use super::reply::{Reply, Trouble};
use crate::caching::now_ms;
use crate::control::{Control, ControlError};
use crate::receive::receive;
use crate::services::Services;

/// What can be tuned.
pub(crate) const WHAT: [&str; 3] = ["cache", "resources", "models"];

/// One thing to change.
#[derive(Debug, Serialize)]
pub(crate) struct Recommendation {
    /// The knob, where it is one.
    pub(crate) knob: Option<&'static str>,
    pub(crate) scope: Scope,
    pub(crate) now: Value,
    pub(crate) suggested: Value,
    pub(crate) action: String,
    /// The figures that it rests on.
    pub(crate) evidence: Vec<String>,
    /// The guard's, where it was to be applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) decision: Option<Decision>,
}

/// What is to become of the recommendations; by default they are only told.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Ask {
    apply: bool,
    /// Only those for the whole host and this provider, as its own requests call for them.
    provider: Option<String>,
}

/// The author of applied recommendations in the decision log.
const AUTHOR: &str = "recommendations";

/// Confidence of applied recommendations: they rest on figures, but nobody tried them here.
const CONFIDENCE: f64 = 0.5;

pub(crate) async fn tune(
    services: &Arc<Services>,
    query: &Query,
    what: String,
    request: Request<Incoming>,
) -> Result<Reply, Trouble> {
    if !WHAT.contains(&what.as_str()) {
        let message = format!("{what:?} cannot be tuned; there are {}", WHAT.join(", "));
        return Err(Trouble::new(StatusCode::NOT_FOUND, "not_found", message));
    }
    let mut range = Range::of(query, now_ms(), HOUR)?;
    let limits = services.limits;
    let body = receive(request.into_body(), limits.body_bytes, limits.body_timeout).await?;
    let ask = Ask::read(&body)?;
    if let Some(provider) = &ask.provider {
        range = range.at(&known_provider(services, provider)?);
    }
    let services = services.clone();
    let found = blocking(move || -> Result<Value, Trouble> {
        let recorded = Recorded::new(&services.store, range);
        let mut recommendations = match what.as_str() {
            "cache" => cache(&services, &recorded)?,
            "resources" => resources(&services, &recorded)?,
            _ => models(&services, &recorded)?,
        };
        recommendations.retain(|one| ask.is_about(&one.scope));
        if ask.apply {
            apply(services.control.as_ref(), &mut recommendations)?;
        }
        let is_applied =
            |one: &Recommendation| one.decision.as_ref().is_some_and(|decision| decision.applied.is_some());
        Ok(json!({
            "what": what, "from_ms": recorded.range.from_ms, "to_ms": recorded.range.to_ms,
            "is_applied": recommendations.iter().any(is_applied), "recommendations": recommendations,
        }))
    });
    Ok(Reply::json(&found.await??))
}

impl Ask {
    /// An empty body asks for nothing. A list would read as an object without names, so objects come first.
    fn read(body: &[u8]) -> Result<Self, Trouble> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        let object: Result<Map<String, Value>, _> = serde_json::from_slice(body);
        object.and_then(|object| serde_json::from_value(Value::Object(object))).map_err(|error| {
            Trouble::invalid(format!(
                "the body is neither empty nor {{\"apply\":true|false,\"provider\":\"…\"}}: {error}"
            ))
        })
    }

    fn is_about(&self, scope: &Scope) -> bool {
        let wanted = self.provider.as_deref();
        wanted.is_none() || scope.provider_name().is_none() || scope.provider_name() == wanted
    }
}

/// The scope of a provider of the fleet.
fn known_provider(services: &Services, name: &str) -> Result<Scope, Trouble> {
    if services.fleet.provider(name).is_some() {
        return Ok(Scope::provider(name));
    }
    let known: Vec<_> = services.fleet.providers().iter().map(|one| one.name().to_owned()).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Err(Trouble::invalid(format!("there is no provider {name:?}; there are: {known}")))
}

/// Puts those that turn a knob before the guard, in their order.
fn apply(control: &dyn Control, recommendations: &mut [Recommendation]) -> Result<(), ControlError> {
    let mut turning: Vec<(&mut Recommendation, Proposal)> =
        recommendations.iter_mut().filter_map(|one| one.proposal().map(|proposal| (one, proposal))).collect();
    if turning.is_empty() {
        return Ok(());
    }
    let proposals = turning.iter().map(|(_, proposal)| proposal.clone()).collect();
    for ((one, _), decision) in turning.iter_mut().zip(control.propose(AUTHOR, proposals)?) {
        one.decision = Some(decision);
    }
    Ok(())
}

impl Recommendation {
    /// It as a change; `None` where it is none of a knob.
    fn proposal(&self) -> Option<Proposal> {
        Some(Proposal {
            name: self.knob?.to_owned(),
            scope: self.scope.clone(),
            value: serde_json::from_value(self.suggested.clone()).ok()?,
            reason: format!("{}: {}", self.action, self.evidence.join("; ")),
            expected: None,
            confidence: CONFIDENCE,
        })
    }
}

/// Everything that is recommended.
pub(crate) fn recommendations(services: &Services, recorded: &Recorded<'_>) -> Result<Vec<Recommendation>, StoreError> {
    let mut all = resources(services, recorded)?;
    all.extend(cache(services, recorded)?);
    all.extend(models(services, recorded)?);
    Ok(all)
}

fn cache(services: &Services, recorded: &Recorded<'_>) -> Result<Vec<Recommendation>, StoreError> {
    let (settings, stats) = (services.settings.load(), services.cache.stats());
    let rate = recorded.distribution(metric::CACHE_HIT_RATE)?;
    let turn = |id: KnobId, suggested: u64, action: &str, evidence: Vec<String>| Recommendation {
        knob: Some(id.name()),
        scope: Scope::global(),
        now: json!(settings.value(id, &Scope::global())),
        suggested: json!(suggested),
        action: action.to_owned(),
        evidence,
        decision: None,
    };
    if stats.capacity_bytes == 0 {
        let evidence = vec!["the cache is off: no answer is kept".to_owned()];
        return Ok(vec![turn(KnobId::CacheCapacity, 64 << 20, "switch the answer cache on", evidence)]);
    }
    if rate.count() < LEAST_REQUESTS {
        return Ok(Vec::new());
    }
    let measured =
        format!("{:.0} % of {} cacheable requests were answered from the cache", rate.mean() * 100.0, rate.count());
    let mut found = Vec::new();
    if stats.evictions > 0 && stats.bytes * 10 >= stats.capacity_bytes * 9 {
        let evidence = vec![
            measured.clone(),
            format!(
                "{} of {} bytes are used, and {} answers made room for others",
                stats.bytes, stats.capacity_bytes, stats.evictions
            ),
        ];
        found.push(turn(KnobId::CacheCapacity, stats.capacity_bytes * 2, "give the cache more memory", evidence));
    }
    if stats.expirations * 4 >= stats.inserts.max(1) && stats.hits > 0 {
        let ttl_ms = settings.value(KnobId::CacheTtl, &Scope::global()).as_number().unwrap_or_default() as u64;
        let evidence = vec![measured, format!("{} of {} kept answers expired", stats.expirations, stats.inserts)];
        found.push(turn(KnobId::CacheTtl, ttl_ms * 2, "let answers hold longer, if they do not change", evidence));
    }
    Ok(found)
}

fn resources(services: &Services, recorded: &Recorded<'_>) -> Result<Vec<Recommendation>, StoreError> {
    let settings = services.settings.load();
    let mut found = Vec::new();
    for one in found_bottlenecks(services, recorded)? {
        let (knob, scope, suggested) = match one.cause {
            "admission" => {
                let limit = settings.concurrency_limit as u64;
                (Some(KnobId::ConcurrencyLimit), Scope::global(), json!(limit * 2))
            }
            "engine_slots" => {
                let engines: Vec<_> =
                    services.fleet.providers().iter().filter(|one| one.is_managed()).cloned().collect();
                let Some(engine) = engines.first() else { continue };
                let slots = u64::from(settings.engine(engine.name()).slots);
                (Some(KnobId::EngineSlots), Scope::provider(engine.name()), json!(slots * 2))
            }
            _ => (None, recorded.range.scope.clone(), Value::Null),
        };
        let now = knob.map_or(Value::Null, |knob| json!(settings.value(knob, &scope)));
        found.push(Recommendation {
            knob: knob.map(KnobId::name),
            scope,
            now,
            suggested,
            action: one.advice.to_owned(),
            evidence: one.evidence,
            decision: None,
        });
    }
    Ok(found)
}

/// A model that serves clearly faster at another provider of the fleet. It is to get twice its present weight: as much as one
/// change may turn. None that gets no traffic, or all that a weight can give, is named.
fn models(services: &Services, recorded: &Recorded<'_>) -> Result<Vec<Recommendation>, StoreError> {
    let mut rows = Vec::new();
    for (scope, provider, model) in recorded::models(&services.store)? {
        let figures = compared(&recorded.at(&scope))?;
        let count = figures[metric::RESPONSE_TIME]["count"].as_u64().unwrap_or(0);
        let errors = figures[metric::ERROR_RATE]["mean"].as_f64().unwrap_or(0.0);
        if let Some(p95) = figures[metric::RESPONSE_TIME]["p95"].as_f64().filter(|_| count >= LEAST_REQUESTS) {
            rows.push((provider, model, p95, errors, count));
        }
    }
    rows.retain(|(provider, ..)| services.fleet.provider(provider).is_some());
    let settings = services.settings.load();
    let mut found = Vec::new();
    for (provider, model, p95, _, count) in &rows {
        let faster = rows.iter().filter(|other| other.1 == *model && other.2 * 1.5 < *p95 && other.3 <= 0.05);
        if let Some((other, _, other_p95, _, other_count)) = faster.min_by(|a, b| a.2.total_cmp(&b.2)) {
            let scope = Scope::provider(other);
            let now = settings.value(KnobId::CandidateWeight, &scope);
            let twice = now.as_number().map(|weight| KnobValue::Number(weight * 2.0));
            let allowed = twice.and_then(|twice| KnobId::CandidateWeight.knob().bounds.clamp(&twice));
            let Some(suggested) = allowed.filter(|allowed| *allowed != now) else { continue };
            found.push(Recommendation {
                knob: Some(KnobId::CandidateWeight.name()),
                scope,
                now: json!(now),
                suggested: json!(suggested),
                action: format!("send more of {model} to {other} than to {provider}"),
                evidence: vec![
                    format!("p95 of {model} at {provider}: {p95:.0} ms over {count} requests"),
                    format!("p95 of {model} at {other}: {other_p95:.0} ms over {other_count} requests"),
                ],
                decision: None,
            });
        }
    }
    Ok(found)
}
