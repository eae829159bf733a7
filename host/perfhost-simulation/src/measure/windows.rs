//! The last minute as an observation shows it: the windows of the real host (perfhost-telemetry's `window`, `tally` and
//! `gauge`), with exact percentiles instead of sketched ones. Which request counts for what is stated there.
//!
//! Bounded by a minute of traffic and the number of scopes.

use std::collections::VecDeque;

use perfhost_strategy::Scope;
use perfhost_strategy::observation::{Metric, Summary, metric};

use crate::ending::{CacheUse, Ending, RequestEnd};

/// Lengths of the windows in every observation, in ticks of a second.
const WINDOWS: [u64; 3] = [10, 30, 60];
const LONGEST: u64 = 60;
/// Ticks after which a scope without traffic is forgotten.
const FORGOTTEN_AFTER: u64 = 120;

/// Milliseconds that the real host itself takes for a request: its overhead beside a bare proxy.
pub(crate) const OVERHEAD_MS: f64 = 0.1;

const TIMINGS: [&str; 6] = [
    metric::RESPONSE_TIME,
    metric::TIME_TO_FIRST_TOKEN,
    metric::TIME_PER_OUTPUT_TOKEN,
    metric::QUEUE_WAIT,
    metric::OVERHEAD,
    metric::UPSTREAM_TIME,
];

/// All windows.
#[derive(Debug)]
pub(crate) struct Windows {
    places: Vec<Place>,
    gauges: Vec<Gauge>,
    /// Ticks that are closed.
    ticks: u64,
}

/// What happened in one scope.
#[derive(Debug)]
struct Place {
    scope: Scope,
    /// By timing: the tick and the value.
    timings: [VecDeque<(u64, f64)>; TIMINGS.len()],
    /// The newest closed ticks, oldest first.
    counts: VecDeque<Counts>,
    open: Counts,
    is_touched: bool,
    last_touched: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    endings: [u64; Ending::COUNT],
    cache_misses: u64,
    cache_hits: u64,
    output_tokens: u64,
    prompt_tokens: u64,
}

#[derive(Debug)]
struct Gauge {
    name: &'static str,
    scope: Scope,
    samples: VecDeque<(u64, f64)>,
}

impl Windows {
    pub(crate) fn new(scopes: &[Scope]) -> Self {
        let place = |scope: &Scope| Place {
            scope: scope.clone(),
            timings: Default::default(),
            counts: VecDeque::new(),
            open: Counts::default(),
            is_touched: false,
            last_touched: None,
        };
        Self { places: scopes.iter().map(place).collect(), gauges: Vec::new(), ticks: 0 }
    }

    /// Counts a request that is over in these scopes, named by their numbers.
    pub(crate) fn add(&mut self, scopes: [Option<usize>; 3], end: &RequestEnd) {
        for scope in scopes.into_iter().flatten() {
            self.places[scope].add(self.ticks, end);
        }
    }

    /// Counts generated tokens.
    pub(crate) fn add_tokens(&mut self, scopes: [Option<usize>; 3], tokens: u64) {
        for scope in scopes.into_iter().flatten() {
            let place = &mut self.places[scope];
            place.open.output_tokens += tokens;
            place.is_touched = true;
        }
    }

    /// Samples a value; once a tick.
    pub(crate) fn gauge(&mut self, name: &'static str, scope: &Scope, value: f64) {
        let known = self.gauges.iter_mut().find(|gauge| gauge.name == name && gauge.scope == *scope);
        match known {
            Some(gauge) => gauge.samples.push_back((self.ticks, value)),
            None => self.gauges.push(Gauge { name, scope: scope.clone(), samples: [(self.ticks, value)].into() }),
        }
    }

    /// Ends a tick. Observations show closed ticks only.
    pub(crate) fn close(&mut self) {
        let oldest = (self.ticks + 1).saturating_sub(LONGEST);
        for place in &mut self.places {
            place.close(self.ticks, oldest);
        }
        for gauge in &mut self.gauges {
            drop_before(&mut gauge.samples, oldest);
        }
        self.ticks += 1;
    }

