//! What one shard adds up for one series between two ticks. Owns which requests each measurement counts.
//!
//! | measurement | of which requests |
//! |---|---|
//! | response time, overhead | successes |
//! | time to first token | streams that had one, whatever came after |
//! | time per output token | successful streams of two tokens and more that are no cache hits |
//! | queue wait | those that sought admission and were not turned away |
//! | upstream time | successes that went upstream themselves |

use crate::histogram::{DURATION_NS, FIRST_TOKEN_NS, Histogram, OUTPUT_TOKEN_NS, TOKENS};
use crate::phase::Phase;
use crate::record::{CacheStatus, RequestOutcome, RequestRecord};
use crate::sketch::DDSketch;
use perfhost_strategy::observation::metric;

/// Measurements of which the distribution is kept, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Timing {
    ResponseTime,
    TimeToFirstToken,
    TimePerOutputToken,
    QueueWait,
    Overhead,
    UpstreamTime,
}

impl Timing {
    pub(crate) const COUNT: usize = 6;

    /// The metric's name, by the timing's number.
    pub(crate) const METRICS: [&'static str; Self::COUNT] = [
        metric::RESPONSE_TIME,
        metric::TIME_TO_FIRST_TOKEN,
        metric::TIME_PER_OUTPUT_TOKEN,
        metric::QUEUE_WAIT,
        metric::OVERHEAD,
        metric::UPSTREAM_TIME,
    ];
}

/// Whole numbers that rates are made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) outcomes: [u64; RequestOutcome::COUNT],
    /// By cache status; requests that were wrong are left out.
    pub(crate) cache: [u64; CacheStatus::COUNT],
    /// As they were generated.
    pub(crate) output_tokens: u64,
    /// Of finished requests that went upstream themselves.
    pub(crate) prompt_tokens: u64,
    /// Of hits and shared answers.
    pub(crate) prompt_tokens_saved: u64,
    /// Of hits and shared answers.
    pub(crate) output_tokens_saved: u64,
    /// Microseconds, of hits.
    pub(crate) saved_us: u64,
    /// Of successes.
    pub(crate) phases_ns: [u64; Phase::COUNT],
}

impl Counts {
    pub(crate) fn merge(&mut self, other: &Counts) {
        for (mine, theirs) in self.outcomes.iter_mut().zip(other.outcomes) {
            *mine += theirs;
        }
        for (mine, theirs) in self.cache.iter_mut().zip(other.cache) {
            *mine += theirs;
        }
        self.output_tokens += other.output_tokens;
        self.prompt_tokens += other.prompt_tokens;
        self.prompt_tokens_saved += other.prompt_tokens_saved;
        self.output_tokens_saved += other.output_tokens_saved;
        self.saved_us += other.saved_us;
        for (mine, theirs) in self.phases_ns.iter_mut().zip(other.phases_ns) {
            *mine = mine.wrapping_add(theirs);
        }
    }

    fn of(&self, is_wanted: impl Fn(&RequestOutcome) -> bool) -> u64 {
        RequestOutcome::ALL
            .iter()
            .filter(|outcome| is_wanted(outcome))
            .map(|outcome| self.outcomes[*outcome as usize])
            .sum()
    }

    /// Successes and errors.
    pub(crate) fn finished(&self) -> u64 {
        self.of(RequestOutcome::is_finished)
    }

    pub(crate) fn successes(&self) -> u64 {
        self.outcomes[RequestOutcome::Success as usize]
    }

    /// Mean milliseconds that successes spent in a phase; `None` without successes.
    pub(crate) fn phase_ms(&self, phase: usize) -> Option<f64> {
        let successes = self.successes();
        (successes > 0).then(|| self.phases_ns[phase] as f64 * 1e-6 / successes as f64)
    }

    pub(crate) fn errors(&self) -> u64 {
        self.of(RequestOutcome::is_error)
    }

    pub(crate) fn rejected(&self) -> u64 {
        self.outcomes[RequestOutcome::Rejected as usize]
    }

    /// All but those that were wrong.
    pub(crate) fn sought_admission(&self) -> u64 {
        self.of(|outcome| *outcome != RequestOutcome::ClientError)
    }

