//! The memory of what was tried: which change is under way, what became of earlier ones, and when to ask again.
//!
//! The host applies one change per scope at a time, waits for it to settle and reports what it did. This file turns
//! those reports into "better", "same" or "worse" and keeps a strategy from asking for the same thing over and over.

mod state;

use crate::control::{Measurement, Outcome, Verdict};
use crate::pauses::Pauses;
use crate::types::Value;

/// Most remembered results; the oldest goes first.
const REMEMBERED_MAX: usize = 64;
/// A change whose effect was not reported within this time (a swap came between) is forgotten.
const PENDING_MAX_MS: u64 = 600_000;
/// Demand below this share of what it was makes a comparison of before and after meaningless.
const COMPARABLE_DEMAND: f64 = 0.7;
/// Time at the providers: what admission bounds if it is load that takes the time.
pub const UPSTREAM: &str = "upstream_time_ms";
/// Share by which that time must fall before a lower limit has shown anything: the mean of some fifty answers of
/// different length varies by a tenth on its own.
const UPSTREAM_GAIN_MIN: f64 = 0.15;
/// Share of slots that must have work before tokens per second say what they bring.
const SLOTS_AT_WORK: f64 = 0.9;
/// Demand this many times what it was makes an old result void.
const GROWN_DEMAND: f64 = 2.0;

/// What a change did to the metric it was meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Improved by at least the gain that counts.
    Better,
    /// Moved by less than that.
    Same,
    /// Got worse by more than that, or a guardrail did and the host took the change back.
    Worse,
    /// Kept, but nothing can be said of it: too little traffic, or demand that changed meanwhile.
    Unknown,
}

impl Effect {
    fn is_disappointing(self) -> bool {
        matches!(self, Effect::Same | Effect::Worse)
    }
}

/// One remembered result.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried {
    /// The knob.
    pub name: String,
    /// Where.
    pub scope: String,
    /// Its value before.
    pub from: i64,
    /// Its value after.
    pub value: i64,
    /// What came of it.
    pub effect: Effect,
    /// Requests under way or waiting when it was tried.
    pub demand: f64,
    /// Unix time in milliseconds.
    pub at_ms: u64,
    /// It went back to an earlier value, so there is nothing to take back.
    pub is_return: bool,
}

/// A change that was asked for and not yet measured.
#[derive(Debug, Clone)]
struct Pending {
    tried: Tried,
    is_applied: bool,
}

/// Everything remembered.
#[derive(Debug, Clone)]
pub struct Trials {
    pub(crate) tried: Vec<Tried>,
    pending: Vec<Pending>,
    refused: Pauses,
    now_ms: u64,
    demand: f64,
    limit: Option<i64>,
    changed_ms: u64,
    /// Relative change of a metric that counts as one, for example 0.05.
    pub gain: f64,
    /// How long a result without gain keeps the same change from being asked for again, in milliseconds.
    pub retry_after_ms: u64,
}

impl Default for Trials {
    fn default() -> Self {
        Self {
            tried: Vec::new(),
            pending: Vec::new(),
            refused: Pauses::default(),
            now_ms: 0,
            demand: 0.0,
            limit: None,
            changed_ms: 0,
            gain: 0.05,
            retry_after_ms: 600_000,
        }
    }
}

impl Trials {
    /// Begins a look at `now_ms` with `demand` requests under way or waiting. `present` gives a knob's value now: what
    /// the host made of a clamped change is read from there.
    pub fn begin(&mut self, now_ms: u64, demand: f64, present: impl Fn(&str, &str) -> Option<i64>) {
        (self.now_ms, self.demand) = (now_ms, demand);
        self.limit = present("concurrency_limit", "");
        self.pending.retain(|pending| now_ms.saturating_sub(pending.tried.at_ms) < PENDING_MAX_MS);
        for Pending { tried, .. } in self.pending.iter_mut().filter(|pending| pending.is_applied) {
            match present(&tried.name, &tried.scope) {
                Some(value) if value != tried.from => tried.value = value,
                _ => {}
            }
        }
    }

    /// Unix time in milliseconds of the last change that took effect; 0 for none.
    pub fn changed_ms(&self) -> u64 {
        self.changed_ms
    }

    /// Whether a change is under way anywhere, or one took effect less than `settle_ms` ago.
    pub fn is_settling(&self, settle_ms: u64) -> bool {
        !self.pending.is_empty() || (self.changed_ms > 0 && self.now_ms.saturating_sub(self.changed_ms) < settle_ms)
    }

