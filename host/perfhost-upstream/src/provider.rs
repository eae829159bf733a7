//! One upstream API: its name, kind and key, where it is now, and what is known of its state.
//!
//! All of it is read by every worker on every request, so state is held in atomics and replaced snapshots.

mod kind;

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use http::HeaderValue;
use perfhost_strategy::Shared;

use crate::endpoint::Endpoint;
use crate::error::UpstreamError;
use crate::fleet::Fleet;
use crate::key::ApiKey;
use crate::places::Place;
use crate::recent::{Recent, RecentStats};

pub use kind::ProviderKind;

/// How a provider is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Health {
    /// It answers, or nothing else is known yet.
    Up = 0,
    /// Its last probe or connection failed; it still gets requests.
    Degraded = 1,
    /// It failed repeatedly; it gets requests only when nothing else is left.
    Down = 2,
}

impl Health {
    /// As in metrics and answers: `up`, `degraded` or `down`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }

    fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::Up,
            1 => Self::Degraded,
            _ => Self::Down,
        }
    }
}

/// Failures in a row, of probes or connections, after which a provider is down.
pub const FAILURES_UNTIL_DOWN: u32 = 2;

/// What a provider is made from.
#[derive(Debug, Clone)]
pub struct ProviderConfig {
    /// Name, used in knob scopes, metrics and headers; holds no `/`.
    pub name: String,
    /// Kind.
    pub kind: ProviderKind,
    /// Where it is.
    pub endpoint: Endpoint,
    /// Replaces the client's own authorization where set.
    pub key: Option<ApiKey>,
    /// An engine that perfhost runs: its model list is the engine's business, not the health watch's.
    pub is_managed: bool,
}

/// One upstream API.
#[derive(Debug)]
pub struct Provider {
    name: Arc<str>,
    kind: ProviderKind,
    is_managed: bool,
    key: Option<HeaderValue>,
    endpoint: Shared<Endpoint>,
    endpoint_id: AtomicU64,
    health: AtomicU8,
    failures: AtomicU32,
    in_flight: AtomicU32,
    queued: AtomicU32,
    models: Shared<[String]>,
    recent: Recent,
    fleet: Weak<Fleet>,
}

impl Provider {
    pub(crate) fn new(config: ProviderConfig, fleet: Weak<Fleet>) -> Self {
        let prefix = if config.kind == ProviderKind::Anthropic { "" } else { "Bearer " };
        let key = config.key.and_then(|key| {
            let header = key.header(prefix);
            if header.is_err() {
                tracing::warn!(provider = config.name, "key holds characters that no header can; it is not used");
            }
            header.ok()
        });
        Self {
            name: config.name.into(),
            kind: config.kind,
            is_managed: config.is_managed,
            key,
            endpoint_id: AtomicU64::new(config.endpoint.id),
            endpoint: Shared::new(Arc::new(config.endpoint)),
            health: AtomicU8::new(Health::Up as u8),
            failures: AtomicU32::new(0),
            in_flight: AtomicU32::new(0),
            queued: AtomicU32::new(0),
            models: Shared::new(Arc::new([])),
            recent: Recent::default(),
            fleet,
        }
    }

    /// Name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same, to keep.
    pub fn shared_name(&self) -> Arc<str> {
        self.name.clone()
    }

    /// Kind.
    pub fn kind(&self) -> ProviderKind {
        self.kind
    }

    /// An engine that perfhost runs.
    pub fn is_managed(&self) -> bool {
        self.is_managed
    }

    /// A key of its own is configured.
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    pub(crate) fn key(&self) -> Option<&HeaderValue> {
        self.key.as_ref()
    }

    /// Where it is now. A request holds this until its answer has ended.
    pub fn endpoint(&self) -> Arc<Endpoint> {
        self.endpoint.load()
    }

    pub(crate) fn endpoint_id(&self) -> u64 {
        self.endpoint_id.load(Ordering::Acquire)
    }

    /// Where to send a request now, and its place there if they are limited, once there is one. A replaced endpoint sends
    /// those who wait on to its successor.
    pub(crate) async fn enter(&self) -> Result<(Arc<Endpoint>, Option<Place>), UpstreamError> {
        loop {
            let endpoint = self.endpoint();
            let Some(places) = endpoint.places.clone() else { return Ok((endpoint, None)) };
            // Not held while waiting: who waits is not in the way of its draining.
            let id = endpoint.id;
            drop(endpoint);
            let place = places.enter().await;
            let endpoint = self.endpoint();
            match place {
                Some(place) if endpoint.id == id => return Ok((endpoint, Some(place))),
                None if endpoint.id == id => return Err(UpstreamError::Ended { provider: self.shared_name() }),
                _ => {}
            }
        }
    }

