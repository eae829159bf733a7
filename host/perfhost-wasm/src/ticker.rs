//! The clock behind time limits: a thread that raises the engine's epoch once a millisecond while calls are made, and
//! sleeps without waking while none are.
//!
//! A guest compares the epoch with its deadline at every loop and function entry. Starting a call costs one atomic load
//! here when the ticker is awake already. To wake it takes tens of microseconds of a request's time on a virtual machine,
//! so between short calls that come now and then it dozes: it looks every few ticks whether there was one, and a call
//! that does not end is noticed that much later.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use wasmtime::{Engine, EngineWeak};

/// Length of one tick.
pub(crate) const TICK: Duration = Duration::from_millis(1);

/// A thread that was kept off the processor makes up for at most this many ticks at once: a call must not be ended
/// because the whole machine paused.
const MAX_CATCH_UP: u64 = 2;

/// Time between two looks while the ticker dozes.
const DOZE: Duration = Duration::from_millis(20);

/// Without a short call for so long, the ticker sleeps until it is woken.
const DOZING_MAX: Duration = Duration::from_secs(10);

const PARKED: u8 = 0;
const QUIET: u8 = 1;
/// A short call began since the last tick.
const CALLED: u8 = 2;
/// A long one did, and no short one after it.
const CALLED_LONG: u8 = 3;
const STOPPED: u8 = 4;

struct State {
    activity: AtomicU8,
    /// Long calls under way; the ticker does not park while there are any.
    long_calls: AtomicU64,
}

/// Handle of the ticker thread; dropping it ends the thread.
pub(crate) struct Ticker {
    state: Arc<State>,
    thread: Mutex<Thread>,
}

/// Keeps the ticker awake for the duration of a long call.
pub(crate) struct LongCall<'a> {
    state: &'a State,
}

impl Ticker {
    /// Starts the thread. After the last short call it stays awake for `longest_short_call` and a little more.
    pub(crate) fn start(engine: &Engine, longest_short_call: Duration) -> std::io::Result<Self> {
        let state = Arc::new(State { activity: AtomicU8::new(PARKED), long_calls: AtomicU64::new(0) });
        let linger = ticks(longest_short_call) + 50;
        let (engine, shared) = (engine.weak(), state.clone());
        let handle = thread::Builder::new()
            .name("perfhost-epoch".to_owned())
            .stack_size(64 << 10)
            .spawn(move || run(&engine, &shared, linger))?;
        Ok(Self { state, thread: Mutex::new(handle.thread().clone()) })
    }

    /// A call that cannot last longer than the `longest_short_call` of [`Ticker::start`] begins.
    #[inline]
    pub(crate) fn short_call(&self) {
        if self.state.activity.load(Ordering::Acquire) != CALLED {
            self.wake(CALLED);
        }
    }

    /// A call of any length begins; it ends when the answer is dropped.
    pub(crate) fn long_call(&self) -> LongCall<'_> {
        self.state.long_calls.fetch_add(1, Ordering::SeqCst);
        self.wake(CALLED_LONG);
        LongCall { state: &self.state }
    }

    #[cold]
    fn wake(&self, by: u8) {
        if self.state.activity.swap(by, Ordering::SeqCst) == PARKED {
            self.thread.lock().unpark();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.state.activity.store(STOPPED, Ordering::SeqCst);
        self.thread.lock().unpark();
    }
}

impl Drop for LongCall<'_> {
    fn drop(&mut self) {
        self.state.long_calls.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Ticks that a call of at most `limit` may see: one more than its length, because it starts within a tick.
pub(crate) fn ticks(limit: Duration) -> u64 {
    u64::try_from(limit.as_nanos().div_ceil(TICK.as_nanos())).unwrap_or(u64::MAX / 2) + 1
}

fn run(engine: &EngineWeak, state: &State, linger: u64) {
    let mut quiet_ticks = 0;
    let mut last = Instant::now();
    let mut called = last;
    loop {
        match state.activity.load(Ordering::SeqCst) {
            STOPPED => return,
            PARKED => {
                thread::park();
                last = Instant::now();
                quiet_ticks = 0;
                continue;
            }
            CALLED => {
                quiet_ticks = 0;
                called = last;
                exchange(state, CALLED, QUIET);
            }
            CALLED_LONG => {
                quiet_ticks = 0;
                exchange(state, CALLED_LONG, QUIET);
            }
            _ if state.long_calls.load(Ordering::SeqCst) > 0 => quiet_ticks = 0,
            _ => quiet_ticks += 1,
        }
        let is_dozing = quiet_ticks > linger;
        if is_dozing && last.duration_since(called) > DOZING_MAX {
            exchange(state, QUIET, PARKED);
            continue;
        }
        thread::sleep(if is_dozing { DOZE } else { TICK });
        let Some(engine) = engine.upgrade() else { return };
        let passed = last.elapsed();
        last = Instant::now();
        let due = u64::try_from(passed.as_nanos() / TICK.as_nanos()).unwrap_or(u64::MAX);
        for _ in 0..due.clamp(1, MAX_CATCH_UP) {
            engine.increment_epoch();
        }
    }
}

fn exchange(state: &State, from: u8, to: u8) {
    // A failure means that a call began or the ticker was stopped in between; the next round sees it.
    let _ = state.activity.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_counts_one_tick_more_than_its_length() {
        assert_eq!(ticks(Duration::from_millis(5)), 6);
        assert_eq!(ticks(Duration::from_micros(1)), 2);
    }
}
