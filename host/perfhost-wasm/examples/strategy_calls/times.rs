//! Times of calls, and the memory of this process.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Times of single calls, sorted.
pub(crate) struct Times(Vec<Duration>);

impl Times {
    /// Sorts them.
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort();
        Self(times)
    }

    /// The spread in microseconds, divided by the number of `calls` that each time is of.
    pub(crate) fn in_us(&self, calls: u32) -> Value {
        let at =
            |share: f64| self.0[((self.0.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e6 / f64::from(calls);
        json!({ "min": at(0.0), "p50": at(0.5), "p99": at(0.99), "times": self.0.len() })
    }
}

/// Calls at most `count` times in about `most`, after some calls to warm up.
pub(crate) fn times(count: usize, most: Duration, mut call: impl FnMut()) -> Times {
    let mut measured = Vec::with_capacity(count);
    for is_warm in [false, true] {
        let (count, most) = if is_warm { (count, most) } else { (count / 10, most / 10) };
        let until = Instant::now() + most;
        while measured.len() < count.max(1) {
            let started = Instant::now();
            call();
            measured.push(started.elapsed());
            if Instant::now() > until {
                break;
            }
        }
        if !is_warm {
            measured.clear();
        }
    }
    Times::of(measured)
}

/// Memory that this process has in use; 0 where the system does not tell.
pub(crate) fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).map_or(0, |kib| kib << 10)
}
