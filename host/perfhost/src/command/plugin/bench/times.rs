//! Times of calls, measured one after another for a bounded time.

use std::time::{Duration, Instant};

use serde::Serialize;

/// Spread of the times of single calls, in the unit that the field's name says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Times {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) min: f64,
    /// Calls measured.
    pub(super) calls: usize,
}

impl Times {
    /// The spread in microseconds; zeros when there are none.
    pub(super) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let last = times.len().saturating_sub(1) as f64;
        let at = |share: f64| times.get((last * share) as usize).map_or(0.0, |time| time.as_secs_f64() * 1e6);
        Self { p50: at(0.5), p99: at(0.99), min: at(0.0), calls: times.len() }
    }

    /// From microseconds to milliseconds.
    pub(super) fn in_ms(self) -> Self {
        Self { p50: self.p50 / 1e3, p99: self.p99 / 1e3, min: self.min / 1e3, calls: self.calls }
    }
}

/// Makes at most `count` calls in at most the time given (but at least one), after a tenth of each to warm up. Times in
/// microseconds.
pub(super) fn each<E>(count: u64, most: Duration, mut call: impl FnMut() -> Result<(), E>) -> Result<Times, E> {
    let started = Instant::now();
    for _ in 0..(count / 10).max(1) {
        call()?;
        if started.elapsed() > most / 10 {
            break;
        }
    }
    let mut times = Vec::with_capacity(count as usize);
    let started = Instant::now();
    while (times.len() as u64) < count && (times.is_empty() || started.elapsed() < most) {
        let before = Instant::now();
        call()?;
        times.push(before.elapsed());
    }
    Ok(Times::of(times))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_is_that_of_the_calls() {
        let times = Times::of((1..=101).map(Duration::from_millis).collect());
        assert_eq!((times.min, times.p50, times.p99, times.calls), (1e3, 51e3, 100e3, 101));
        assert_eq!(times.in_ms().p50, 51.0);
        assert_eq!(Times::of(Vec::new()).p50, 0.0);
    }

    #[test]
    fn a_slow_call_is_made_at_least_once_and_a_failure_ends_it() {
        let mut calls = 0;
        let times = each(1_000, Duration::ZERO, || {
            calls += 1;
            Ok::<_, ()>(())
        });
        assert_eq!((times.map(|times| times.calls), calls), (Ok(1), 2));
        assert_eq!(each(10, Duration::from_secs(1), || Err("broken")), Err("broken"));
    }
}
