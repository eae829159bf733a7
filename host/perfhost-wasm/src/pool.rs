//! Warm planning instances: those that no call is using at the moment, and the account of how many there should be.
//!
//! An instance that has grown or served its share of calls stays in use until a new one is here to take its place; one
//! that failed is missed until then. Neither is a request's business: giving back only says that there is work, and the
//! keeper's thread makes the new one and takes the old one apart ([`Pool::is_missing_one`], [`Pool::add`],
//! [`Pool::take_retired`]).

use parking_lot::Mutex;
use perfhost_strategy::StrategyError;
use perfhost_strategy::strategy::InstanceCounts;

use crate::instance::{Condition, Instance};

/// Idle instances of one strategy. The last one given back is the first one taken: its memory is likely in a cache.
pub(crate) struct Pool {
    state: Mutex<State>,
}

#[derive(Default)]
#[allow(clippy::vec_box, reason = "an instance is some hundred bytes, and moves twice in every plan")]
struct State {
    idle: Vec<Box<Instance>>,
    /// Out of use, for the keeper to take apart.
    retired: Vec<Box<Instance>>,
    capacity: usize,
    /// Instances in good order, idle or in a call.
    good: usize,
    /// How many of those there should be; at most the capacity.
    wanted: usize,
    /// [`Pool::trim`] leaves so many.
    floor: usize,
    /// Fewest idle instances since the last [`Pool::trim`]: so many were never needed.
    least_idle: usize,
    /// [`Pool::raise_floor`] was called, and [`Pool::clear`] not since.
    is_warmed: bool,
    /// Why the last instance was lost or could not be made, while none has been made since.
    lacks_one_because: Option<StrategyError>,
    counts: InstanceCounts,
}

