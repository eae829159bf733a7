//! The life of an engine over many processes: started, watched, restarted after a failure, replaced, stopped.

use std::sync::Arc;
use std::time::Duration;

use perfhost_strategy::settings::EngineSettings;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::backoff::{Backoff, HEALTHY};
use super::config::EngineConfig;
use super::error::EngineError;
use super::handle::EngineShared;
use super::launch::{Running, launch};
use super::log::{Log, log_path};
use super::pidfile;
use super::replace::{Replacement, drain};
use super::state::{EngineChange, EnginePhase};
use super::watch::watch;
use crate::endpoint::Endpoint;
use crate::fleet::Fleet;
use crate::model::ModelHeader;
use crate::provider::{Health, Provider, ProviderConfig, ProviderKind};

/// Replaced processes that may drain at once; with more, the next replacement waits for one of them.
const MAX_DRAINING: usize = 2;
/// Where requests go until the first process is ready: a reserved port, so that they are refused at once.
const NOWHERE: u16 = 1;
/// Failures in a row after which the settings of the last good process are gone back to, and the phase says failed.
const FAILURES_UNTIL_FALLBACK: u32 = 3;

/// Runs one engine.
pub(super) struct Supervisor {
    pub(super) config: EngineConfig,
    pub(super) shared: Arc<EngineShared>,
    pub(super) log: Arc<Log>,
    pub(super) provider: Arc<Provider>,
    /// What the model's file says of itself.
    pub(super) header: Option<ModelHeader>,
    fleet: Arc<Fleet>,
}

/// Why a process does not serve any more.
enum End {
    Failed { error: EngineError, served: Duration },
    Stopping,
}

/// What the supervisor keeps over its processes.
struct Course {
    settings: EngineSettings,
    /// What served before `settings`, to go back to should the engine not live with them.
    previous: Option<EngineSettings>,
    /// `settings` were asked for while no process served, and what comes of them is still to be reported.
    is_unanswered: bool,
    backoff: Backoff,
    draining: JoinSet<()>,
}

impl Supervisor {
    pub(super) fn new(config: EngineConfig, fleet: Arc<Fleet>, shared: Arc<EngineShared>) -> Result<Self, EngineError> {
        let provider = fleet.add(ProviderConfig {
            name: config.provider.clone(),
            kind: ProviderKind::LlamaCpp,
            endpoint: Endpoint::loopback(NOWHERE)?,
            key: None,
            is_managed: true,
        });
        provider.set_health(Health::Down);
        provider.set_models(vec![config.model_name.clone()]);
        let log = Log::new(log_path(&config.log_dir, &config.provider));
        Ok(Self { config, shared, log, provider, header: None, fleet })
    }

    pub(super) async fn run(mut self, settings: EngineSettings) {
        let (run_dir, model_path) = (self.config.run_dir.clone(), self.config.model_path.clone());
        // Both wait for the disk, and the header of a large vocabulary takes its time.
        let looked = tokio::task::spawn_blocking(move || {
            pidfile::reap(&run_dir);
            ModelHeader::read(&model_path).ok()
        });
        self.header = looked.await.ok().flatten();
        let mut course = Course {
            previous: self.config.fallback.take().filter(|fallback| *fallback != settings),
            settings,
            is_unanswered: false,
            backoff: Backoff::default(),
            draining: JoinSet::new(),
        };
        while let End::Failed { error, served } = self.one_life(&mut course).await {
            if self.pause_after(&error, served, &mut course).await {
                break;
            }
        }
        self.end(course).await;
    }

    /// One process from its start to its end, with all replacements of it.
    async fn one_life(&self, course: &mut Course) -> End {
        let spawned = |pid| self.shared.update(|state| state.starting_pid = Some(pid));
        let started = tokio::select! {
            () = self.shared.stopping() => return End::Stopping,
            started = Box::pin(launch(&self.config, &course.settings, &self.log, &spawned)) => started,
        };
        self.shared.update(|state| state.starting_pid = None);
        let running = match started {
            Ok(running) => running,
            Err(error) => {
                if std::mem::take(&mut course.is_unanswered)
                    && let Some(previous) = course.previous.take()
                {
                    let refused = std::mem::replace(&mut course.settings, previous);
                    self.refuse(refused, &error);
                }
                return End::Failed { error, served: Duration::ZERO };
            }
        };
        // What was there before has ended by itself, so there is nothing to drain.
        self.take_over(&running, &course.settings);
        if std::mem::take(&mut course.is_unanswered) {
            self.shared.report(&EngineChange::Applied { settings: course.settings.clone() });
        }
        let end = self.serve(running, course).await;
        self.provider.set_health(Health::Down);
        self.provider.set_queued(0, 0);
        self.shared.update(|state| {
            state.pid = None;
            state.port = None;
            state.metrics = None;
        });
        end
    }