    /// Sends new requests elsewhere and returns where they went before. Requests under way hold that one: it is
    /// drained when its strong count is 1. Idle connections do not hold it; they are dropped at the next use or
    /// [`crate::Client::trim`].
    pub fn set_endpoint(&self, endpoint: Endpoint) -> Arc<Endpoint> {
        let id = endpoint.id;
        let before = self.endpoint.store(Arc::new(endpoint));
        self.endpoint_id.store(id, Ordering::Release);
        if let Some(places) = &before.places {
            places.close();
        }
        before
    }

    /// How it is doing.
    pub fn health(&self) -> Health {
        Health::from_byte(self.health.load(Ordering::Relaxed))
    }

    /// Says how it is doing, from knowledge that outweighs probes, as a managed engine's supervisor has. Nobody waits for
    /// an engine that is down.
    pub fn set_health(&self, health: Health) {
        if health == Health::Down
            && let Some(places) = &self.endpoint().places
        {
            places.close();
        }
        let failures = match health {
            Health::Up => 0,
            Health::Degraded => 1,
            Health::Down => FAILURES_UNTIL_DOWN,
        };
        self.failures.store(failures, Ordering::Relaxed);
        self.change_health(health);
    }

    /// A probe or a new connection failed: degraded, then down. A managed engine is degraded and no more: it may be busy
    /// with a long prompt, and that its process is gone its supervisor says.
    pub fn note_unreachable(&self) {
        if self.is_managed {
            return self.degrade();
        }
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        self.change_health(if failures >= FAILURES_UNTIL_DOWN { Health::Down } else { Health::Degraded });
    }

    /// A probe succeeded, or a request was answered otherwise than with a server error: up.
    pub fn note_reachable(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 || self.health() != Health::Up {
            self.set_health(Health::Up);
        }
    }

    /// Up becomes degraded. Down, which others may say at the same moment, stays.
    fn degrade(&self) {
        let (up, degraded) = (Health::Up as u8, Health::Degraded as u8);
        if self.health.compare_exchange(up, degraded, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.health_changed(Health::Up, Health::Degraded);
        }
    }

    fn change_health(&self, health: Health) {
        let before = Health::from_byte(self.health.swap(health as u8, Ordering::Relaxed));
        if before != health {
            self.health_changed(before, health);
        }
    }

    fn health_changed(&self, before: Health, health: Health) {
        tracing::info!(provider = self.name(), from = before.name(), to = health.name(), "provider's health changed");
        if let Some(fleet) = self.fleet.upgrade() {
            fleet.refresh();
        }
    }

    /// Requests under way: from the start of sending to the end of the answer.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Requests waiting for the engine: inside it, as far as it says so, and for a place there.
    pub fn queued(&self) -> u32 {
        let inside = self.queued.load(Ordering::Relaxed);
        if !self.is_managed {
            return inside;
        }
        let outside = self.endpoint().places.as_ref().map_or(0, |places| places.waiting());
        inside.saturating_add(outside)
    }

    /// Says how many requests wait inside the engine, and how many of its slots have nothing to do.
    pub fn set_queued(&self, queued: u32, idle_slots: u32) {
        self.queued.store(queued, Ordering::Relaxed);
        if let Some(places) = &self.endpoint().places {
            places.note_idle_slots(idle_slots);
        }
    }

    /// Names of the models it offers, sorted; empty when not known.
    pub fn models(&self) -> Arc<[String]> {
        self.models.load()
    }

    /// Says which models it offers and rebuilds the fleet's view when that changed.
    pub fn set_models(&self, mut models: Vec<String>) {
        models.sort_unstable();
        models.dedup();
        if *self.models.load() == *models {
            return;
        }
        self.models.store(models.into());
        if let Some(fleet) = self.fleet.upgrade() {
            fleet.refresh();
        }
    }

    /// Estimates of its latency and failures.
    pub fn recent(&self) -> RecentStats {
        self.recent.stats()
    }

    /// A request came to a good end. Times in milliseconds.
    pub fn note_success(&self, latency_ms: f32, ttft_ms: Option<f32>) {
        self.recent.note_success(latency_ms, ttft_ms);
    }

    /// The engine said how fast it generated one answer, in tokens/s.
    pub fn note_generation(&self, tokens_per_second: f32) {
        self.recent.note_generation(tokens_per_second);
    }

    /// A request failed for a reason that lies with the provider.
    pub fn note_failure(&self) {
        self.recent.note_failure();
    }

    pub(crate) fn note_probe_success(&self) {
        self.recent.note_probe_success();
        self.note_reachable();
    }

    pub(crate) fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight { provider: self.clone() }
    }
}

/// Counts one request as under way for as long as it lives.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub(crate) provider: Arc<Provider>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.provider.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