impl Pool {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { state: Mutex::new(State { capacity, floor: 1, ..State::default() }) }
    }

    /// An idle instance, if there is one: with the set-up of `version` where one has it.
    #[inline]
    pub(crate) fn take(&self, version: u64) -> Option<Box<Instance>> {
        let mut state = self.state.lock();
        let taken = match state.idle.last() {
            Some(last) if last.applied.total != version => state.take_of_version(version),
            _ => state.idle.pop(),
        };
        state.least_idle = state.least_idle.min(state.idle.len());
        taken
    }

    /// Whether plans may not wait: those of a strategy that was made ready for them.
    pub(crate) fn is_warmed(&self) -> bool {
        self.state.lock().is_warmed
    }

    /// Counts a plan for which no instance was free, and asks for one more. Why there was none, and whether there is work
    /// for the keeper now.
    pub(crate) fn miss(&self, call: &'static str) -> (StrategyError, bool) {
        let mut state = self.state.lock();
        state.counts.missed += 1;
        state.wanted = state.wanted.max((state.good + 1).min(state.capacity));
        let why = state.lacks_one_because.clone().filter(|_| state.good == 0);
        (why.unwrap_or(StrategyError::Busy { call }), state.good < state.wanted)
    }

    /// Gives an instance back after a call. Whether there is work for the keeper now.
    #[inline]
    pub(crate) fn give(&self, mut instance: Box<Instance>, condition: Condition) -> bool {
        let mut state = self.state.lock();
        if condition == Condition::Good && state.idle.len() < state.capacity {
            state.idle.push(instance);
            return false;
        }
        let has_work = state.give_up(&mut instance, condition);
        let dropped = if condition == Condition::Due && state.good < state.wanted {
            // Still the best there is. Others are taken before it.
            state.idle.insert(0, instance);
            None
        } else if condition != Condition::Good && state.retired.len() < state.capacity {
            state.retired.push(instance);
            None
        } else {
            Some(instance)
        };
        drop(state);
        drop(dropped);
        has_work
    }

    /// Counts an instance that a request had to wait for. It is in a call; [`Pool::give`] takes it afterwards.
    pub(crate) fn count_made_while_planning(&self) {
        let mut state = self.state.lock();
        state.counts.made_while_planning += 1;
        state.made();
    }

    /// Adds a new instance, and takes those that it replaces out of use. It comes back if `version`, which is asked for
    /// here so that no change slips in between, says that its set-up is an old one.
    pub(crate) fn add(&self, instance: Box<Instance>, version: impl FnOnce() -> u64) -> Result<(), Box<Instance>> {
        let mut state = self.state.lock();
        if instance.applied.total != version() {
            return Err(instance);
        }
        state.made();
        state.idle.push(instance);
        while state.good >= state.wanted
            && let Some(at) = state.idle.iter().position(|idle| idle.is_given_up)
        {
            let replaced = state.idle.remove(at);
            state.retired.push(replaced);
        }
        Ok(())
    }

    /// Whether an instance should be made in the place of one that is due or failed.
    pub(crate) fn is_missing_one(&self) -> bool {
        let state = self.state.lock();
        state.good < state.wanted
    }

    /// None could be made: what is there must do.
    pub(crate) fn make_do(&self, why: StrategyError) {
        let mut state = self.state.lock();
        state.wanted = state.good.min(state.wanted);
        state.lacks_one_because = Some(why);
    }

    /// Instances out of use, to be dropped.
    #[allow(clippy::vec_box, reason = "as they are kept")]
    pub(crate) fn take_retired(&self) -> Vec<Box<Instance>> {
        std::mem::take(&mut self.state.lock().retired)
    }

    /// Takes an idle instance that is older than the set-up of `version`.
    pub(crate) fn take_stale(&self, version: u64) -> Option<Box<Instance>> {
        let mut state = self.state.lock();
        let at = state.idle.iter().position(|instance| instance.applied.total < version)?;
        Some(state.idle.remove(at))
    }

    /// Whether [`Pool::take_stale`] would find one.
    pub(crate) fn has_stale(&self, version: u64) -> bool {
        self.state.lock().idle.iter().any(|instance| instance.applied.total < version)
    }

    /// From now on plans do not wait, and [`Pool::trim`] leaves this many. The answer is how many are missing.
    pub(crate) fn raise_floor(&self, floor: usize) -> usize {
        let mut state = self.state.lock();
        state.is_warmed = true;
        let floor = floor.min(state.capacity);
        state.floor = floor.max(1);
        floor.saturating_sub(state.good)
    }

    /// Drops half of the instances that were not needed since the last call, and keeps at least one.
    pub(crate) fn trim(&self) {
        let dropped: Vec<Box<Instance>> = {
            let mut state = self.state.lock();
            let state = &mut *state;
            let unneeded = state.least_idle.min(state.idle.len().saturating_sub(state.floor));
            let dropped: Vec<_> = state.idle.drain(..unneeded.div_ceil(2)).collect();
            let good = dropped.iter().filter(|instance| !instance.is_given_up).count();
            state.good -= good;
            state.wanted = state.wanted.saturating_sub(good);
            state.least_idle = state.idle.len();
            dropped
        };
        drop(dropped);
    }

    /// Drops all idle instances. Plans make what they need again.
    pub(crate) fn clear(&self) {
        let dropped = {
            let mut state = self.state.lock();
            state.is_warmed = false;
            let dropped = std::mem::take(&mut state.idle);
            state.good -= dropped.iter().filter(|instance| !instance.is_given_up).count();
            state.wanted = state.good.min(state.capacity);
            (dropped, std::mem::take(&mut state.retired))
        };
        drop(dropped);
    }

    /// Bytes of memory of the largest idle instance; 0 when there is none.
    pub(crate) fn largest_bytes(&self) -> u64 {
        self.state.lock().idle.iter().map(|instance| instance.memory_bytes()).max().unwrap_or(0)
    }

    /// Idle instances at present.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().idle.len()
    }

    /// What came and went so far.
    pub(crate) fn counts(&self) -> InstanceCounts {
        self.state.lock().counts
    }
}

impl State {
    /// The newest idle instance with the set-up of `version`, or else the newest.
    #[cold]
    fn take_of_version(&mut self, version: u64) -> Option<Box<Instance>> {
        match self.idle.iter().rposition(|idle| idle.applied.total == version) {
            Some(at) => Some(self.idle.remove(at)),
            None => self.idle.pop(),
        }
    }

    fn made(&mut self) {
        self.counts.made += 1;
        self.good += 1;
        self.lacks_one_because = None;
        self.wanted = self.wanted.max(self.good.min(self.capacity));
    }

    /// The account of an instance that is not, or not only, given back. Whether there is work for the keeper.
    #[cold]
    fn give_up(&mut self, instance: &mut Instance, condition: Condition) -> bool {
        if !instance.is_given_up {
            instance.is_given_up = true;
            self.good -= 1;
            match condition {
                // One too many, made for calls at the same moment.
                Condition::Good => {}
                Condition::Due | Condition::Overdue => self.counts.retired += 1,
                Condition::Failed => self.counts.failed += 1,
            }
        }
        condition != Condition::Good
    }
}