    /// Every metric over every window, in the order in which the real host lists them.
    pub(crate) fn observe(&self) -> Vec<Metric> {
        let mut by_window: [Vec<Metric>; WINDOWS.len()] = Default::default();
        let active = |place: &&Place| {
            place.scope.as_str().is_empty()
                || place.last_touched.is_some_and(|tick| tick + FORGOTTEN_AFTER >= self.ticks)
        };
        for place in self.places.iter().filter(active) {
            for (name, samples) in TIMINGS.into_iter().zip(&place.timings) {
                self.spread(&mut by_window, name, &place.scope, samples);
            }
            for (ticks, metrics) in WINDOWS.into_iter().zip(&mut by_window) {
                let skipped = place.counts.len().saturating_sub(ticks as usize);
                place.rates(ticks, skipped, metrics);
            }
        }
        for gauge in &self.gauges {
            self.spread(&mut by_window, gauge.name, &gauge.scope, &gauge.samples);
        }
        for metrics in &mut by_window {
            metrics.sort_by(|one, other| (&one.scope, &one.name).cmp(&(&other.scope, &other.name)));
        }
        by_window.into_iter().flatten().collect()
    }

    /// Adds a metric's distribution to every window that has any of it.
    fn spread(
        &self,
        by_window: &mut [Vec<Metric>; WINDOWS.len()],
        name: &str,
        scope: &Scope,
        samples: &VecDeque<(u64, f64)>,
    ) {
        let mut ordered: Vec<(f64, u64)> = samples.iter().map(|(tick, value)| (*value, *tick)).collect();
        ordered.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
        for (ticks, metrics) in WINDOWS.into_iter().zip(by_window) {
            let first = self.ticks.saturating_sub(ticks);
            let within = ordered.iter().filter(|(_, tick)| *tick >= first);
            let values: Vec<f64> = within.map(|(value, _)| *value).collect();
            if let Some(summary) = spread(&values) {
                metrics.push(entry(name, scope, ticks, summary));
            }
        }
    }
}

impl Place {
    fn add(&mut self, tick: u64, end: &RequestEnd) {
        self.is_touched = true;
        self.open.endings[end.ending as usize] += 1;
        if end.ending == Ending::ClientError {
            return;
        }
        match end.cache {
            CacheUse::Bypass => {}
            CacheUse::Miss => self.open.cache_misses += 1,
            CacheUse::Hit | CacheUse::Shared => self.open.cache_hits += 1,
        }
        let [response, first_token, each_token, queue, overhead, upstream] = &mut self.timings;
        let is_success = end.ending == Ending::Success;
        if is_success {
            response.push_back((tick, end.response_ms));
            overhead.push_back((tick, OVERHEAD_MS));
        }
        if matches!(end.cache, CacheUse::Bypass | CacheUse::Miss) && end.ending != Ending::Rejected {
            queue.push_back((tick, end.queue_ms));
            self.open.prompt_tokens += u64::from(end.prompt_tokens);
            if is_success {
                upstream.push_back((tick, end.upstream_ms));
            }
        }
        if let Some(first_ms) = end.first_token_ms {
            first_token.push_back((tick, first_ms));
        }
        if is_success
            && end.cache != CacheUse::Hit
            && let Some(token_ms) = end.token_ms()
        {
            each_token.push_back((tick, token_ms));
        }
    }

    fn close(&mut self, tick: u64, oldest: u64) {
        if std::mem::take(&mut self.is_touched) {
            self.last_touched = Some(tick);
        }
        self.counts.push_back(std::mem::take(&mut self.open));
        if self.counts.len() > LONGEST as usize {
            self.counts.pop_front();
        }
        self.timings.iter_mut().for_each(|samples| drop_before(samples, oldest));
    }

