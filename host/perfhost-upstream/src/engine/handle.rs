//! The engine as its owner holds it: settings go in, state comes out, the work happens in the supervisor's task.

use std::sync::Arc;

use parking_lot::Mutex;
use perfhost_strategy::settings::EngineSettings;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::config::EngineConfig;
use super::error::EngineError;
use super::metrics::{Counters, EngineMetrics};
use super::state::{EngineChange, EngineState};
use super::supervisor::Supervisor;
use crate::fleet::Fleet;

type Listener = Box<dyn Fn(&EngineChange) + Send + Sync>;

/// A managed engine: one provider of the fleet and the process behind it.
///
/// Dropping it kills its processes at once; [`Engine::stop`] ends them in order.
pub struct Engine {
    shared: Arc<EngineShared>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Engine {
    /// Adds the provider to the fleet, down until the first process is ready, and starts that on the current runtime.
    /// Fails only where loopback has no address; a process that does not start is retried and shows in the state.
    pub fn start(config: EngineConfig, settings: EngineSettings, fleet: Arc<Fleet>) -> Result<Self, EngineError> {
        let state = EngineState::new(&config.provider, &config.model_name, settings.clone());
        let shared = Arc::new(EngineShared::new(state));
        let supervisor = Supervisor::new(config, fleet, shared.clone())?;
        let task = tokio::spawn(supervisor.run(settings));
        Ok(Self { shared, task: Mutex::new(Some(task)) })
    }

    /// Asks for other settings. Returns at once; what comes of it goes to the listener. Of several calls during one
    /// replacement the last one counts.
    pub fn apply(&self, settings: EngineSettings) {
        let superseded = self.shared.wanted.lock().replace(settings);
        if let Some(settings) = superseded {
            self.shared.report(&EngineChange::Superseded { settings });
        }
        self.shared.is_wanted.notify_one();
    }

    /// Who is told what came of [`Engine::apply`]; one listener, called from the supervisor's task, must not block.
    pub fn on_change(&self, listener: impl Fn(&EngineChange) + Send + Sync + 'static) {
        *self.shared.listener.lock() = Some(Box::new(listener));
    }

    /// How it is now.
    pub fn state(&self) -> EngineState {
        self.shared.state.borrow().clone()
    }

    /// To wait for a state.
    pub fn watch(&self) -> watch::Receiver<EngineState> {
        self.shared.state.subscribe()
    }

    /// Every process of the engine: serving, starting and draining.
    pub fn pids(&self) -> Vec<u32> {
        self.shared.state.borrow().pids()
    }

    /// Takes the provider out of the fleet, ends every process and waits until they are gone. Requests under way fail;
    /// drain the gateway first.
    pub async fn stop(&self) {
        self.shared.stopping.send_replace(true);
        let task = self.task.lock().take();
        if let Some(task) = task {
            let _ = task.await;
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(task) = self.task.lock().take() {
            task.abort();
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Engine").field("state", &*self.shared.state.borrow()).finish_non_exhaustive()
    }
}

/// What the handle and the supervisor share.
pub(super) struct EngineShared {
    state: watch::Sender<EngineState>,
    wanted: Mutex<Option<EngineSettings>>,
    is_wanted: Notify,
    stopping: watch::Sender<bool>,
    listener: Mutex<Option<Listener>>,
    counters: Mutex<Counters>,
}

impl EngineShared {
    fn new(state: EngineState) -> Self {
        Self {
            state: watch::Sender::new(state),
            wanted: Mutex::new(None),
            is_wanted: Notify::new(),
            stopping: watch::Sender::new(false),
            listener: Mutex::new(None),
            counters: Mutex::new(Counters::default()),
        }
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut EngineState)) {
        self.state.send_modify(change);
    }

    pub(super) fn report(&self, change: &EngineChange) {
        if let Some(listener) = &*self.listener.lock() {
            listener(change);
        }
    }

    /// The settings that were asked for last, once there are any.
    pub(super) async fn wanted(&self) -> EngineSettings {
        loop {
            if let Some(settings) = self.wanted.lock().take() {
                return settings;
            }
            self.is_wanted.notified().await;
        }
    }

    /// Resolves when the engine is to stop.
    pub(super) async fn stopping(&self) {
        // The sender is a field of this very value, so the channel cannot be closed here.
        let _ = self.stopping.subscribe().wait_for(|is_stopping| *is_stopping).await;
    }

    pub(super) fn note_metrics(&self, reading: EngineMetrics) {
        let metrics = self.counters.lock().accumulate(reading);
        self.update(|state| state.metrics = Some(metrics));
    }

    pub(super) fn next_process(&self) {
        self.counters.lock().next_process();
    }
}
