//! Stopping in two steps: first no new work (draining), then no work at all (stopped). Owns the signal only.

use tokio::sync::watch;

/// How far stopping has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Serving.
    Running,
    /// No new connections; idle ones are closed; answers under way run to their end.
    Draining,
    /// What still runs is cut off.
    Stopped,
}

/// The end that says when to stop. Dropping it is the same as [`ShutdownTrigger::stop`].
#[derive(Debug)]
pub struct ShutdownTrigger {
    stage: watch::Sender<Stage>,
}

/// The end that is told. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shutdown {
    stage: watch::Receiver<Stage>,
}

/// Both ends, at [`Stage::Running`].
pub fn shutdown_channel() -> (ShutdownTrigger, Shutdown) {
    let (sender, receiver) = watch::channel(Stage::Running);
    (ShutdownTrigger { stage: sender }, Shutdown { stage: receiver })
}

impl ShutdownTrigger {
    /// Stop accepting; let answers under way end.
    pub fn drain(&self) {
        self.advance(Stage::Draining);
    }

    /// Cut off what is left.
    pub fn stop(&self) {
        self.advance(Stage::Stopped);
    }

    fn advance(&self, to: Stage) {
        self.stage.send_if_modified(|stage| {
            let is_later = to > *stage;
            *stage = to.max(*stage);
            is_later
        });
    }
}

impl Shutdown {
    /// Where it stands now.
    pub fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// Resolves once `stage` or a later one is reached.
    pub async fn reached(&mut self, stage: Stage) {
        // An error means the trigger is gone, which is the last stage.
        let _ = self.stage.wait_for(|now| *now >= stage).await;
    }
}
