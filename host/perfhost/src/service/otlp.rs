//! Pushes metrics to an OpenTelemetry collector every few seconds, by OTLP over HTTP in its JSON encoding.
//!
//! A collector that is away costs a line in the log when it goes and one when it is back; sums are cumulative, so
//! nothing is lost. Never on the request path: the push runs on the blocking pool.

use std::sync::Arc;
use std::time::Duration;

use perfhost_gateway::{Shutdown, Stage};
use perfhost_telemetry::{Telemetry, otlp};
use tracing::{info, warn};
use ureq::Agent;

use super::now_ms;
use crate::config::OtlpConfig;

/// Longest time for one push.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Pushes until the host drains, and once more then.
pub async fn push(config: OtlpConfig, telemetry: Arc<Telemetry>, instance: String, mut shutdown: Shutdown) {
    let started_ms = now_ms();
    let pusher = Arc::new(Pusher {
        agent: Agent::config_builder().timeout_global(Some(TIMEOUT)).build().into(),
        url: format!("{}/v1/metrics", config.endpoint.trim_end_matches('/')),
        headers: config.headers,
        telemetry,
        instance,
        started_ms,
    });
    let mut is_reached = None;
    let mut is_over = false;
    while !is_over {
        tokio::select! {
            () = tokio::time::sleep(config.interval) => {}
            () = shutdown.reached(Stage::Draining) => is_over = true,
        }
        let pusher = pusher.clone();
        let Ok(pushed) = tokio::task::spawn_blocking(move || pusher.push()).await else { continue };
        match (pushed, is_reached.replace(true)) {
            (Ok(()), None | Some(false)) => info!(endpoint = config.endpoint, "metrics reach the collector"),
            (Ok(()), Some(true)) => {}
            (Err(error), before) => {
                is_reached = Some(false);
                if before != Some(false) {
                    warn!(endpoint = config.endpoint, %error, "metrics do not reach the collector; trying on");
                }
            }
        }
    }
}

struct Pusher {
    agent: Agent,
    url: String,
    headers: Vec<(String, String)>,
    telemetry: Arc<Telemetry>,
    instance: String,
    started_ms: u64,
}

impl Pusher {
    fn push(&self) -> Result<(), ureq::Error> {
        let body = otlp::metrics_request(&self.telemetry, &self.instance, self.started_ms, now_ms());
        let mut request = self.agent.post(&self.url).header("content-type", "application/json");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.send(body.to_string().as_bytes()).map(drop)
    }
}
