//! Watches providers: is each one there, and which models does it offer?
//!
//! One failed probe makes a provider degraded, two in a row make it down, one success makes it up again. Failed
//! connections of real requests count the same way, at once (see [`Provider::note_unreachable`]), and so do their
//! answers. A managed engine is probed too, but probes make it degraded at most: that it is down, and its list of
//! models, are left to its supervisor.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use rustls::ClientConfig;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use crate::client::without_http2;
use crate::fleet::Fleet;
use crate::listing::Listing;
use crate::probe::Probe;
use crate::provider::{Health, Provider, ProviderKind};

/// A good time between probes of one provider on the local machine or network.
pub const PROBE_INTERVAL: Duration = Duration::from_secs(5);

/// Time allowed for one probe.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// A paid service that is up is probed once in so many intervals: it limits calls, and is seldom down.
pub const CLOUD_INTERVALS: u32 = 12;

/// Lists of models are refreshed once in so many successful probes, where that is not the probe itself.
const LISTING_EVERY: u32 = 6;

/// Probes every provider of the fleet until `shutdown` resolves: each `interval`, cloud services each
/// [`CLOUD_INTERVALS`] intervals, a provider that was just added at once. Probes run side by side as tasks of the
/// current runtime; one provider never has two.
pub async fn watch(fleet: Arc<Fleet>, tls: Arc<ClientConfig>, interval: Duration, shutdown: impl Future<Output = ()>) {
    let tls = without_http2(&tls);
    let mut watched: HashMap<String, Watched> = HashMap::new();
    let mut probes: JoinSet<String> = JoinSet::new();
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => return,
            _ = ticks.tick() => {}
            () = fleet.added() => {}
            Some(ended) = probes.join_next(), if !probes.is_empty() => {
                if let Some(watched) = ended.ok().and_then(|name| watched.get_mut(&name)) {
                    watched.is_running = false;
                }
                continue;
            }
        }
        let providers = fleet.providers();
        watched.retain(|name, _| providers.iter().any(|provider| provider.name() == name));
        for provider in providers {
            let state = watched.entry(provider.name().to_owned()).or_default();
            if let Some(count) = state.start(&provider, interval) {
                let tls = tls.clone();
                probes.spawn(async move {
                    probe(&provider, &tls, count).await;
                    provider.name().to_owned()
                });
            }
        }
    }
}

/// When a provider was last probed.
#[derive(Default)]
struct Watched {
    is_running: bool,
    count: u32,
    last: Option<Instant>,
}

impl Watched {
    /// The number of the probe to start now, if one is due.
    fn start(&mut self, provider: &Provider, interval: Duration) -> Option<u32> {
        let now = Instant::now();
        // One that is not up is probed at the usual pace whatever its kind, to have it back soon.
        let is_slow = provider.kind().is_cloud() && provider.health() == Health::Up;
        let pause = if is_slow { interval * CLOUD_INTERVALS } else { interval };
        // Half an interval of slack, so that a probe is not put off to the tick after the one that is meant.
        let is_due = self.last.is_none_or(|last| now >= last + pause - interval / 2);
        if self.is_running || !is_due {
            return None;
        }
        self.last = Some(now);
        self.is_running = true;
        self.count = self.count.wrapping_add(1);
        Some(self.count - 1)
    }
}

async fn probe(provider: &Arc<Provider>, tls: &Arc<ClientConfig>, count: u32) {
    let endpoint = provider.endpoint();
    let ask = Probe { name: provider.name(), provider: Some(provider), endpoint: &endpoint, tls, limit: PROBE_TIMEOUT };
    let is_listing = provider.kind() != ProviderKind::LlamaCpp;
    let path = if is_listing { "/v1/models" } else { "/health" };
    let probed = ask.get(path).await;
    if provider.endpoint_id() != endpoint.id {
        return;
    }
    let probed = match probed {
        Ok(probed) if is_alive(probed.status) => probed,
        Ok(probed) => {
            tracing::debug!(provider = provider.name(), status = probed.status.as_u16(), "probe refused");
            return provider.note_unreachable();
        }
        Err(error) => {
            tracing::debug!(%error, "probe failed");
            return provider.note_unreachable();
        }
    };
    provider.note_probe_success();
    if provider.is_managed() {
        return;
    }
    if is_listing {
        note_models(provider, &probed.body);
        return;
    }
    let is_due = count.is_multiple_of(LISTING_EVERY) || provider.models().is_empty();
    if is_due && let Ok(listed) = ask.get("/v1/models").await {
        note_models(provider, &listed.body);
    }
}

/// Whether an answer means that requests may go there. A refused key or a missing list is an answer all the same; an
/// engine that is still loading says 503.
fn is_alive(status: StatusCode) -> bool {
    !status.is_server_error()
}

fn note_models(provider: &Provider, body: &[u8]) {
    if let Some(listing) = Listing::parse(body) {
        provider.set_models(listing.into_names());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Endpoint;
    use crate::provider::ProviderConfig;

    const INTERVAL: Duration = Duration::from_secs(5);

    fn provider(kind: ProviderKind, is_managed: bool) -> Arc<Provider> {
        let endpoint = Endpoint::loopback(1).expect("endpoint");
        Fleet::new().add(ProviderConfig { name: "p".to_owned(), kind, endpoint, key: None, is_managed })
    }

    async fn probes_within(kind: ProviderKind, health: Health, ticks: u32) -> u32 {
        let provider = provider(kind, false);
        provider.set_health(health);
        let mut watched = Watched::default();
        let mut started = 0;
        for _ in 0..ticks {
            if watched.start(&provider, INTERVAL).is_some() {
                started += 1;
                assert_eq!(watched.start(&provider, INTERVAL), None, "never two at a time");
                watched.is_running = false;
            }
            tokio::time::advance(INTERVAL).await;
        }
        started
    }

    #[tokio::test(start_paused = true)]
    async fn paid_services_are_probed_less_often_while_they_are_up() {
        assert_eq!(probes_within(ProviderKind::Vllm, Health::Up, 24).await, 24);
        assert_eq!(probes_within(ProviderKind::Groq, Health::Up, 24).await, 2);
        assert_eq!(probes_within(ProviderKind::Groq, Health::Down, 24).await, 24);
    }

    #[test]
    fn only_its_supervisor_says_that_a_managed_engine_is_down() {
        let [engine, other] = [true, false].map(|is_managed| provider(ProviderKind::LlamaCpp, is_managed));
        for _ in 0..5 {
            engine.note_unreachable();
            other.note_unreachable();
        }
        assert_eq!((engine.health(), other.health()), (Health::Degraded, Health::Down));
        engine.note_probe_success();
        assert_eq!(engine.health(), Health::Up);
        engine.set_health(Health::Down);
        engine.note_unreachable();
        assert_eq!(engine.health(), Health::Down, "a failed probe does not overrule that either");
    }

    #[test]
    fn a_refusal_is_a_sign_of_life_and_a_server_error_is_none() {
        assert!(is_alive(StatusCode::OK) && is_alive(StatusCode::UNAUTHORIZED) && is_alive(StatusCode::NOT_FOUND));
        assert!(!is_alive(StatusCode::SERVICE_UNAVAILABLE) && !is_alive(StatusCode::BAD_GATEWAY));
    }
}