    /// Watches a serving process and replaces it when asked to.
    async fn serve(&self, mut running: Running, course: &mut Course) -> End {
        loop {
            let watched = watch(running.port, course.settings.slots, self.shared.clone(), self.provider.clone());
            let mut watched = Box::pin(watched);
            let settings = loop {
                let may_replace = course.draining.len() < MAX_DRAINING;
                tokio::select! {
                    () = self.shared.stopping() => {
                        running.process.stop(self.config.stop_grace).await;
                        return End::Stopping;
                    }
                    error = running.process.ended() => {
                        return End::Failed { error, served: running.ready_at.elapsed() };
                    }
                    error = &mut watched => {
                        let served = running.ready_at.elapsed();
                        running.process.stop(Duration::ZERO).await;
                        return End::Failed { error, served };
                    }
                    Some(_) = course.draining.join_next() => {}
                    settings = self.shared.wanted(), if may_replace => break settings,
                }
            };
            if settings == course.settings {
                self.shared.report(&EngineChange::Applied { settings });
                continue;
            }
            self.shared.update(|state| state.phase = EnginePhase::Replacing);
            // Metrics are read on meanwhile; a process that is stuck is dealt with when the new one is there.
            let read_on = async {
                watched.as_mut().await;
                std::future::pending().await
            };
            let replacement = tokio::select! {
                replacement = self.start_beside(&mut running, &settings) => replacement,
                never = read_on => never,
            };
            self.shared.update(|state| {
                state.starting_pid = None;
                state.phase = EnginePhase::Ready;
            });
            match replacement {
                Replacement::Ready(new) => {
                    let endpoint = self.take_over(&new, &settings);
                    let old = std::mem::replace(&mut running, *new);
                    self.drain(old, endpoint, course);
                    course.previous = Some(std::mem::replace(&mut course.settings, settings.clone()));
                    course.backoff.reset();
                    self.shared.update(|state| state.replacements += 1);
                    self.shared.report(&EngineChange::Applied { settings });
                }
                Replacement::Refused(error) => self.refuse(settings, &error),
                Replacement::BothEnded { new, old } => {
                    self.refuse(settings, &new);
                    return End::Failed { error: old, served: running.ready_at.elapsed() };
                }
                Replacement::Stopping => {
                    running.process.stop(self.config.stop_grace).await;
                    return End::Stopping;
                }
            }
        }
    }

    /// Sends new requests to this process; returns where they went before.
    fn take_over(&self, running: &Running, settings: &EngineSettings) -> Option<Arc<Endpoint>> {
        self.shared.next_process();
        let before = match Endpoint::loopback(running.port) {
            Ok(endpoint) => Some(self.provider.set_endpoint(endpoint.with_slots(settings.slots))),
            Err(error) => {
                tracing::error!(%error, "engine's own address was refused");
                None
            }
        };
        self.provider.set_health(Health::Up);
        tracing::info!(
            provider = self.config.provider,
            pid = running.process.pid(),
            port = running.port,
            startup_ms = running.startup.as_millis() as u64,
            slots = settings.slots,
            "engine ready"
        );
        self.shared.update(|state| {
            state.phase = EnginePhase::Ready;
            state.pid = Some(running.process.pid());
            state.port = Some(running.port);
            state.settings = settings.clone();
            state.startup_ms = Some(running.startup.as_millis() as u64);
            state.metrics = None;
        });
        before
    }

    fn drain(&self, old: Running, endpoint: Option<Arc<Endpoint>>, course: &mut Course) {
        let Some(endpoint) = endpoint else { return };
        self.shared.update(|state| state.draining_pids.push(old.process.pid()));
        let (limit, grace) = (self.config.drain_timeout, self.config.stop_grace);
        course.draining.spawn(drain(old.process, endpoint, limit, grace, self.shared.clone()));
    }

    fn refuse(&self, settings: EngineSettings, error: &EngineError) {
        let why = error.to_string();
        tracing::warn!(provider = self.config.provider, why, "engine keeps its settings");
        self.shared.update(|state| state.last_error = Some(why.clone()));
        self.shared.report(&EngineChange::Failed { settings, why });
    }

    /// Waits before the next start; `true` when the engine is to stop instead.
    async fn pause_after(&self, error: &EngineError, served: Duration, course: &mut Course) -> bool {
        let pause = course.backoff.failed(served);
        if served >= HEALTHY {
            // Settings that served so long are not what is wrong.
            course.previous = None;
        }
        let failures = course.backoff.failures();
        tracing::warn!(provider = self.config.provider, failures, ?pause, %error, "engine failed; starting it again");
        if failures >= FAILURES_UNTIL_FALLBACK
            && let Some(previous) = course.previous.take()
        {
            let settings = std::mem::replace(&mut course.settings, previous);
            self.refuse(settings, error);
        }
        self.shared.update(|state| {
            let is_hopeless = failures >= FAILURES_UNTIL_FALLBACK;
            state.phase = if is_hopeless { EnginePhase::Failed } else { EnginePhase::Restarting };
            state.settings = course.settings.clone();
            state.last_error = Some(error.to_string());
            state.restarts += 1;
        });
        let until = Instant::now() + pause;
        tokio::select! {
            () = self.shared.stopping() => true,
            () = tokio::time::sleep_until(until) => false,
            // Other settings may be what it needs.
            settings = self.shared.wanted() => {
                if settings == course.settings {
                    self.shared.report(&EngineChange::Applied { settings });
                } else {
                    course.previous = Some(std::mem::replace(&mut course.settings, settings));
                    course.is_unanswered = true;
                    course.backoff.reset();
                    self.shared.update(|state| state.settings = course.settings.clone());
                }
                false
            }
        }
    }

    async fn end(&self, mut course: Course) {
        self.provider.set_health(Health::Down);
        self.fleet.remove(&self.config.provider);
        while course.draining.join_next().await.is_some() {}
        self.shared.update(|state| {
            state.phase = EnginePhase::Stopped;
            state.pid = None;
            state.port = None;
            state.starting_pid = None;
            state.draining_pids.clear();
            state.metrics = None;
        });
    }
}