    /// Adds the rates of the ticks from `skipped` on: numbers per second always, shares of requests where there were any.
    fn rates(&self, ticks: u64, skipped: usize, metrics: &mut Vec<Metric>) {
        for rate in RATES {
            let mut total = (0, 0);
            let mut values = Vec::with_capacity(ticks as usize);
            for counts in self.counts.iter().skip(skipped) {
                let (events, requests) = (rate.of)(counts);
                total = (total.0 + events, total.1 + requests);
                match rate.is_per_second {
                    true => values.push(events as f64),
                    false if requests > 0 => values.push(events as f64 / requests as f64),
                    false => {}
                }
            }
            // Tokens come before their request is over.
            let count = if rate.is_per_second { total.1.max(u64::from(total.0 > 0)) } else { total.1 };
            let seconds = self.counts.len().saturating_sub(skipped);
            let of = if rate.is_per_second { seconds as f64 } else { total.1 as f64 };
            values.sort_unstable_by(f64::total_cmp);
            let summary = spread(&values).filter(|_| count > 0).map(|spread| Summary {
                count,
                mean: total.0 as f64 / of,
                ..spread
            });
            if summary.is_some() || rate.is_per_second {
                metrics.push(entry(rate.name, &self.scope, ticks, summary.unwrap_or_default()));
            }
        }
    }
}

/// A rate: events, and the requests that it is about.
struct Rate {
    name: &'static str,
    is_per_second: bool,
    of: fn(&Counts) -> (u64, u64),
}

const RATES: [Rate; 6] = [
    Rate {
        name: metric::REQUESTS_PER_SECOND,
        is_per_second: true,
        of: |counts| (counts.of(Ending::is_finished), counts.of(Ending::is_finished)),
    },
    Rate {
        name: metric::TOKENS_PER_SECOND,
        is_per_second: true,
        of: |counts| (counts.output_tokens, counts.of(Ending::is_finished)),
    },
    Rate {
        name: metric::PROMPT_TOKENS_PER_SECOND,
        is_per_second: true,
        of: |counts| (counts.prompt_tokens, counts.of(Ending::is_finished)),
    },
    Rate {
        name: metric::ERROR_RATE,
        is_per_second: false,
        of: |counts| (counts.of(Ending::is_error), counts.of(Ending::is_finished)),
    },
    Rate {
        name: metric::REJECTED_RATE,
        is_per_second: false,
        of: |counts| (counts.endings[Ending::Rejected as usize], counts.of(|ending| ending != Ending::ClientError)),
    },
    Rate {
        name: metric::CACHE_HIT_RATE,
        is_per_second: false,
        of: |counts| (counts.cache_hits, counts.cache_hits + counts.cache_misses),
    },
];

impl Counts {
    fn of(&self, is_wanted: impl Fn(Ending) -> bool) -> u64 {
        let wanted = Ending::ALL.into_iter().filter(|ending| is_wanted(*ending));
        wanted.map(|ending| self.endings[ending as usize]).sum()
    }
}

fn entry(name: &str, scope: &Scope, ticks: u64, summary: Summary) -> Metric {
    let unit = metric::ALL.iter().find(|info| info.name == name).map_or("", |info| info.unit);
    Metric {
        name: name.to_owned(),
        scope: scope.clone(),
        unit: unit.to_owned(),
        window_ms: ticks as u32 * 1_000,
        summary,
    }
}

/// Exact numbers of values in order; `None` of none. Quantiles are those at rank `floor(q * (count - 1))`.
fn spread(ordered: &[f64]) -> Option<Summary> {
    let (min, max) = (*ordered.first()?, *ordered.last()?);
    let at = |q: f64| ordered[(q * (ordered.len() - 1) as f64) as usize];
    let mean = ordered.iter().sum::<f64>() / ordered.len() as f64;
    Some(Summary { count: ordered.len() as u64, mean, min, max, p50: at(0.50), p95: at(0.95), p99: at(0.99) })
}

fn drop_before(samples: &mut VecDeque<(u64, f64)>, oldest: u64) {
    while samples.front().is_some_and(|(tick, _)| *tick < oldest) {
        samples.pop_front();
    }
}
