//! When a call has had its time: limits count processor time of the calling thread, not time on the wall.
//!
//! Engines of the same machine keep its processors busy, and a thread may wait many milliseconds for its turn. A healthy
//! strategy must not be blamed for that. Asking for processor time costs too much to do in every call, so a call first
//! runs to a deadline of half its limit in ticks, and only a call that is still going then is measured: it may use the
//! other half. A runaway call ends after at most one and a half times its limit and two ticks, and while the ticker dozes
//! ([`crate::ticker`]) one look later; a call that is done in time costs nothing extra.

use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use wasmtime::UpdateDeadline;

use crate::ticker::{Ticker, ticks};

/// The time account of one instance's present call.
pub(crate) struct Deadline {
    ticker: Arc<Ticker>,
    /// Half of the present call's limit.
    half: Duration,
    /// Processor time of the thread when the first half was over.
    measured_since: Option<Duration>,
}

impl Deadline {
    pub(crate) fn new(ticker: Arc<Ticker>) -> Self {
        Self { ticker, half: Duration::ZERO, measured_since: None }
    }

    /// A call with `limit` begins. The answer is its first deadline, in ticks from now.
    #[inline]
    pub(crate) fn begin(&mut self, limit: Limit) -> u64 {
        self.half = limit.half;
        self.measured_since = None;
        limit.first_ticks
    }

    /// The deadline was reached.
    pub(crate) fn reached(&mut self) -> UpdateDeadline {
        let now = processor_time();
        let left = match self.measured_since {
            None => {
                self.measured_since = Some(now);
                self.half
            }
            Some(since) => self.half.saturating_sub(now.saturating_sub(since)),
        };
        if left.is_zero() {
            return UpdateDeadline::Interrupt;
        }
        // The ticker stays awake for short calls for a while only; this one takes longer.
        self.ticker.short_call();
        UpdateDeadline::Continue(ticks(left))
    }
}

/// A time limit, made ready once for many calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    /// As it was given, for messages.
    pub(crate) whole: Duration,
    half: Duration,
    first_ticks: u64,
}

impl From<Duration> for Limit {
    fn from(whole: Duration) -> Self {
        let half = whole / 2;
        Self { whole, half, first_ticks: ticks(half) }
    }
}

/// Processor time that this thread has used.
fn processor_time() -> Duration {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(used.tv_sec.unsigned_abs(), used.tv_nsec.unsigned_abs() as u32)
}
