//! When requests arrive.

use serde::{Deserialize, Serialize};

use super::Amount;

/// The process of arrivals.
///
/// Clients (closed loop) wait for an answer before they ask again, so a slow host gets fewer requests; all others (open
/// loop) come when they come, and a slow host gets a queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Arrivals {
    /// Closed loop.
    Clients {
        /// How many.
        count: u32,
        /// Time between an answer's end and the client's next request, in seconds.
        #[serde(default = "at_once")]
        think_s: Amount,
        /// Time until a client whose request failed or was refused asks again, in seconds.
        #[serde(default = "one")]
        back_off_s: f64,
    },
    /// Independent requests.
    Poisson {
        /// Their rate.
        per_second: f64,
    },
    /// Independent requests, for a while at a higher rate, again and again.
    Burst {
        /// Their rate between bursts.
        per_second: f64,
        /// Their rate in a burst.
        burst_per_second: f64,
        /// Seconds from the beginning of one burst to that of the next; the first begins after as many.
        every_s: f64,
        /// Seconds that a burst lasts.
        for_s: f64,
    },
    /// Independent requests whose rate rises and falls as a sine does.
    Diurnal {
        /// Their mean rate.
        per_second: f64,
        /// How far the rate swings, as a share of the mean: 0 to 1.
        swing: f64,
        /// Seconds from peak to peak.
        period_s: f64,
    },
    /// Requests that were recorded.
    Trace {
        /// A file of [`TraceRow`]s, one JSON object a line, for whoever loads the scenario to read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<String>,
        /// In the order of time.
        #[serde(default)]
        rows: Vec<TraceRow>,
    },
}

/// One recorded request, with the field names of Mooncake's traces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TraceRow {
    /// Milliseconds since the trace's beginning.
    pub timestamp: u64,
    /// Tokens of the prompt.
    pub input_length: u32,
    /// Tokens of the answer.
    pub output_length: u32,
    /// Hashes of the prompt's blocks: equal lists are equal prompts. Without them every prompt is new.
    #[serde(default)]
    pub hash_ids: Vec<u64>,
}

impl Default for Arrivals {
    /// Eight clients that ask again at once: the load that the default engine was measured under.
    fn default() -> Self {
        Arrivals::Clients { count: 8, think_s: at_once(), back_off_s: one() }
    }
}

impl Arrivals {
    /// Requests per second at that time; `None` for clients and traces, whose rate is not given.
    pub(crate) fn rate(&self, seconds: f64) -> Option<f64> {
        match self {
            Arrivals::Clients { .. } | Arrivals::Trace { .. } => None,
            Arrivals::Poisson { per_second } => Some(*per_second),
            Arrivals::Burst { per_second, burst_per_second, every_s, for_s } => {
                let is_burst = seconds >= *every_s && seconds % every_s < *for_s;
                Some(if is_burst { *burst_per_second } else { *per_second })
            }
            Arrivals::Diurnal { per_second, swing, period_s } => {
                let angle = std::f64::consts::TAU * seconds / period_s;
                Some(per_second * (1.0 - swing * angle.cos()))
            }
        }
    }

    /// The highest rate there is.
    pub(crate) fn highest_rate(&self) -> f64 {
        match self {
            Arrivals::Clients { .. } | Arrivals::Trace { .. } => 0.0,
            Arrivals::Poisson { per_second } => *per_second,
            Arrivals::Burst { per_second, burst_per_second, .. } => per_second.max(*burst_per_second),
            Arrivals::Diurnal { per_second, swing, .. } => per_second * (1.0 + swing),
        }
    }
}

fn at_once() -> Amount {
    Amount::Fixed(0.0)
}

fn one() -> f64 {
    1.0
}
