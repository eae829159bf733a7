//! Reloads the configuration on SIGHUP and when its file changes. A bad one is refused and the old kept.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use perfhost_gateway::{Shutdown, Stage, StrategySource};
use perfhost_strategy::generation::Arrival;
use perfhost_upstream::Fleet;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};

use super::alerts::Alerts;
use super::strategies::{Strategies, SwapError};
use super::tuner::Tuner;
use crate::config::{self, Config, Sources};
use crate::host::{parameters_of, warn_of_idle_rules};
use crate::plugin_source::Intake;
use crate::plugin_source::address::Address;

/// Time between two looks at the file. Looking, not being told, works on every file system and through renames.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Watches one configuration and puts new versions of it in force.
pub struct Reloader {
    sources: Sources,
    in_force: Arc<Mutex<Arc<Config>>>,
    tuner: Arc<Tuner>,
    strategies: Arc<Strategies>,
    fleet: Arc<Fleet>,
    alerts: Arc<Alerts>,
    seen: Option<Stamp>,
}

/// What tells one version of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
}

impl Reloader {
    /// Watches the file that the present configuration came from.
    pub fn new(
        sources: Sources,
        in_force: Arc<Mutex<Arc<Config>>>,
        tuner: Arc<Tuner>,
        strategies: Arc<Strategies>,
        fleet: Arc<Fleet>,
        alerts: Arc<Alerts>,
    ) -> Self {
        let seen = in_force.lock().file.as_deref().and_then(stamp);
        Self { sources, in_force, tuner, strategies, fleet, alerts, seen }
    }

    /// Runs until the host stops.
    pub async fn run(mut self, mut shutdown: Shutdown) {
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => hangup,
            Err(error) => {
                warn!(%error, "SIGHUP cannot be watched; the configuration is not reloaded");
                return;
            }
        };
        loop {
            let is_asked = tokio::select! {
                _ = hangup.recv() => true,
                () = tokio::time::sleep(LOOK_EVERY) => false,
                () = shutdown.reached(Stage::Draining) => return,
            };
            if is_asked || self.has_changed() {
                self = match tokio::task::spawn_blocking(move || {
                    self.reload();
                    self
                })
                .await
                {
                    Ok(reloader) => reloader,
                    Err(_) => return,
                };
            }
        }
    }

    fn has_changed(&mut self) -> bool {
        let now = self.in_force.lock().file.as_deref().and_then(stamp);
        // A file that is gone for a moment is being replaced; its successor counts.
        let has_changed = now.is_some() && now != self.seen;
        if has_changed {
            self.seen = now;
        }
        has_changed
    }

    fn reload(&mut self) {
        let next = match config::load(&self.sources) {
            Ok(config) => Arc::new(config),
            Err(error) => {
                error!(%error, "the new configuration is refused; the one before stays in force");
                return;
            }
        };
        let before = self.in_force.lock().clone();
        if let Err(error) = self.strategies.set_parameters(parameters_of(next.clone())) {
            error!(%error, "the new configuration is refused; the one before stays in force");
            return;
        }
        let intake = self.strategies.intake();
        let has_other_terms = self.strategies.set_intake(Arc::new(Intake::new(next.clone(), &self.sources)));
        if let Err(error) = self.follow_plugin(&before, &next, has_other_terms) {
            error!(%error, "the new configuration is refused; the one before stays in force");
            self.strategies.set_intake(intake);
            if let Err(error) = self.strategies.set_parameters(parameters_of(before)) {
                warn!(%error, "the parameters before could not be set again");
            }
            return;
        }
        for needs_restart in [
            ("listen", next.listen != before.listen),
            ("data_dir", next.data_dir != before.data_dir),
            ("workers", next.workers != before.workers),
            ("telemetry.enabled", next.is_recording != before.is_recording),
            ("history", next.retention != before.retention),
            ("reports", next.reports != before.reports),
            ("targets", next.targets != before.targets),
            ("engine.model", next.engine.model != before.engine.model),
            ("sandbox.limits", next.sandbox.limits != before.sandbox.limits),
            ("access", (&next.admin_token, &next.api_key) != (&before.admin_token, &before.api_key)),
        ] {
            if needs_restart.1 {
                warn!(setting = needs_restart.0, "this setting takes effect at the next start");
            }
        }
        self.follow_upstreams(&before, &next);
        self.tuner.configure(next.clone());
        self.alerts.configure(&next.alerts);
        warn_of_idle_rules(&next, &self.strategies);
        *self.in_force.lock() = next;
        info!("configuration reloaded");
    }

    /// Puts the configured plugin in service when it is another one, or is to be held to other terms. One that was swapped in
    /// by hand keeps the terms that it was loaded under.
    fn follow_plugin(&self, before: &Config, next: &Config, has_other_terms: bool) -> Result<(), SwapError> {
        let Some(plugin) = next.plugins.first() else { return Ok(()) };
        let is_in_service = Address::parse(plugin).is_ok_and(|address| self.strategies.serves_from(&address));
        if next.plugins.first() != before.plugins.first() || (has_other_terms && is_in_service) {
            let source = StrategySource::Named { name: plugin.clone(), digest: None };
            self.strategies.swap(&source, Arrival::Configuration)?;
        } else if has_other_terms {
            warn!(strategy = self.strategies.serving().name, "its new grants and limits hold when it is loaded again");
        }
        Ok(())
    }

    fn follow_upstreams(&self, before: &Config, next: &Config) {
        for old in &before.upstreams {
            if !next
                .upstreams
                .iter()
                .any(|new| new.name == old.name && new.endpoint.to_string() == old.endpoint.to_string())
            {
                info!(provider = old.name, "provider removed");
                self.fleet.remove(&old.name);
            }
        }
        for new in &next.upstreams {
            if self.fleet.provider(&new.name).is_none() {
                info!(provider = new.name, endpoint = %new.endpoint, "provider added");
                self.fleet.add(new.clone());
            }
        }
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let data = std::fs::metadata(path).ok()?;
    Some(Stamp { modified: data.modified().ok(), length: data.len() })
}
