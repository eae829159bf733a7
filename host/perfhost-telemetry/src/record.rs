//! What is recorded of one finished request. Owns what counts as an error; the sums are kept in `tally`.

use serde::Serialize;

use crate::phase::Phase;
use crate::series::SeriesId;

/// What one request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(usize)]
pub enum RequestOutcome {
    /// Answered in full.
    Success,
    /// Turned away by admission.
    Rejected,
    /// The request itself was wrong, by perfhost's or the provider's judgement.
    ClientError,
    /// The provider failed or broke off.
    UpstreamError,
    /// A time limit passed.
    Timeout,
    /// The client went away before the end.
    Cancelled,
    /// No provider could take it.
    Unavailable,
}

impl RequestOutcome {
    /// How many there are.
    pub const COUNT: usize = 7;

    /// All of them, in the order of their numbers.
    pub const ALL: [RequestOutcome; Self::COUNT] = [
        RequestOutcome::Success,
        RequestOutcome::Rejected,
        RequestOutcome::ClientError,
        RequestOutcome::UpstreamError,
        RequestOutcome::Timeout,
        RequestOutcome::Cancelled,
        RequestOutcome::Unavailable,
    ];

    /// Its name in metrics and logs.
    pub fn cause(&self) -> &'static str {
        match self {
            RequestOutcome::Success => "success",
            RequestOutcome::Rejected => "rejected",
            RequestOutcome::ClientError => "client_error",
            RequestOutcome::UpstreamError => "upstream_error",
            RequestOutcome::Timeout => "timeout",
            RequestOutcome::Cancelled => "cancelled",
            RequestOutcome::Unavailable => "unavailable",
        }
    }

    /// Whether it counts as an error: the provider's or perfhost's fault, after admission was sought.
    pub fn is_error(&self) -> bool {
        matches!(self, RequestOutcome::UpstreamError | RequestOutcome::Timeout | RequestOutcome::Unavailable)
    }

    /// Whether the request was brought to an end that says something about the service: a success or an error. What
    /// was turned away, was wrong or was given up by its client is not finished.
    pub fn is_finished(&self) -> bool {
        matches!(self, RequestOutcome::Success) || self.is_error()
    }
}

/// What the cache did for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(usize)]
pub enum CacheStatus {
    /// Not cacheable, or the cache is off.
    Bypass,
    /// Cacheable, and not there.
    Miss,
    /// Answered from the cache.
    Hit,
    /// Answered by an identical request already under way.
    Shared,
}

impl CacheStatus {
    /// How many there are.
    pub const COUNT: usize = 4;

    /// All of them, in the order of their numbers.
    pub const ALL: [CacheStatus; Self::COUNT] =
        [CacheStatus::Bypass, CacheStatus::Miss, CacheStatus::Hit, CacheStatus::Shared];

    /// Its name in headers and metrics.
    pub fn name(self) -> &'static str {
        match self {
            CacheStatus::Bypass => "bypass",
            CacheStatus::Miss => "miss",
            CacheStatus::Hit => "hit",
            CacheStatus::Shared => "shared",
        }
    }

    /// Whether this request itself went, or was to go, to a provider.
    pub fn is_upstream(self) -> bool {
        matches!(self, CacheStatus::Bypass | CacheStatus::Miss)
    }
}

/// What is recorded of one request when it is over.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestRecord {
    /// Provider, model, strategy and operation; from [`crate::Telemetry::series`].
    pub series: SeriesId,
    /// What it came to.
    pub outcome: RequestOutcome,
    /// What the cache did.
    pub cache: CacheStatus,
    /// The client wanted a stream.
    pub is_streaming: bool,
    /// Nanoseconds in each phase, by the phase's number.
    pub phases_ns: [u64; Phase::COUNT],
    /// Nanoseconds from arrival to the last byte of the answer.
    pub total_ns: u64,
    /// Nanoseconds from arrival to the first token of a stream; `None` when none came or nothing was streamed.
    pub ttft_ns: Option<u64>,
    /// Tokens of the prompt; 0 when not known.
    pub prompt_tokens: u32,
    /// Tokens of the answer; 0 when not known. Used for this request's time per token and for token totals; the
    /// rate of tokens comes from [`crate::Recorder::tokens`].
    pub output_tokens: u32,
    /// Nanoseconds that making the answer had taken which a cache hit gives; 0 for all others.
    pub saved_ns: u64,
}

impl RequestRecord {
    /// Nanoseconds spent in perfhost itself: neither waiting for admission nor the provider's.
    pub fn overhead_ns(&self) -> u64 {
        let [accept, identify, plan, cache, .., record] = self.phases_ns;
        accept + identify + plan + cache + record
    }

    /// Nanoseconds from sending the request upstream to the last byte of its answer.
    pub fn upstream_ns(&self) -> u64 {
        self.phases_ns[Phase::Send as usize]
            + self.phases_ns[Phase::FirstByte as usize]
            + self.phases_ns[Phase::Stream as usize]
    }

    /// (response time − time to first token) / (tokens − 1), in nanoseconds, for streams of two tokens and more.
    pub fn time_per_output_token_ns(&self) -> Option<u64> {
        let first_ns = self.ttft_ns.filter(|_| self.is_streaming && self.output_tokens >= 2)?;
        Some(self.total_ns.saturating_sub(first_ns) / u64::from(self.output_tokens - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_and_cache_statuses_are_numbered_in_their_order() {
        for (at, outcome) in RequestOutcome::ALL.iter().enumerate() {
            assert_eq!(*outcome as usize, at);
        }
        for (at, status) in CacheStatus::ALL.iter().enumerate() {
            assert_eq!(*status as usize, at);
        }
    }

    #[test]
    fn overhead_is_the_sum_of_the_phases_that_are_perfhosts_own() {
        let mut phases_ns = [0; Phase::COUNT];
        for phase in Phase::ALL {
            phases_ns[phase as usize] = 1 << (phase as usize);
        }
        let record = RequestRecord {
            series: SeriesId::OTHER,
            outcome: RequestOutcome::Success,
            cache: CacheStatus::Miss,
            is_streaming: true,
            phases_ns,
            total_ns: 101_000,
            ttft_ns: Some(1_000),
            prompt_tokens: 1,
            output_tokens: 11,
            saved_ns: 0,
        };
        let expected: u64 =
            Phase::ALL.iter().filter(|phase| phase.is_overhead()).map(|phase| 1 << (*phase as usize)).sum();
        assert_eq!(record.overhead_ns(), expected);
        assert_eq!(record.time_per_output_token_ns(), Some(10_000));
    }
}
