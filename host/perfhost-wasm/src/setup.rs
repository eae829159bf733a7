//! What every instance of a strategy is given before it works: configuration, state and fleet, each with a version, so
//! that an instance that is behind gets just what changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use perfhost_strategy::StrategyError;
use perfhost_strategy::knob::OfferedKnob;
use perfhost_strategy::plan::FleetNames;

use crate::deadline::Limit;
use crate::instance::{Context, Instance};

/// One state of the set-up, replaced as a whole.
#[derive(Clone, Default)]
pub(crate) struct Setup {
    pub(crate) parameters: Arc<Vec<(String, String)>>,
    pub(crate) knobs: Arc<Vec<OfferedKnob>>,
    pub(crate) state: Arc<Vec<u8>>,
    pub(crate) fleet: Arc<FleetNames>,
    /// Versions of the parts, in the same order.
    pub(crate) versions: Applied,
}

/// Versions of the parts of a set-up. 0 means: never given.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Applied {
    /// Rises with any part.
    pub(crate) total: u64,
    pub(crate) configuration: u64,
    pub(crate) state: u64,
    pub(crate) fleet: u64,
}

/// The present set-up. Plan calls look at its version only.
pub(crate) struct SharedSetup {
    version: AtomicU64,
    setup: Mutex<Setup>,
}

impl SharedSetup {
    /// Without parameters, knobs, state or fleet: what a strategy has until its host says more.
    pub(crate) fn new() -> Self {
        let versions = Applied { total: 1, configuration: 1, state: 0, fleet: 0 };
        Self { version: AtomicU64::new(1), setup: Mutex::new(Setup { versions, ..Setup::default() }) }
    }

    /// Rises with every change.
    #[inline]
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The present set-up; cheap to copy.
    pub(crate) fn load(&self) -> Setup {
        self.setup.lock().clone()
    }

    /// Changes the set-up and returns the new versions.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Setup, u64)) -> Applied {
        let mut setup = self.setup.lock();
        let version = setup.versions.total + 1;
        change(&mut setup, version);
        setup.versions.total = version;
        self.version.store(version, Ordering::Release);
        setup.versions
    }
}

impl Setup {
    /// Gives `instance` the parts that it is behind in, in the contract's order. A strategy that does not know the state
    /// starts afresh, which is not a failure.
    pub(crate) fn apply(
        &self,
        instance: &mut Instance,
        context: Context<'_>,
        limit: Limit,
        is_routed: bool,
    ) -> Result<(), StrategyError> {
        if instance.applied.configuration != self.versions.configuration {
            instance.configure(context, limit, &self.parameters, &self.knobs)?;
            instance.applied.configuration = self.versions.configuration;
        }
        if instance.applied.state != self.versions.state {
            match instance.restore(context, limit, &self.state) {
                Ok(()) => {}
                Err(StrategyError::Fault { message, .. }) => tracing::warn!("state not restored: {message}"),
                Err(error) => return Err(error),
            }
            instance.applied.state = self.versions.state;
        }
        if is_routed && instance.applied.fleet != self.versions.fleet {
            instance.fleet(context, limit, &self.fleet)?;
            instance.applied.fleet = self.versions.fleet;
        }
        instance.applied.total = self.versions.total;
        Ok(())
    }
}
