//! What strategies have learned, across swaps, versions and restarts: `save` of one becomes `restore` of the next.
//!
//! Owns which state a strategy is offered, in which order. Its form is the strategy's own business; one that it does not
//! know is answered with a fault, and the next is offered.

use std::sync::Arc;

use parking_lot::Mutex;
use perfhost_strategy::{Grant, Strategy};
use perfhost_telemetry::{LearnedState, Store};
use tracing::{info, warn};

use crate::service::now_ms;

/// Learned state on its way from one strategy to another.
pub(super) struct Learned {
    store: Store,
    /// What was learned before is not used (Unix time in milliseconds).
    since_ms: u64,
    /// What was kept last, so that the same is not written again: digest and state.
    last: Mutex<Option<(String, Vec<u8>)>>,
}

impl Learned {
    /// State in this store. `is_fresh`: only what is learned from now on.
    pub(super) fn new(store: Store, is_fresh: bool) -> Self {
        Self { store, since_ms: if is_fresh { now_ms() } else { 0 }, last: Mutex::default() }
    }

    /// Asks a strategy what it has learned and keeps it, if it is something new. Returns it all the same. One without the
    /// grant is not asked.
    pub(super) fn keep(&self, strategy: &dyn Strategy) -> Option<LearnedState> {
        if !strategy.allowance().grants.allow(Grant::State) {
            return None;
        }
        let identity = strategy.identity();
        let state = strategy
            .save()
            .inspect_err(|error| warn!(strategy = identity.name, %error, "what it learned could not be saved"))
            .ok()?;
        let learned = LearnedState {
            strategy: identity.name.clone(),
            version: identity.version.clone(),
            digest: identity.digest.clone(),
            at_ms: now_ms(),
            state,
        };
        let mut last = self.last.lock();
        let is_known =
            last.as_ref().is_some_and(|(digest, state)| *digest == learned.digest && *state == learned.state);
        if !is_known && !learned.state.is_empty() {
            self.store.keep_learned(learned.clone());
            *last = Some((learned.digest.clone(), learned.state.clone()));
        }
        Some(learned)
    }

    /// Gives `next` what is known: what the strategy before it has just learned if that has the same name, else what the
    /// name has learned last; and where it does not know the form of that, what it learned itself. One without the grant is
    /// given nothing.
    pub(super) fn hand_on(&self, next: &dyn Strategy, before: Option<&Arc<dyn Strategy>>) {
        let identity = next.identity();
        let handed_on =
            before.and_then(|before| self.keep(before.as_ref())).filter(|state| state.strategy == identity.name);
        if !next.allowance().grants.allow(Grant::State) {
            return;
        }
        let stored = self
            .store
            .learned(&identity.name)
            .inspect_err(|error| warn!(strategy = identity.name, %error, "what it learned earlier cannot be read"))
            .unwrap_or_default();
        let stored: Vec<LearnedState> = stored.into_iter().filter(|state| state.at_ms >= self.since_ms).collect();
        let own = stored.iter().find(|state| state.digest == identity.digest).cloned();
        let newest = handed_on.or_else(|| stored.into_iter().next());
        let mut offers: Vec<LearnedState> = newest.into_iter().chain(own).filter(|one| !one.state.is_empty()).collect();
        offers.dedup_by(|one, other| one.state == other.state);

        let is_nothing_known = offers.is_empty();
        for LearnedState { version: from, state, .. } in offers {
            match next.restore(&state) {
                Ok(()) => {
                    let bytes = state.len();
                    info!(
                        strategy = identity.name,
                        version = identity.version,
                        from,
                        bytes,
                        "goes on from what was learned"
                    );
                    return;
                }
                Err(error) => {
                    warn!(strategy = identity.name, version = identity.version, from, %error, "what was learned is not accepted");
                }
            }
        }
        if !is_nothing_known {
            warn!(strategy = identity.name, version = identity.version, "it starts afresh");
        }
    }
}
