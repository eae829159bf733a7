//! Rates and ratios over ticks. Owns what each is made of:
//!
//! | metric | events | of |
//! |---|---|---|
//! | `requests_per_second` | finished: successes and errors | seconds |
//! | `tokens_per_second` | tokens, when they are generated ([`crate::Recorder::tokens`]) | seconds |
//! | `prompt_tokens_per_second` | prompt tokens of requests that went upstream, when they end | seconds |
//! | `error_rate` | upstream errors, timeouts, unavailable | finished |
//! | `rejected_rate` | rejections | all but wrong requests |
//! | `cache_hit_rate` | hits and shared answers | those, and misses |

use perfhost_strategy::observation::{Summary, metric};

use crate::tally::Counts;

/// One rate or ratio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Rate {
    Requests,
    OutputTokens,
    PromptTokens,
    Errors,
    Rejections,
    CacheHits,
}

impl Rate {
    pub(crate) const ALL: [Rate; 6] =
        [Rate::Requests, Rate::OutputTokens, Rate::PromptTokens, Rate::Errors, Rate::Rejections, Rate::CacheHits];

    pub(crate) fn metric(self) -> &'static str {
        match self {
            Rate::Requests => metric::REQUESTS_PER_SECOND,
            Rate::OutputTokens => metric::TOKENS_PER_SECOND,
            Rate::PromptTokens => metric::PROMPT_TOKENS_PER_SECOND,
            Rate::Errors => metric::ERROR_RATE,
            Rate::Rejections => metric::REJECTED_RATE,
            Rate::CacheHits => metric::CACHE_HIT_RATE,
        }
    }

    /// Whether it is a number per second, and so is 0 and not unknown where nothing happened.
    pub(crate) fn is_per_second(self) -> bool {
        matches!(self, Rate::Requests | Rate::OutputTokens | Rate::PromptTokens)
    }

    fn events(self, counts: &Counts) -> u64 {
        match self {
            Rate::Requests => counts.finished(),
            Rate::OutputTokens => counts.output_tokens,
            Rate::PromptTokens => counts.prompt_tokens,
            Rate::Errors => counts.errors(),
            Rate::Rejections => counts.rejected(),
            Rate::CacheHits => counts.cache_hits(),
        }
    }

    /// The requests that it is about.
    fn requests(self, counts: &Counts) -> u64 {
        match self {
            Rate::Requests | Rate::Errors => counts.finished(),
            // Tokens arrive before their request is finished; a count of 0 would mean that nothing was measured.
            Rate::OutputTokens | Rate::PromptTokens => counts.finished().max(u64::from(self.events(counts) > 0)),
            Rate::Rejections => counts.sought_admission(),
            Rate::CacheHits => counts.cacheable(),
        }
    }

    /// Its value over one stretch of time and the weight that makes the mean of many such values right: 1 for numbers
    /// per second, the requests for ratios. `None` for a ratio of nothing.
    pub(crate) fn sample(self, counts: &Counts, seconds: f64) -> Option<(f64, u64)> {
        if self.is_per_second() {
            return Some((self.events(counts) as f64 / seconds, 1));
        }
        let requests = self.requests(counts);
        (requests > 0).then(|| (self.events(counts) as f64 / requests as f64, requests))
    }

    /// Count: the requests. Mean: the rate over all ticks. The rest: of the rates of single ticks, each about a second.
    pub(crate) fn summary(self, ticks: &[(Counts, f64)]) -> Summary {
        let (mut total, mut seconds) = (Counts::default(), 0.0);
        for (counts, tick_seconds) in ticks {
            total.merge(counts);
            seconds += tick_seconds;
        }
        let count = self.requests(&total);
        if count == 0 {
            return Summary::default();
        }
        let mut values: Vec<f64> = ticks
            .iter()
            .filter_map(|(counts, seconds)| self.sample(counts, *seconds))
            .map(|(value, _)| value)
            .collect();
        let mean = self.sample(&total, seconds).map_or(0.0, |(value, _)| value);
        Summary { count, mean, ..spread(&mut values) }
    }
}

/// Exact numbers of a few values; puts them in order. Quantiles are those at rank `floor(q * (count - 1))`.
pub(crate) fn spread(values: &mut [f64]) -> Summary {
    values.sort_unstable_by(f64::total_cmp);
    let (Some(min), Some(max)) = (values.first(), values.last()) else {
        return Summary::default();
    };
    let at = |q: f64| values[(q * (values.len() - 1) as f64) as usize];
    Summary {
        count: values.len() as u64,
        mean: values.iter().sum::<f64>() / values.len() as f64,
        min: *min,
        max: *max,
        p50: at(0.50),
        p95: at(0.95),
        p99: at(0.99),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RequestOutcome;

    fn finished(successes: u64, timeouts: u64) -> Counts {
        let mut counts = Counts::default();
        counts.outcomes[RequestOutcome::Success as usize] = successes;
        counts.outcomes[RequestOutcome::Timeout as usize] = timeouts;
        counts
    }

    #[test]
    fn a_rate_is_the_total_over_the_whole_time_with_the_spread_of_single_seconds() {
        let ticks = [(finished(10, 0), 1.0), (finished(0, 0), 1.0), (finished(20, 0), 2.0)];
        let summary = Rate::Requests.summary(&ticks);
        assert_eq!((summary.count, summary.mean, summary.min, summary.max, summary.p50), (30, 7.5, 0.0, 10.0, 10.0));
    }

    #[test]
    fn a_ratio_weighs_requests_and_not_seconds() {
        let ticks = [(finished(0, 1), 1.0), (finished(99, 0), 1.0), (finished(0, 0), 1.0)];
        let summary = Rate::Errors.summary(&ticks);
        assert_eq!((summary.count, summary.mean, summary.min, summary.max), (100, 0.01, 0.0, 1.0));
    }

    #[test]
    fn tokens_of_unfinished_requests_are_measured() {
        let counts = Counts { output_tokens: 50, ..Counts::default() };
        let summary = Rate::OutputTokens.summary(&[(counts, 1.0)]);
        assert_eq!((summary.count, summary.mean), (1, 50.0));
        assert_eq!(Rate::OutputTokens.summary(&[(Counts::default(), 1.0)]), Summary::default());
    }
}
