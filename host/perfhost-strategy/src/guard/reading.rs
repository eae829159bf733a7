//! What the guard reads from an observation: one window's load, traffic and guardrail metrics in one scope.

use super::GuardPolicy;
use crate::observation::{Metric, Summary, metric};
use crate::{Observation, Scope};

/// Metrics of the requests that a provider or model answered.
const OF_REQUESTS: [&str; 8] = [
    metric::RESPONSE_TIME,
    metric::TIME_TO_FIRST_TOKEN,
    metric::TIME_PER_OUTPUT_TOKEN,
    metric::UPSTREAM_TIME,
    metric::REQUESTS_PER_SECOND,
    metric::TOKENS_PER_SECOND,
    metric::PROMPT_TOKENS_PER_SECOND,
    metric::ERROR_RATE,
];

/// One window of one scope.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reading {
    /// Its length.
    pub(super) window_ms: u32,
    /// Requests that finished in it, failed ones included.
    pub(super) requests: u64,
    /// Mean number of requests under way and waiting; `None` where it was not measured.
    pub(super) load: Option<f64>,
    /// The metrics asked for that were measured, with finite numbers only.
    values: Vec<(String, Summary)>,
}

impl Reading {
    /// Reads the best window of at most `fits_ms`: the shortest one of at least `policy.measure_ms` with enough
    /// requests, else the longest that fits. Short windows are preferred because they show the present load; a longer
    /// one may reach back to a time with another. `None` when no window fits.
    pub(super) fn take(
        policy: &GuardPolicy,
        seen: &Observation,
        scope: &Scope,
        fits_ms: u64,
        expected: Option<&str>,
    ) -> Option<Self> {
        let fitting: Vec<u32> = windows(seen).into_iter().filter(|window| u64::from(*window) <= fits_ms).collect();
        let has_enough = |window: &&u32| {
            u64::from(**window) >= policy.measure_ms && requests(seen, scope, **window) >= policy.minimum_count
        };
        let window_ms = *fitting.iter().find(has_enough).or(fitting.last())?;
        let guardrails = policy.guardrails.iter().map(|guardrail| guardrail.metric.as_str());
        let names = guardrails.chain([metric::RESPONSE_TIME, metric::REQUESTS_PER_SECOND]).chain(expected);
        let mut values: Vec<(String, Summary)> = Vec::new();
        for name in names {
            if let Some(summary) = find(seen, name, scope, window_ms)
                && !values.iter().any(|(known, _)| known == name)
            {
                values.push((name.to_owned(), *summary));
            }
        }
        let mean =
            |name| find(seen, name, scope, window_ms).filter(|summary| summary.count > 0).map(|summary| summary.mean);
        let in_flight = mean(metric::IN_FLIGHT);
        Some(Self {
            window_ms,
            requests: requests(seen, scope, window_ms),
            // A lower concurrency limit moves requests from one to the other; the sum is what clients ask for.
            load: in_flight.map(|in_flight| in_flight + mean(metric::QUEUE_LENGTH).unwrap_or(0.0)),
            values,
        })
    }

    /// A metric of this window.
    pub(super) fn value(&self, name: &str) -> Option<&Summary> {
        self.values.iter().find(|(known, _)| known == name).map(|(_, summary)| summary)
    }
}

/// The lengths of window that the observation offers, ascending.
pub(super) fn windows(seen: &Observation) -> Vec<u32> {
    let mut windows: Vec<u32> = seen.metrics.iter().map(|metric| metric.window_ms).collect();
    windows.sort_unstable();
    windows.dedup();
    windows
}

/// Most requests that finished in any window: evidence that there is traffic to judge by.
pub(super) fn most_requests(seen: &Observation, scope: &Scope) -> u64 {
    windows(seen).into_iter().map(|window| requests(seen, scope, window)).max().unwrap_or(0)
}

