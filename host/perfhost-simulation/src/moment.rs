//! Simulated time: microseconds since the run began. Whole numbers, so that the order of events never hangs on rounding.

use std::time::Duration;

/// A moment of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// When the run begins.
    pub const START: Self = Self(0);

    /// So many microseconds after the start.
    pub fn from_us(microseconds: u64) -> Self {
        Self(microseconds)
    }

    /// So many seconds after the start; rounded up, negative and absurd numbers brought into range.
    pub fn from_seconds(seconds: f64) -> Self {
        Self::START.after_seconds(seconds)
    }

    /// Microseconds since the start.
    pub fn as_us(self) -> u64 {
        self.0
    }

    /// Seconds since the start.
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 * 1e-6
    }

    /// Later by a duration.
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }

    /// Later by so many seconds, rounded up to a microsecond: what takes that long is over by then.
    pub fn after_seconds(self, seconds: f64) -> Self {
        Self(self.0.saturating_add((seconds * 1e6).ceil() as u64))
    }

    /// Seconds since an earlier moment; 0 if that is later.
    pub fn seconds_since(self, earlier: Self) -> f64 {
        self.0.saturating_sub(earlier.0) as f64 * 1e-6
    }

    /// Milliseconds since an earlier moment; 0 if that is later.
    pub fn ms_since(self, earlier: Self) -> f64 {
        self.0.saturating_sub(earlier.0) as f64 * 1e-3
    }
}
