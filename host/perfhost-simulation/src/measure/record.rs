//! What is kept of a run: numbers over all of it and over its second half, and a series of points to plot.

use serde::{Serialize, Serializer};

use super::histogram::Histogram;
use crate::ending::{CacheUse, Ending, RequestEnd};
use crate::moment::Moment;
use crate::scenario::{Objective, Scenario};

/// Points in a series at most, each of whole steps of the shortest one.
const MOST_POINTS: f64 = 360.0;
const SHORTEST_STEP_S: f64 = 5.0;

/// Numbers over the requests that arrived in a stretch of time, whenever they were over.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Totals {
    /// Requests that arrived.
    pub requests: u64,
    /// Of these, by what they came to; in the order of [`Ending::ALL`], written with their names.
    #[serde(serialize_with = "by_name")]
    pub endings: [u64; Ending::COUNT],
    /// Of these, the ones that kept the objective.
    pub good: u64,
    /// Share of requests that kept the objective, 0 to 1: goodput.
    pub goodput: f64,
    /// Requests that kept the objective, per second.
    pub goodput_per_second: f64,
    /// Milliseconds to the end of an answer: successes.
    pub response_mean_ms: f64,
    /// The same, median.
    pub response_p50_ms: f64,
    /// The same, 95th percentile.
    pub response_p95_ms: f64,
    /// The same, 99th percentile.
    pub response_p99_ms: f64,
    /// Milliseconds to the first token: streams that had one.
    pub first_token_p50_ms: f64,
    /// The same, 95th percentile.
    pub first_token_p95_ms: f64,
    /// Milliseconds for each further token of successful streams that were no cache hits, 95th percentile.
    pub token_p95_ms: f64,
    /// Mean milliseconds of wait for admission: requests that sought it and were not turned away.
    pub queue_mean_ms: f64,
    /// Tokens generated in that time, per second.
    pub tokens_per_second: f64,
    /// Share of requests that failed, 0 to 1: all that neither succeeded nor were turned away or given up.
    pub error_rate: f64,
    /// Share of requests turned away by admission, 0 to 1.
    pub rejected_rate: f64,
    /// Share of requests whose client went away, 0 to 1.
    pub given_up_rate: f64,
    /// Share of cacheable requests answered from the cache or by one under way, 0 to 1.
    pub cache_hit_rate: f64,
}

/// One step of a run, of the requests that were over in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Point {
    /// Seconds from the start to the step's end.
    pub at_s: f64,
    /// Requests that kept the objective, per second.
    pub goodput_per_second: f64,
    /// Share of requests that kept the objective; `None` where none ended.
    pub goodput: Option<f64>,
    /// Milliseconds, 95th percentile; `None` where there was no success.
    pub response_p95_ms: Option<f64>,
    /// Milliseconds, 95th percentile; `None` where there was no stream.
    pub first_token_p95_ms: Option<f64>,
    /// Generated tokens per second.
    pub tokens_per_second: f64,
    /// Share of requests that failed.
    pub error_rate: Option<f64>,
    /// Share of requests turned away.
    pub rejected_rate: Option<f64>,
    /// Share of cacheable requests that were hits.
    pub cache_hit_rate: Option<f64>,
    /// Requests under way at the step's end.
    pub in_flight: u64,
    /// Requests waiting for admission at the step's end.
    pub queued: u64,
}

/// Collects both.
#[derive(Debug)]
pub(crate) struct Recorder {
    objective: Objective,
    half: Moment,
    seconds: f64,
    whole: Sums,
    second_half: Sums,
    step_s: f64,
    step: Sums,
    step_ends_s: f64,
    points: Vec<Point>,
}

#[derive(Debug, Clone, Default)]
struct Sums {
    endings: [u64; Ending::COUNT],
    good: u64,
    hits: u64,
    misses: u64,
    tokens: u64,
    response: Histogram,
    first_token: Histogram,
    each_token: Histogram,
    queue: Histogram,
}

impl Recorder {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let seconds = scenario.duration_s;
        let step_s = ((seconds / MOST_POINTS / SHORTEST_STEP_S).ceil() * SHORTEST_STEP_S).max(SHORTEST_STEP_S);
        Self {
            objective: scenario.objective,
            half: Moment::from_seconds(seconds / 2.0),
            seconds,
            whole: Sums::default(),
            second_half: Sums::default(),
            step_s,
            step: Sums::default(),
            step_ends_s: step_s,
            points: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, end: &RequestEnd) {
        let is_good = end.is_good(&self.objective);
        self.whole.add(end, is_good);
        self.step.add(end, is_good);
        if end.arrived >= self.half {
            self.second_half.add(end, is_good);
        }
    }