    pub(crate) fn cacheable(&self) -> u64 {
        self.cache[CacheStatus::Miss as usize] + self.cache_hits()
    }

    pub(crate) fn cache_hits(&self) -> u64 {
        self.cache[CacheStatus::Hit as usize] + self.cache[CacheStatus::Shared as usize]
    }
}

/// What exports count since the process started.
#[derive(Debug, Clone, Default)]
pub(crate) struct Exported {
    pub(crate) duration: [Histogram<{ DURATION_NS.len() }>; RequestOutcome::COUNT],
    pub(crate) first_token: Histogram<{ FIRST_TOKEN_NS.len() }>,
    pub(crate) output_token: Histogram<{ OUTPUT_TOKEN_NS.len() }>,
    pub(crate) prompt_tokens: Histogram<{ TOKENS.len() }>,
    pub(crate) output_tokens: Histogram<{ TOKENS.len() }>,
    pub(crate) cache: [u64; CacheStatus::COUNT],
    pub(crate) phases_ns: [u64; Phase::COUNT],
    /// Tokens as they were generated; the histograms count them by request.
    pub(crate) generated_tokens: u64,
}

impl Exported {
    pub(crate) fn merge(&mut self, other: &Exported) {
        for (mine, theirs) in self.duration.iter_mut().zip(&other.duration) {
            mine.merge(theirs);
        }
        self.first_token.merge(&other.first_token);
        self.output_token.merge(&other.output_token);
        self.prompt_tokens.merge(&other.prompt_tokens);
        self.output_tokens.merge(&other.output_tokens);
        for (mine, theirs) in self.cache.iter_mut().zip(other.cache) {
            *mine += theirs;
        }
        for (mine, theirs) in self.phases_ns.iter_mut().zip(other.phases_ns) {
            *mine = mine.wrapping_add(theirs);
        }
        self.generated_tokens += other.generated_tokens;
    }

    /// Requests of every outcome.
    pub(crate) fn requests(&self) -> u64 {
        self.duration.iter().map(|histogram| histogram.count).sum()
    }
}

/// Everything that is added up for one series.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) timings: [DDSketch; Timing::COUNT],
    pub(crate) counts: Counts,
    pub(crate) exported: Exported,
}

impl Tally {
    /// Adds one request. This is the hot path: no allocation once the sketches have seen the usual values.
    pub(crate) fn add(&mut self, record: &RequestRecord) {
        let outcome = record.outcome;
        let is_success = outcome == RequestOutcome::Success;
        let is_upstream = record.cache.is_upstream();
        self.counts.outcomes[outcome as usize] += 1;
        self.exported.duration[outcome as usize].observe(&DURATION_NS, record.total_ns);
        for (sum, phase_ns) in self.exported.phases_ns.iter_mut().zip(record.phases_ns) {
            *sum = sum.wrapping_add(phase_ns);
        }
        if outcome == RequestOutcome::ClientError {
            return;
        }
        self.counts.cache[record.cache as usize] += 1;
        self.exported.cache[record.cache as usize] += 1;
        if matches!(record.cache, CacheStatus::Hit | CacheStatus::Shared) {
            self.counts.prompt_tokens_saved += u64::from(record.prompt_tokens);
            self.counts.output_tokens_saved += u64::from(record.output_tokens);
            self.counts.saved_us += record.saved_ns / 1_000;
        }
        if is_success {
            for (sum, phase_ns) in self.counts.phases_ns.iter_mut().zip(record.phases_ns) {
                *sum = sum.wrapping_add(phase_ns);
            }
            self.time(Timing::ResponseTime, record.total_ns);
            self.time(Timing::Overhead, record.overhead_ns());
        }
        if is_upstream && outcome != RequestOutcome::Rejected {
            self.time(Timing::QueueWait, record.phases_ns[Phase::Admit as usize]);
            self.counts.prompt_tokens += u64::from(record.prompt_tokens);
            if is_success {
                self.time(Timing::UpstreamTime, record.upstream_ns());
            }
        }
        if record.is_streaming
            && let Some(first_ns) = record.ttft_ns
        {
            self.time(Timing::TimeToFirstToken, first_ns);
            self.exported.first_token.observe(&FIRST_TOKEN_NS, first_ns);
        }
        if is_success
            && record.cache != CacheStatus::Hit
            && let Some(each_ns) = record.time_per_output_token_ns()
        {
            self.time(Timing::TimePerOutputToken, each_ns);
            self.exported.output_token.observe(&OUTPUT_TOKEN_NS, each_ns);
        }
        if record.prompt_tokens > 0 {
            self.exported.prompt_tokens.observe(&TOKENS, u64::from(record.prompt_tokens));
        }
        if record.output_tokens > 0 {
            self.exported.output_tokens.observe(&TOKENS, u64::from(record.output_tokens));
        }
    }

