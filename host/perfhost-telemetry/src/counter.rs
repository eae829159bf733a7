//! What history counts: requests that came to nothing by cause, and what the cache saved. Owns the names and what each
//! counts; the distributions that history keeps besides are named in `tally`, `window::rate` and [`crate::phase`].
//!
//! A count over a window is kept in the form of every other measurement, as a sketch of so many ones, so that it goes
//! through the same tiers and roll-ups, and its total over any range is the sketch's count.

use crate::record::{CacheStatus, RequestOutcome};
use crate::sketch::DDSketch;
use crate::tally::Counts;

/// One thing that is counted. Successes are not among them: they are the count of `response_time_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Counter {
    /// Requests turned away by admission.
    Rejected,
    /// Requests that were wrong themselves.
    ClientErrors,
    /// Requests at which the provider failed.
    UpstreamErrors,
    /// Requests for which a time limit passed.
    Timeouts,
    /// Requests whose client went away.
    Cancelled,
    /// Requests that no provider could take.
    Unavailable,
    /// Requests answered by an equal one that was under way; hits are the rest of what `cache_hit_rate` says.
    CacheShared,
    /// Prompt tokens of answers that were not generated again: hits and shared ones.
    PromptTokensSaved,
    /// Output tokens of the same.
    OutputTokensSaved,
    /// Time that making them had taken of answers that hits gave, in microseconds. Who shares an answer waits for it.
    TimeSaved,
}

impl Counter {
    /// How many there are.
    pub const COUNT: usize = 10;

    /// All of them, in the order of their numbers.
    pub const ALL: [Counter; Self::COUNT] = [
        Counter::Rejected,
        Counter::ClientErrors,
        Counter::UpstreamErrors,
        Counter::Timeouts,
        Counter::Cancelled,
        Counter::Unavailable,
        Counter::CacheShared,
        Counter::PromptTokensSaved,
        Counter::OutputTokensSaved,
        Counter::TimeSaved,
    ];

    /// Names under which history keeps them, by their number.
    pub const METRICS: [&'static str; Self::COUNT] = [
        "requests_rejected",
        "requests_client_error",
        "requests_upstream_error",
        "requests_timeout",
        "requests_cancelled",
        "requests_unavailable",
        "cache_shared",
        "cache_prompt_tokens_saved",
        "cache_output_tokens_saved",
        "cache_time_saved_us",
    ];

    /// The counter of that name.
    pub fn by_metric(name: &str) -> Option<Self> {
        Self::METRICS.iter().position(|known| *known == name).map(|at| Self::ALL[at])
    }

    /// Its name in history and the API.
    pub fn metric(self) -> &'static str {
        Self::METRICS[self as usize]
    }

    /// `count`, `tokens` or `us`.
    pub fn unit(self) -> &'static str {
        match self {
            Counter::PromptTokensSaved | Counter::OutputTokensSaved => "tokens",
            Counter::TimeSaved => "us",
            _ => "count",
        }
    }

    /// The counter of requests that came to this; `None` for successes.
    pub fn of_outcome(outcome: RequestOutcome) -> Option<Self> {
        Some(match outcome {
            RequestOutcome::Success => return None,
            RequestOutcome::Rejected => Counter::Rejected,
            RequestOutcome::ClientError => Counter::ClientErrors,
            RequestOutcome::UpstreamError => Counter::UpstreamErrors,
            RequestOutcome::Timeout => Counter::Timeouts,
            RequestOutcome::Cancelled => Counter::Cancelled,
            RequestOutcome::Unavailable => Counter::Unavailable,
        })
    }

    /// What `counts` has of it.
    pub(crate) fn of(self, counts: &Counts) -> u64 {
        let outcome = |outcome: RequestOutcome| counts.outcomes[outcome as usize];
        match self {
            Counter::Rejected => outcome(RequestOutcome::Rejected),
            Counter::ClientErrors => outcome(RequestOutcome::ClientError),
            Counter::UpstreamErrors => outcome(RequestOutcome::UpstreamError),
            Counter::Timeouts => outcome(RequestOutcome::Timeout),
            Counter::Cancelled => outcome(RequestOutcome::Cancelled),
            Counter::Unavailable => outcome(RequestOutcome::Unavailable),
            Counter::CacheShared => counts.cache[CacheStatus::Shared as usize],
            Counter::PromptTokensSaved => counts.prompt_tokens_saved,
            Counter::OutputTokensSaved => counts.output_tokens_saved,
            Counter::TimeSaved => counts.saved_us,
        }
    }

    /// So many, in the form that history keeps.
    pub(crate) fn sketch(count: u64) -> DDSketch {
        let mut ones = DDSketch::new();
        ones.add_weighted(1.0, count);
        ones
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_numbered_in_their_order_and_found_by_name() {
        for (at, counter) in Counter::ALL.into_iter().enumerate() {
            assert_eq!((counter as usize, Counter::by_metric(counter.metric())), (at, Some(counter)));
        }
        assert_eq!(Counter::by_metric("error_rate"), None);
    }

    #[test]
    fn every_cause_has_its_counter_named_after_it() {
        let mut counts = Counts::default();
        for (at, outcome) in RequestOutcome::ALL.into_iter().enumerate() {
            counts.outcomes[outcome as usize] = at as u64;
            let counter = Counter::of_outcome(outcome);
            assert_eq!(counter.is_none(), outcome == RequestOutcome::Success);
            if let Some(counter) = counter {
                assert_eq!(counter.of(&counts), at as u64);
                assert_eq!(counter.metric(), format!("requests_{}", outcome.cause()));
            }
        }
    }
}
