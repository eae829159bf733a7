//! Changes that the managed engine has to take: what became of them, told to the guard.

use perfhost_strategy::journal::GuardCall;
use tracing::warn;

use super::{State, Tuner};
use crate::service::engine::EngineResult;

impl Tuner {
    /// What became of changes that the engine had to take.
    pub(super) fn take_engine_results(&self, state: &mut State) {
        let Some(engine) = &self.engine else { return };
        for result in engine.take_results() {
            let waiting = std::mem::take(&mut state.awaiting_engine);
            match result {
                EngineResult::Applied { at_ms } => {
                    self.settling.took_effect(at_ms, &self.surroundings());
                    for decision in waiting {
                        state.guard.took_effect(decision, at_ms);
                        state.guard_told.push(GuardCall::TookEffect { decision, at_ms });
                    }
                }
                EngineResult::Failed { why } => {
                    warn!(why, "the engine could not take the change");
                    self.give_up_unproven(state);
                    state.turn.engine_failed();
                    for decision in waiting {
                        state.guard.failed_to_apply(decision, &why);
                        state.guard_told.push(GuardCall::FailedToApply { decision, why: why.clone() });
                    }
                }
            }
        }
    }

    /// The engine did not start with what an earlier run had found: it runs with the configuration's values, and so do we.
    fn give_up_unproven(&self, state: &mut State) {
        let mut settings = (*self.settings.load()).clone();
        for (id, scope) in std::mem::take(&mut state.unproven) {
            let value = state.config.settings.value(id, &scope);
            warn!(knob = id.name(), %scope, %value, "the engine did not start with what an earlier run had found; set back");
            settings = settings.with(id, &scope, value);
            state.authors.remove(&(id, scope));
        }
        self.apply(settings);
    }
}