    pub(crate) fn add_tokens(&mut self, tokens: u32) {
        self.counts.output_tokens += u64::from(tokens);
        self.exported.generated_tokens += u64::from(tokens);
    }

    /// Forgets everything and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.timings.iter_mut().for_each(DDSketch::clear);
        self.counts = Counts::default();
        self.exported = Exported::default();
    }

    #[inline]
    fn time(&mut self, timing: Timing, nanoseconds: u64) {
        self.timings[timing as usize].add(nanoseconds as f64 * 1e-6);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::SeriesId;

    fn record(outcome: RequestOutcome, cache: CacheStatus) -> RequestRecord {
        RequestRecord {
            series: SeriesId::OTHER,
            outcome,
            cache,
            is_streaming: true,
            phases_ns: [1_000_000; Phase::COUNT],
            total_ns: 10_000_000,
            ttft_ns: Some(4_000_000),
            prompt_tokens: 5,
            output_tokens: 7,
            saved_ns: 0,
        }
    }

    fn counts(tally: &Tally) -> [u64; Timing::COUNT] {
        std::array::from_fn(|timing| tally.timings[timing].count())
    }

    #[test]
    fn a_success_is_in_every_measurement() {
        let mut tally = Tally::default();
        tally.add(&record(RequestOutcome::Success, CacheStatus::Miss));
        assert_eq!(counts(&tally), [1; Timing::COUNT]);
        assert_eq!(tally.timings[Timing::TimePerOutputToken as usize].max(), 1.0);
        assert_eq!(tally.timings[Timing::UpstreamTime as usize].max(), 3.0);
        assert_eq!(tally.timings[Timing::Overhead as usize].max(), 5.0);
    }

    #[test]
    fn a_cache_hit_neither_queues_nor_generates() {
        let mut tally = Tally::default();
        tally.add(&record(RequestOutcome::Success, CacheStatus::Hit));
        assert_eq!(counts(&tally), [1, 1, 0, 0, 1, 0]);
        assert_eq!(tally.counts.prompt_tokens, 0);
    }

    #[test]
    fn what_was_not_generated_again_is_saved_and_time_only_where_nobody_waited_for_it() {
        let mut tally = Tally::default();
        tally.add(&RequestRecord { saved_ns: 2_500_999, ..record(RequestOutcome::Success, CacheStatus::Hit) });
        tally.add(&record(RequestOutcome::Success, CacheStatus::Shared));
        tally.add(&record(RequestOutcome::Success, CacheStatus::Miss));
        let counts = &tally.counts;
        assert_eq!((counts.prompt_tokens_saved, counts.output_tokens_saved, counts.saved_us), (10, 14, 2_500));
    }

    #[test]
    fn what_was_rejected_wrong_or_cancelled_is_no_error_and_not_finished() {
        let mut tally = Tally::default();
        for outcome in [RequestOutcome::Rejected, RequestOutcome::ClientError, RequestOutcome::Cancelled] {
            tally.add(&record(outcome, CacheStatus::Miss));
        }
        assert_eq!((tally.counts.errors(), tally.counts.finished(), tally.counts.rejected()), (0, 0, 1));
        assert_eq!((tally.counts.sought_admission(), tally.exported.requests()), (2, 3));
        tally.add(&record(RequestOutcome::Timeout, CacheStatus::Miss));
        assert_eq!((tally.counts.errors(), tally.counts.finished()), (1, 1));
    }
}