    /// Whether something may be asked for in this scope: nothing is under way anywhere, as the effects of two changes
    /// could not be told apart, and the pause after a refusal is over.
    pub fn is_open(&self, scope: &str) -> bool {
        self.pending.is_empty() && self.refused.is_over(scope, self.now_ms)
    }

    /// Whether this very value was tried without gain, under demand like today's and not long ago.
    pub fn is_ruled_out(&self, name: &str, scope: &str, value: i64) -> bool {
        self.result_of(name, scope, value).is_some_and(|tried| tried.effect.is_disappointing())
    }

    /// Whether this very value was tried and made things worse, under demand like today's and not long ago.
    pub fn did_harm(&self, name: &str, scope: &str, value: i64) -> bool {
        self.result_of(name, scope, value).is_some_and(|tried| tried.effect == Effect::Worse)
    }

    /// What came of this very value, if that still counts.
    fn result_of(&self, name: &str, scope: &str, value: i64) -> Option<&Tried> {
        let is_it = |tried: &&Tried| tried.name == name && tried.scope == scope && tried.value == value;
        self.tried.iter().find(is_it).filter(|tried| {
            !tried.is_return
                && self.now_ms.saturating_sub(tried.at_ms) < self.retry_after_ms
                && (tried.demand <= 0.0 || self.demand < GROWN_DEMAND * tried.demand)
        })
    }

    /// The change that brought a knob to its `present` value, if it did not make things better: what to take back.
    pub fn to_take_back(&self, name: &str, scope: &str, present: i64) -> Option<&Tried> {
        self.last_step(name, scope, present).filter(|last| last.effect.is_disappointing())
    }

    /// The change that brought a knob to its `present` value not long ago, unless it went back to an earlier one.
    pub fn last_step(&self, name: &str, scope: &str, present: i64) -> Option<&Tried> {
        let last = self.tried.iter().rev().find(|tried| tried.name == name && tried.scope == scope)?;
        let is_step = !last.is_return && last.from != last.value && last.value == present;
        // An old result says nothing of a value that somebody may have set since.
        let is_fresh = self.now_ms.saturating_sub(last.at_ms) < self.retry_after_ms;
        (is_step && is_fresh).then_some(last)
    }

    /// Whether one of these knobs was brought to a lower value not long ago, and stayed there.
    pub fn was_lowered(&self, names: &[&str], scope: &str) -> bool {
        self.tried.iter().any(|tried| {
            names.contains(&tried.name.as_str())
                && tried.scope == scope
                && tried.value < tried.from
                && tried.effect != Effect::Worse
                && self.now_ms.saturating_sub(tried.at_ms) < self.retry_after_ms
        })
    }

    /// Counts the change that brought a knob to `value` as one without gain, also where nothing could be measured.
    pub(crate) fn dismiss(&mut self, name: &str, scope: &str, value: i64) {
        let is_it = |tried: &&mut Tried| tried.name == name && tried.scope == scope && tried.value == value;
        if let Some(tried) = self.tried.iter_mut().find(is_it).filter(|tried| tried.effect == Effect::Unknown) {
            tried.effect = Effect::Same;
        }
    }

    /// When the knob's last result was asked for, as Unix time in milliseconds.
    pub fn last_tried_ms(&self, name: &str, scope: &str) -> Option<u64> {
        let of_knob = self.tried.iter().filter(|tried| tried.name == name && tried.scope == scope);
        of_knob.map(|tried| tried.at_ms).max()
    }

    /// Notes that a change was asked for.
    pub(crate) fn asked(&mut self, name: &str, scope: &str, from: i64, value: i64, is_return: bool) {
        let tried = Tried {
            name: name.to_owned(),
            scope: scope.to_owned(),
            from,
            value,
            effect: Effect::Same,
            demand: self.demand,
            at_ms: self.now_ms,
            is_return,
        };
        self.pending.push(Pending { tried, is_applied: false });
    }