    pub(crate) fn add_tokens(&mut self, now: Moment, tokens: u64) {
        self.whole.tokens += tokens;
        self.step.tokens += tokens;
        if now > self.half {
            self.second_half.tokens += tokens;
        }
    }

    /// Ends a step if it is time; once a simulated second.
    pub(crate) fn tick(&mut self, now: Moment, in_flight: usize, queued: usize) {
        if now.as_seconds() >= self.step_ends_s {
            let point =
                Point { in_flight: in_flight as u64, queued: queued as u64, ..self.step.point(now, self.step_s) };
            self.points.push(point);
            self.step = Sums::default();
            self.step_ends_s += self.step_s;
        }
    }

    /// Totals of the whole, of the second half, and the points.
    pub(crate) fn finish(self) -> (Totals, Totals, Vec<Point>) {
        let half_s = self.seconds - self.half.as_seconds();
        (self.whole.totals(self.seconds), self.second_half.totals(half_s), self.points)
    }
}

impl Sums {
    fn add(&mut self, end: &RequestEnd, is_good: bool) {
        self.endings[end.ending as usize] += 1;
        self.good += u64::from(is_good);
        match end.cache {
            CacheUse::Bypass => {}
            CacheUse::Miss => self.misses += 1,
            CacheUse::Hit | CacheUse::Shared => self.hits += 1,
        }
        if let Some(first_ms) = end.first_token_ms {
            self.first_token.add(first_ms);
        }
        if end.ending != Ending::Rejected && matches!(end.cache, CacheUse::Bypass | CacheUse::Miss) {
            self.queue.add(end.queue_ms);
        }
        if end.ending == Ending::Success {
            self.response.add(end.response_ms);
            if end.cache != CacheUse::Hit
                && let Some(token_ms) = end.token_ms()
            {
                self.each_token.add(token_ms);
            }
        }
    }

    fn requests(&self) -> u64 {
        self.endings.iter().sum()
    }

    fn failed(&self) -> u64 {
        let others = [Ending::Success, Ending::Rejected, Ending::Cancelled];
        self.requests() - others.iter().map(|ending| self.endings[*ending as usize]).sum::<u64>()
    }

    fn rejected(&self) -> u64 {
        self.endings[Ending::Rejected as usize]
    }

    fn totals(&self, seconds: f64) -> Totals {
        let requests = self.requests();
        let share = |part, whole| share(part, whole).unwrap_or(0.0);
        Totals {
            requests,
            endings: self.endings,
            good: self.good,
            goodput: share(self.good, requests),
            goodput_per_second: self.good as f64 / seconds,
            response_mean_ms: self.response.mean(),
            response_p50_ms: self.response.quantile(0.50),
            response_p95_ms: self.response.quantile(0.95),
            response_p99_ms: self.response.quantile(0.99),
            first_token_p50_ms: self.first_token.quantile(0.50),
            first_token_p95_ms: self.first_token.quantile(0.95),
            token_p95_ms: self.each_token.quantile(0.95),
            queue_mean_ms: self.queue.mean(),
            tokens_per_second: self.tokens as f64 / seconds,
            error_rate: share(self.failed(), requests),
            rejected_rate: share(self.rejected(), requests),
            given_up_rate: share(self.endings[Ending::Cancelled as usize], requests),
            cache_hit_rate: share(self.hits, self.hits + self.misses),
        }
    }

    fn point(&self, now: Moment, seconds: f64) -> Point {
        let requests = self.requests();
        let p95 = |histogram: &Histogram| (histogram.count() > 0).then(|| histogram.quantile(0.95));
        Point {
            at_s: now.as_seconds(),
            goodput_per_second: self.good as f64 / seconds,
            goodput: share(self.good, requests),
            response_p95_ms: p95(&self.response),
            first_token_p95_ms: p95(&self.first_token),
            tokens_per_second: self.tokens as f64 / seconds,
            error_rate: share(self.failed(), requests),
            rejected_rate: share(self.rejected(), requests),
            cache_hit_rate: share(self.hits, self.hits + self.misses),
            in_flight: 0,
            queued: 0,
        }
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn by_name<S: Serializer>(endings: &[u64; Ending::COUNT], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(Ending::ALL.map(|ending| (ending.name(), endings[ending as usize])))
}
