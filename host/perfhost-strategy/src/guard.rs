//! The guard: judges what a strategy asks for, applies what is safe, measures what came of it, takes back what did harm.
//!
//! A state machine without clock, randomness or I/O: time comes in with each observation, so the same calls give the
//! same answers, and a decision log can be replayed. It owns changes that are not yet measured, rests and cooldowns; it
//! does not own the settings (it returns new snapshots), the decision log, or engines (it is told when a reload took
//! effect or failed).
//!
//! # Life of a change
//!
//! *judged* ([`Guard::judge`]): offered, finite, within bounds and step, worth making, nobody else in the way;
//! *applied*: a new snapshot of settings; *in effect*: at once, or for reload knobs when the host says so
//! ([`Guard::took_effect`], [`Guard::failed_to_apply`]); *settled*: after a pause that belongs to neither side of the
//! comparison; *measured* ([`Guard::review`]): the window after is compared with the window before, guardrail by
//! guardrail. It ends kept, rolled back, or kept without a verdict because load changed or traffic was too low.
//!
//! # One change at a time where metrics overlap
//!
//! Two changes that show in the same metrics cannot be told apart, so scopes that contain one another wait for each
//! other: a change to the whole host and one to a provider are never pending together, changes to two providers may
//! be. The exception is the machine itself: engines share its cores and memory, so only one reload is under way on
//! the host. Within one cycle the first acceptable proposal wins; a strategy puts what matters most first.
//!
//! # Example
//!
//! ```
//! use perfhost_strategy::guard::{Guard, GuardPolicy};
//! use perfhost_strategy::knob::OfferedKnob;
//! use perfhost_strategy::observation::{Metric, Summary, metric};
//! use perfhost_strategy::strategy::{Identity, World};
//! use perfhost_strategy::{KnobId, Observation, Proposal, Scope, Settings, Value, Verdict};
//!
//! let local = Scope::provider("local");
//! let slots = KnobId::EngineSlots.knob();
//! let mut guard = Guard::new(GuardPolicy::default(), 1);
//! guard.offer(vec![OfferedKnob { at: local.clone(), bounds_here: slots.bounds.clone(), knob: slots }]);
//!
//! // Ten seconds with twelve answers, each of them after `response_ms`.
//! let seen = |now_ms, response_ms| {
//!     let summary = Summary { count: 12, mean: response_ms, p50: response_ms, p95: response_ms, ..Summary::default() };
//!     let name = metric::RESPONSE_TIME.to_owned();
//!     let metrics = vec![Metric { name, scope: local.clone(), unit: "ms".to_owned(), window_ms: 10_000, summary }];
//!     Observation { now_ms, metrics, ..Observation::default() }
//! };
//! let identity = Identity {
//!     name: "aggressive".to_owned(),
//!     version: "0.1.0".to_owned(),
//!     digest: String::new(),
//!     world: World::Strategy,
//!     source: "built-in".to_owned(),
//! };
//! let proposal = Proposal {
//!     name: "engine_slots".to_owned(),
//!     scope: local.clone(),
//!     value: Value::Integer(8),
//!     reason: "eight requests wait for one slot".to_owned(),
//!     expected: None,
//!     confidence: 0.8,
//! };
//!
//! // Judged: one change may at most double the slots.
//! let settings = Settings::default();
//! let judged = guard.judge(&seen(10_000, 900.0), &settings, 1, &identity, vec![proposal]);
//! let decision = &judged.decisions[0];
//! assert_eq!((decision.verdict, &decision.applied), (Verdict::Clamped, &Some(Value::Integer(2))));
//! let settings = judged.settings.ok_or("nothing was applied")?;
//! assert_eq!(settings.engine("local").slots, 2);
//!
//! // In effect when the new engine serves; left alone while it settles.
//! guard.took_effect(decision.id, 12_000);
//! assert!(guard.review(&seen(20_000, 3_000.0), &settings).updates.is_empty());
//!
//! // Measured: answers take more than twice as long, so the change is taken back.
//! let review = guard.review(&seen(27_000, 3_000.0), &settings);
//! assert_eq!(review.updates[0].verdict, Verdict::RolledBack);
//! assert_eq!(review.updates[0].guardrail.as_deref(), Some("response_time_ms"));
//! assert_eq!(review.settings.ok_or("nothing was taken back")?.engine("local").slots, 1);
//! # Ok::<(), &'static str>(())
//! ```

mod compare;
mod cooldown;
mod handover;
mod judge;
mod pending;
mod policy;
mod reading;
mod review;
mod step;

use std::collections::BTreeMap;

pub use handover::{Handover, Occasion};
pub use policy::{GuardPolicy, Guardrail, Limit, PolicyError};

use crate::decision::{Decision, DecisionUpdate};
use crate::knob::{Bounds, OfferedKnob};
use crate::{Outcome, Scope, Settings};
use cooldown::Cooldowns;
use pending::{Pending, Rest};

