//! What must not be tried again for a while: a knob, in the direction that was rolled back.

use std::collections::BTreeMap;

use super::GuardPolicy;
use crate::{KnobId, Scope, Value};

/// Most cooldowns kept; beyond it the one that ends first is dropped.
const MOST_COOLDOWNS: usize = 1_024;

/// Which way a knob was turned.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Direction {
    Up,
    Down,
    /// Words and flags have no up and down.
    To(String),
}

/// One way of turning one knob.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    knob: KnobId,
    scope: Scope,
    direction: Direction,
}

#[derive(Debug, Clone)]
struct Cooldown {
    until_ms: u64,
    rollbacks: u32,
    decision: u64,
}

/// All cooldowns.
#[derive(Debug, Clone, Default)]
pub(super) struct Cooldowns {
    by_turn: BTreeMap<Turn, Cooldown>,
}

impl Turn {
    pub(super) fn new(knob: KnobId, scope: &Scope, from: &Value, to: &Value) -> Self {
        let direction = match (from, to) {
            (Value::Integer(from), Value::Integer(to)) if to < from => Direction::Down,
            (Value::Number(from), Value::Number(to)) if to < from => Direction::Down,
            (Value::Integer(_), Value::Integer(_)) | (Value::Number(_), Value::Number(_)) => Direction::Up,
            (_, to) => Direction::To(to.to_string()),
        };
        Self { knob, scope: scope.clone(), direction }
    }
}

impl Cooldowns {
    /// Why this turn may not be made now, if so.
    pub(super) fn reason(&self, turn: &Turn, now_ms: u64) -> Option<String> {
        let cooldown = self.by_turn.get(turn).filter(|cooldown| now_ms < cooldown.until_ms)?;
        let seconds = (cooldown.until_ms - now_ms).div_ceil(1_000);
        let times = if cooldown.rollbacks == 1 { "once".to_owned() } else { format!("{} times", cooldown.rollbacks) };
        let way = match &turn.direction {
            Direction::Up => "up".to_owned(),
            Direction::Down => "down".to_owned(),
            Direction::To(word) => format!("to {word}"),
        };
        let last = cooldown.decision;
        Some(format!("turning it {way} was rolled back {times}, last by decision {last}: not for {seconds} s"))
    }

    /// The turn was rolled back at `now_ms`.
    pub(super) fn start(&mut self, policy: &GuardPolicy, turn: Turn, decision: u64, now_ms: u64) {
        let rollbacks = self.by_turn.get(&turn).map_or(0, |cooldown| cooldown.rollbacks).saturating_add(1);
        let doublings = (rollbacks - 1).min(63);
        let wait_ms = policy.cooldown_ms.saturating_mul(1 << doublings).min(policy.cooldown_at_most_ms);
        self.by_turn.insert(turn, Cooldown { until_ms: now_ms.saturating_add(wait_ms), rollbacks, decision });
        if self.by_turn.len() > MOST_COOLDOWNS {
            let first = self.by_turn.iter().min_by_key(|(_, cooldown)| cooldown.until_ms).map(|(turn, _)| turn.clone());
            first.and_then(|turn| self.by_turn.remove(&turn));
        }
    }

    /// The turn was measured and did no harm: earlier rollbacks no longer count.
    pub(super) fn forgive(&mut self, turn: &Turn) {
        self.by_turn.remove(turn);
    }

    /// Drops what ended long ago.
    pub(super) fn prune(&mut self, policy: &GuardPolicy, now_ms: u64) {
        let memory_ms = policy.cooldown_at_most_ms.saturating_mul(2);
        self.by_turn.retain(|_, cooldown| cooldown.until_ms.saturating_add(memory_ms) > now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(from: i64, to: i64) -> Turn {
        Turn::new(KnobId::EngineSlots, &Scope::provider("local"), &Value::Integer(from), &Value::Integer(to))
    }

    #[test]
    fn each_repetition_waits_twice_as_long_up_to_the_limit() {
        let policy = GuardPolicy::default();
        let mut cooldowns = Cooldowns::default();
        let mut now_ms = 0;
        let mut waits = Vec::new();
        for _ in 0..8 {
            cooldowns.start(&policy, turn(1, 2), 1, now_ms);
            let until_ms = cooldowns.by_turn[&turn(1, 2)].until_ms;
            assert!(
                cooldowns.reason(&turn(2, 4), until_ms - 1).is_some()
                    && cooldowns.reason(&turn(2, 4), until_ms).is_none()
            );
            waits.push((until_ms - now_ms) / 1_000);
            now_ms = until_ms;
        }
        assert_eq!(waits, [60, 120, 240, 480, 960, 1_920, 3_600, 3_600]);
    }

    #[test]
    fn the_other_direction_stays_open_and_forgiving_starts_afresh() {
        let policy = GuardPolicy::default();
        let mut cooldowns = Cooldowns::default();
        cooldowns.start(&policy, turn(4, 8), 7, 0);
        assert_eq!(cooldowns.reason(&turn(4, 2), 0), None);
        let reason = cooldowns.reason(&turn(4, 8), 1_000);
        assert_eq!(reason.as_deref(), Some("turning it up was rolled back once, last by decision 7: not for 59 s"));
        cooldowns.forgive(&turn(4, 8));
        assert_eq!(cooldowns.reason(&turn(4, 8), 1_000), None);
    }

    #[test]
    fn what_is_kept_is_bounded_in_number_and_time() {
        let policy = GuardPolicy::default();
        let mut cooldowns = Cooldowns::default();
        for provider in 0..2_000 {
            let scope = Scope::provider(&provider.to_string());
            let turn = Turn::new(KnobId::PoolSize, &scope, &Value::Integer(1), &Value::Integer(2));
            cooldowns.start(&policy, turn, 1, provider);
        }
        assert_eq!(cooldowns.by_turn.len(), MOST_COOLDOWNS);
        cooldowns.prune(&policy, 3 * policy.cooldown_at_most_ms);
        assert!(cooldowns.by_turn.is_empty());
    }
}