    /// Takes in what came of earlier changes.
    pub fn learn(&mut self, outcomes: &[Outcome]) {
        for outcome in outcomes {
            let Value::Integer(_) = outcome.proposed else { continue };
            let is_it = |pending: &Pending| pending.tried.name == outcome.name && pending.tried.scope == outcome.scope;
            let Some(at) = self.pending.iter().position(is_it) else { continue };
            match (&outcome.verdict, &outcome.measured) {
                (Verdict::Refused, _) => {
                    self.pending.swap_remove(at);
                    self.refused.lengthen(&outcome.scope, self.now_ms);
                }
                (Verdict::RolledBack, _) => {
                    let mut tried = self.pending.swap_remove(at).tried;
                    tried.effect = Effect::Worse;
                    self.changed_ms = self.now_ms;
                    self.remember(tried);
                }
                (_, None) if self.pending[at].is_applied => {
                    let tried = self.pending.swap_remove(at).tried;
                    self.remember(Tried { effect: Effect::Unknown, ..tried });
                }
                (_, None) => {
                    self.pending[at].is_applied = true;
                    self.changed_ms = self.now_ms;
                    self.refused.end(&outcome.scope);
                }
                (_, Some(measured)) => {
                    let mut tried = self.pending.swap_remove(at).tried;
                    // Slots without work cannot show what they bring: the limit left it outside, or there was none.
                    let work = self.limit.map_or(self.demand, |limit| self.demand.min(limit as f64));
                    let is_idle = tried.name == "engine_slots" && work < SLOTS_AT_WORK * tried.value as f64;
                    let is_comparable = self.demand >= COMPARABLE_DEMAND * tried.demand && !is_idle;
                    let gain = if measured.metric == UPSTREAM { self.gain.max(UPSTREAM_GAIN_MIN) } else { self.gain };
                    let effect = effect(measured, gain).filter(|_| is_comparable);
                    tried.effect = effect.unwrap_or(Effect::Unknown);
                    self.remember(tried);
                }
            }
        }
    }

    /// Keeps a result in place of an older one for the same value.
    pub(crate) fn remember(&mut self, result: Tried) {
        self.tried.retain(|old| (&old.name, &old.scope, old.value) != (&result.name, &result.scope, result.value));
        if self.tried.len() >= REMEMBERED_MAX {
            self.tried.remove(0);
        }
        self.tried.push(result);
    }
}

/// Whether larger is better; times, waits, errors and what waits are better small.
fn is_better_large(metric: &str) -> bool {
    metric.ends_with("per_second") || matches!(metric, "cache_hit_rate" | "engine_slots_busy" | "in_flight")
}