/// Judges, applies, measures and rolls back. See the [module](self) for its rules.
///
/// One guard belongs to one control loop, which in each cycle calls [`Guard::review`], stores the settings it returns,
/// asks the strategy, calls [`Guard::judge`], and stores again. It outlives swaps of strategies.
#[derive(Debug, Clone)]
pub struct Guard {
    policy: GuardPolicy,
    next_decision_id: u64,
    offered: Vec<OfferedKnob>,
    /// At most one for each scope with offered knobs.
    pending: BTreeMap<Scope, Pending>,
    /// At most one for each scope; dropped after a few minutes.
    rests: BTreeMap<Scope, Rest>,
    cooldowns: Cooldowns,
    /// The arm whose turn it is, in an experiment.
    arm: u32,
    /// Cooldowns of the other arms.
    cooldowns_aside: BTreeMap<u32, Cooldowns>,
}

/// What came of earlier changes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Review {
    /// New settings, when something was rolled back.
    pub settings: Option<Settings>,
    /// For the decision log: one for each change that ended.
    pub updates: Vec<DecisionUpdate>,
    /// For the strategy.
    pub outcomes: Vec<Outcome>,
}

/// The guard's answer to one cycle's proposals.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Judgement {
    /// New settings, when something was applied.
    pub settings: Option<Settings>,
    /// For the decision log: one for each proposal, in order.
    pub decisions: Vec<Decision>,
    /// For the strategy: one for each proposal, in order.
    pub outcomes: Vec<Outcome>,
}

impl Guard {
    /// A guard with nothing pending and nothing offered. `next_decision_id` continues the decision log.
    pub fn new(policy: GuardPolicy, next_decision_id: u64) -> Self {
        Self {
            policy,
            next_decision_id,
            offered: Vec::new(),
            pending: BTreeMap::new(),
            rests: BTreeMap::new(),
            cooldowns: Cooldowns::default(),
            arm: 0,
            cooldowns_aside: BTreeMap::new(),
        }
    }

    /// Another policy, from the next call on; it holds for changes that are pending too. Cooldowns and rests that began
    /// under the old one keep their length.
    pub fn set_policy(&mut self, policy: GuardPolicy) {
        self.policy = policy;
    }

    /// The decision log goes on with this number. For replays, whose log may have gaps.
    pub fn continue_at(&mut self, next_decision_id: u64) {
        self.next_decision_id = next_decision_id;
    }

    /// Replaces the list of what may be turned. Knobs whose bounds allow no value are left out. Changes that are pending
    /// stay so, also of knobs that are no longer offered.
    pub fn offer(&mut self, mut knobs: Vec<OfferedKnob>) {
        knobs.retain(|offered| match &offered.bounds_here {
            Bounds::AnyFlag => true,
            Bounds::IntegerRange(lowest, highest) => lowest <= highest,
            Bounds::NumberRange(lowest, highest) => lowest <= highest && lowest.is_finite() && highest.is_finite(),
            Bounds::OneOf(words) => !words.is_empty(),
        });
        self.offered = knobs;
    }

    /// A reload knob's change is in effect since `at_ms` (Unix time): the new engine serves. Also welcome for the taking
    /// back of a change, under the same decision; without it the guard allows a fixed time. Others are ignored.
    pub fn took_effect(&mut self, decision: u64, at_ms: u64) {
        for pending in self.pending.values_mut().filter(|pending| pending.decision == decision) {
            pending.effect_at_ms.get_or_insert(at_ms);
        }
        for rest in self.rests.values_mut().filter(|rest| rest.decision == decision && rest.is_reload) {
            *rest = Rest::after_reload(&self.policy, decision, at_ms);
        }
    }

    /// A reload knob's change cannot take effect: the engine does not start with it, say. The next [`Guard::review`] takes
    /// it back with this cause. A decision that is not pending is ignored.
    pub fn failed_to_apply(&mut self, decision: u64, why: &str) {
        for pending in self.pending.values_mut().filter(|pending| pending.decision == decision) {
            pending.failure = Some(why.to_owned());
        }
    }

    /// The strategy was replaced. What it changed goes on being watched and is rolled back like any other change, with an
    /// update for the decision log; but no strategy is told the outcome of another's proposal.
    pub fn forget_pending(&mut self) {
        for pending in self.pending.values_mut() {
            pending.is_orphan = true;
        }
    }

    /// The settings without the changes whose effect is not yet known: what is safe to begin with after a restart.
    pub fn settled(&self, settings: &Settings) -> Settings {
        let is_in_force =
            |(scope, pending): &(&Scope, &Pending)| settings.value(pending.knob, scope) == pending.applied;
        let in_force = self.pending.iter().filter(is_in_force);
        in_force.fold(settings.clone(), |settled, (_, pending)| pending.without(&settled))
    }

    /// Decisions whose effect is not yet known, with the time each was applied (Unix time in milliseconds).
    pub fn pending(&self) -> impl Iterator<Item = (u64, u64)> {
        self.pending.values().map(|pending| (pending.decision, pending.applied_at_ms))
    }

    /// The id that the next decision will have.
    pub fn next_decision_id(&self) -> u64 {
        self.next_decision_id
    }
}