fn requests(seen: &Observation, scope: &Scope, window_ms: u32) -> u64 {
    let count = |name| find(seen, name, scope, window_ms).map_or(0, |summary| summary.count);
    count(metric::RESPONSE_TIME).max(count(metric::ERROR_RATE))
}

/// The metric in that scope. What is not measured of single requests is else read in the provider's scope or on the whole
/// host: rejections, for one, happen before a provider is chosen. Other providers' requests are no evidence.
fn find<'a>(seen: &'a Observation, name: &str, scope: &Scope, window_ms: u32) -> Option<&'a Summary> {
    let is_in = |metric: &&Metric, scope: &Scope| {
        metric.window_ms == window_ms && metric.name == name && metric.scope == *scope && is_finite(&metric.summary)
    };
    let find_in = |scope: &Scope| seen.metrics.iter().find(|metric| is_in(metric, scope)).map(|metric| &metric.summary);
    let found = find_in(scope);
    if found.is_some() || OF_REQUESTS.contains(&name) {
        return found;
    }
    let provider = scope.provider_name().map(Scope::provider);
    provider.and_then(|provider| find_in(&provider)).or_else(|| find_in(&Scope::global()))
}

fn is_finite(summary: &Summary) -> bool {
    [summary.mean, summary.p50, summary.p95].iter().all(|number| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, scope: &str, window_ms: u32, count: u64, mean: f64) -> Metric {
        let summary = Summary { count, mean, p50: mean, p95: mean, ..Summary::default() };
        Metric { name: name.to_owned(), scope: Scope::parse(scope), unit: String::new(), window_ms, summary }
    }

    fn take(metrics: Vec<Metric>, fits_ms: u64) -> Option<Reading> {
        let seen = Observation { metrics, ..Observation::default() };
        Reading::take(&GuardPolicy::default(), &seen, &Scope::provider("local"), fits_ms, Some(metric::CPU_USAGE))
    }

    #[test]
    fn a_longer_window_is_read_only_when_it_fits_and_the_usual_one_has_too_few() {
        let metrics = |short, long| {
            let name = metric::RESPONSE_TIME;
            vec![entry(name, "local", 10_000, short, 1.0), entry(name, "local", 60_000, long, 1.0)]
        };
        let window = |short, long, fits_ms| take(metrics(short, long), fits_ms).map(|reading| reading.window_ms);
        assert_eq!(window(9, 50, 60_000), Some(10_000));
        assert_eq!(window(2, 50, 60_000), Some(60_000));
        assert_eq!(window(2, 50, 59_999), Some(10_000));
        assert_eq!(window(2, 50, 9_999), None);
    }

    #[test]
    fn what_is_measured_only_on_the_host_is_read_there_but_never_others_requests() {
        let metrics = vec![
            entry(metric::REJECTED_RATE, "", 10_000, 10, 0.25),
            entry(metric::IN_FLIGHT, "", 10_000, 10, 4.0),
            entry(metric::IN_FLIGHT, "local", 10_000, 10, 3.0),
            entry(metric::QUEUE_LENGTH, "", 10_000, 10, 2.0),
            entry(metric::CPU_USAGE, "", 10_000, 10, 0.5),
            entry(metric::RESPONSE_TIME, "", 10_000, 10, 900.0),
        ];
        let reading = take(metrics, 10_000).unwrap();
        assert_eq!((reading.requests, reading.value(metric::RESPONSE_TIME)), (0, None));
        assert_eq!(reading.load, Some(5.0));
        assert_eq!(reading.value(metric::REJECTED_RATE).map(|summary| summary.mean), Some(0.25));
        assert_eq!(reading.value(metric::CPU_USAGE).map(|summary| summary.mean), Some(0.5));
    }

    #[test]
    fn a_number_that_is_not_finite_was_not_measured() {
        let reading = take(vec![entry(metric::ERROR_RATE, "local", 10_000, 9, f64::NAN)], 10_000).unwrap();
        assert_eq!((reading.requests, reading.value(metric::ERROR_RATE)), (0, None));
    }
}