/// What a measurement says; `None` when there was nothing to measure before or after.
fn effect(measured: &Measurement, gain: f64) -> Option<Effect> {
    // A share that fell to nothing is a success; a time that did means that nothing was measured.
    if measured.metric.ends_with("rate") && !is_better_large(&measured.metric) && measured.after == 0.0 {
        return (measured.before > 0.0).then_some(Effect::Better);
    }
    let ratio = measured.after / measured.before;
    let improvement = match is_better_large(&measured.metric) {
        true => ratio,
        false => 1.0 / ratio,
    };
    if !improvement.is_finite() || improvement <= 0.0 {
        return None;
    }
    Some(match improvement {
        better if better >= 1.0 + gain => Effect::Better,
        worse if worse <= 1.0 / (1.0 + gain) => Effect::Worse,
        _ => Effect::Same,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(value: i64, verdict: Verdict, measured: Option<(f64, f64)>) -> Outcome {
        Outcome {
            name: "engine_slots".to_owned(),
            scope: "local".to_owned(),
            proposed: Value::Integer(value),
            verdict,
            detail: String::new(),
            measured: measured.map(|(before, after)| Measurement {
                metric: "tokens_per_second".to_owned(),
                before,
                after,
            }),
        }
    }

    /// Trials that asked for 2 to 4 slots at 1,000 s with eight requests about.
    fn after_asking() -> Trials {
        let mut trials = Trials::default();
        trials.begin(1_000_000, 8.0, |_, _| None);
        trials.asked("engine_slots", "local", 2, 4, false);
        trials
    }

    #[test]
    fn a_change_blocks_its_scope_until_it_is_measured() {
        let mut trials = after_asking();
        assert!(!trials.is_open("local") && !trials.is_open(""));
        trials.learn(&[outcome(4, Verdict::Applied, None)]);
        assert!(!trials.is_open("local"));
        trials.learn(&[outcome(4, Verdict::Applied, Some((100.0, 125.0)))]);
        assert!(trials.is_open("local") && !trials.is_ruled_out("engine_slots", "local", 4));
        assert_eq!(trials.to_take_back("engine_slots", "local", 4), None);
    }

    #[test]
    fn no_gain_is_taken_back_and_ruled_out_until_time_or_demand_has_moved_on() {
        let mut trials = after_asking();
        trials.learn(&[outcome(4, Verdict::Applied, None), outcome(4, Verdict::Applied, Some((100.0, 101.0)))]);
        assert_eq!(trials.to_take_back("engine_slots", "local", 4).map(|tried| tried.from), Some(2));
        assert_eq!(trials.to_take_back("engine_slots", "local", 2), None);
        assert!(trials.is_ruled_out("engine_slots", "local", 4));
        trials.begin(1_100_000, 17.0, |_, _| None);
        assert!(!trials.is_ruled_out("engine_slots", "local", 4));
        trials.begin(1_700_000, 8.0, |_, _| None);
        assert!(!trials.is_ruled_out("engine_slots", "local", 4));
    }

    #[test]
    fn a_roll_back_counts_as_worse_and_vanished_demand_as_nothing() {
        let mut trials = after_asking();
        trials.learn(&[outcome(4, Verdict::RolledBack, None)]);
        assert!(trials.is_ruled_out("engine_slots", "local", 4));
        let mut trials = after_asking();
        trials.begin(1_030_000, 1.0, |_, _| Some(4));
        trials.learn(&[outcome(4, Verdict::Applied, Some((100.0, 20.0)))]);
        assert_eq!(trials.tried[0].effect, Effect::Unknown);
        assert!(trials.is_open("local") && !trials.is_ruled_out("engine_slots", "local", 4));
        for nonsense in [(0.0, 5.0), (5.0, 0.0), (f64::NAN, 1.0)] {
            assert_eq!(effect(&outcome(1, Verdict::Applied, Some(nonsense)).measured.expect("some"), 0.05), None);
        }
    }

    #[test]
    fn a_change_that_could_not_be_measured_is_over_all_the_same() {
        let mut trials = after_asking();
        trials.learn(&[outcome(4, Verdict::Applied, None)]);
        trials.learn(&[outcome(4, Verdict::Applied, None)]);
        assert!(trials.is_open("local") && !trials.is_ruled_out("engine_slots", "local", 4));
        assert_eq!(trials.to_take_back("engine_slots", "local", 4), None);
    }

    #[test]
    fn refusals_pause_longer_and_longer() {
        let mut trials = after_asking();
        trials.learn(&[outcome(4, Verdict::Refused, None)]);
        trials.begin(1_009_999, 8.0, |_, _| None);
        assert!(!trials.is_open("local"));
        trials.begin(1_010_000, 8.0, |_, _| None);
        assert!(trials.is_open("local"));
        trials.asked("engine_slots", "local", 2, 4, false);
        trials.learn(&[outcome(4, Verdict::Refused, None)]);
        trials.begin(1_029_999, 8.0, |_, _| None);
        assert!(!trials.is_open("local"));
    }

    #[test]
    fn a_clamped_change_is_remembered_by_the_value_it_got() {
        let mut trials = after_asking();
        trials.learn(&[outcome(4, Verdict::Clamped, None)]);
        trials.begin(1_010_000, 8.0, |_, _| Some(3));
        trials.learn(&[outcome(4, Verdict::Clamped, Some((100.0, 100.0)))]);
        assert!(trials.is_ruled_out("engine_slots", "local", 3) && !trials.is_ruled_out("engine_slots", "local", 4));
    }

    #[test]
    fn slots_without_work_are_not_judged() {
        let judged = |demand: f64, limit: i64| {
            let mut trials = after_asking();
            trials.learn(&[outcome(4, Verdict::Applied, None)]);
            trials.begin(1_030_000, demand, |name, _| (name == "concurrency_limit").then_some(limit));
            trials.learn(&[outcome(4, Verdict::Applied, Some((100.0, 101.0)))]);
            trials.tried[0].effect
        };
        assert_eq!((judged(8.0, 256), judged(8.0, 4)), (Effect::Same, Effect::Same));
        // A limit of two leaves two of four without work.
        assert_eq!(judged(8.0, 2), Effect::Unknown);
        let mut few = Trials::default();
        few.begin(1_000_000, 3.0, |_, _| None);
        few.asked("engine_slots", "local", 2, 4, false);
        few.learn(&[outcome(4, Verdict::Applied, None), outcome(4, Verdict::Applied, Some((100.0, 101.0)))]);
        assert_eq!(few.tried[0].effect, Effect::Unknown);
    }

    #[test]
    fn time_upstream_must_fall_clearly_to_count() {
        let of_fall = |after: f64| {
            let mut trials = after_asking();
            trials.learn(&[outcome(4, Verdict::Applied, None)]);
            let measured = Measurement { metric: UPSTREAM.to_owned(), before: 1_000.0, after };
            trials.learn(&[Outcome { measured: Some(measured), ..outcome(4, Verdict::Applied, None) }]);
            trials.tried[0].effect
        };
        assert_eq!((of_fall(920.0), of_fall(800.0)), (Effect::Same, Effect::Better));
    }
}
