//! A change that was applied and is not yet measured, and a scope that rests after one.

use super::GuardPolicy;
use super::cooldown::Turn;
use super::reading::Reading;
use crate::{KnobId, Proposal, Scope, Settings, Value, Verdict};

/// A change whose effect is not yet known.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) decision: u64,
    pub(super) knob: KnobId,
    /// As records keep it.
    pub(super) proposal: Proposal,
    pub(super) verdict: Verdict,
    /// Why the change was judged as it was.
    pub(super) detail: String,
    pub(super) before: Value,
    /// The old value was set in this very scope; otherwise it was inherited, and going back means to inherit again.
    pub(super) had_own_value: bool,
    pub(super) applied: Value,
    pub(super) applied_at_ms: u64,
    /// When it took effect; `None` while an engine is being replaced.
    pub(super) effect_at_ms: Option<u64>,
    /// Why it could not take effect.
    pub(super) failure: Option<String>,
    pub(super) baseline: Option<Reading>,
    /// The strategy that asked for it is gone; nobody is told the outcome.
    pub(super) is_orphan: bool,
}

/// A scope after a change: what it saw last, and until when it is left alone.
#[derive(Debug, Clone)]
pub(super) struct Rest {
    pub(super) decision: u64,
    /// From here on windows show nothing of the change.
    pub(super) quiet_from_ms: u64,
    /// From here on the next change may come.
    pub(super) free_at_ms: u64,
    /// An engine goes back to its old settings.
    pub(super) is_reload: bool,
}

impl Pending {
    pub(super) fn is_reload(&self) -> bool {
        self.knob.knob().reload
    }

    pub(super) fn scope(&self) -> &Scope {
        &self.proposal.scope
    }

    pub(super) fn settle_ms(&self, policy: &GuardPolicy) -> u64 {
        if self.is_reload() { policy.reload_settle_ms } else { policy.settle_ms }
    }

    pub(super) fn turn(&self) -> Turn {
        Turn::new(self.knob, self.scope(), &self.before, &self.applied)
    }

    /// `settings` as they were before the change.
    pub(super) fn without(&self, settings: &Settings) -> Settings {
        if self.had_own_value {
            settings.with(self.knob, self.scope(), self.before.clone())
        } else {
            settings.without(self.knob, self.scope())
        }
    }

    pub(super) fn taken_back(self) -> Self {
        Self { verdict: Verdict::RolledBack, ..self }
    }

    /// How its scope rests when it is taken back. An engine that never came up with the new value still runs with the old.
    pub(super) fn rest_when_taken_back(&self, policy: &GuardPolicy, now_ms: u64) -> Rest {
        let has_engine_to_replace = self.is_reload() && self.failure.is_none();
        let rest = if has_engine_to_replace { Rest::during_reload } else { Rest::after_disturbance };
        rest(policy, self.decision, now_ms)
    }

    /// The change in words.
    pub(super) fn words(&self) -> String {
        format!("{} of {} from {} to {}", self.proposal.name, self.scope(), self.before, self.applied)
    }
}

impl Rest {
    /// Changes may come at once; what they are compared with may not reach back beyond `quiet_from_ms`.
    pub(super) fn quiet_from(decision: u64, quiet_from_ms: u64, now_ms: u64) -> Self {
        Self { decision, quiet_from_ms, free_at_ms: now_ms, is_reload: false }
    }

    /// After settings went back or were changed from outside: until one clean window has passed.
    pub(super) fn after_disturbance(policy: &GuardPolicy, decision: u64, now_ms: u64) -> Self {
        let quiet_from_ms = now_ms.saturating_add(policy.settle_ms);
        Self { decision, quiet_from_ms, free_at_ms: quiet_from_ms.saturating_add(policy.measure_ms), is_reload: false }
    }

    /// While an engine goes back to its old settings and nobody has said that it is done: one window longer.
    pub(super) fn during_reload(policy: &GuardPolicy, decision: u64, now_ms: u64) -> Self {
        Self { is_reload: true, ..Self::after_reload(policy, decision, now_ms.saturating_add(policy.measure_ms)) }
    }

    /// The engine has its old settings since `at_ms`.
    pub(super) fn after_reload(policy: &GuardPolicy, decision: u64, at_ms: u64) -> Self {
        let quiet_from_ms = at_ms.saturating_add(policy.reload_settle_ms);
        Self { decision, quiet_from_ms, free_at_ms: quiet_from_ms.saturating_add(policy.measure_ms), is_reload: false }
    }
}

/// Whether what happens in one scope shows in the metrics of the other: one contains the other.
pub(super) fn is_overlapping(one: &Scope, other: &Scope) -> bool {
    let contains = |outer: &Scope, inner: &Scope| {
        let rest = inner.as_str().strip_prefix(outer.as_str());
        outer.as_str().is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    contains(one, other) || contains(other, one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_overlap_when_one_contains_the_other() {
        let overlap = |one, other| is_overlapping(&Scope::parse(one), &Scope::parse(other));
        assert!(overlap("", "") && overlap("", "local") && overlap("local/a", "") && overlap("local", "local"));
        assert!(overlap("local/a", "local") && overlap("local", "local/a/b"));
        assert!(!overlap("local", "local2") && !overlap("local/a", "local/b") && !overlap("local/a", "local/ab"));
    }
}
