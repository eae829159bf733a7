//! What history says of a range: distributions, series, and the figures that targets are about. Reads the store, so on the
//! blocking pool only.

use std::time::Duration;

use perfhost_analysis::bottleneck::PhaseTime;
use perfhost_analysis::growth::growth;
use perfhost_analysis::kpi::Figures;
use perfhost_analysis::{Point, Series};
use perfhost_strategy::Scope;
use perfhost_strategy::decision::Decision;
use perfhost_strategy::observation::metric;
use perfhost_telemetry::sketch::DDSketch;
use perfhost_telemetry::store::MOST_DECISIONS;
use perfhost_telemetry::{Counter, DecisionQuery, History, HistoryPoint, HistoryQuery, Phase, Store, StoreError};
use serde_json::{Value, json};

use super::query::Query;
use super::reply::Trouble;

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// Requests below which figures of requests say nothing.
pub(crate) const LEAST_REQUESTS: u64 = 20;

/// Windows that a distribution is merged from, about: how exactly the beginning of a range is met.
const PARTS: u64 = 60;

/// Points of a series, about.
pub(crate) const POINTS: u64 = 288;

const SHORTEST_STEP_MS: u64 = 10_000;

/// Numbers per second. They are recorded second by second, so the sum is the number.
const PER_SECOND: [&str; 3] =
    [metric::REQUESTS_PER_SECOND, metric::TOKENS_PER_SECOND, metric::PROMPT_TOKENS_PER_SECOND];

/// Boundaries of the histogram of response times, in milliseconds.
const HISTOGRAM_MS: [f64; 6] = [0.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0];

/// A stretch of time and where.
#[derive(Debug, Clone)]
pub(crate) struct Range {
    pub(crate) from_ms: u64,
    pub(crate) to_ms: u64,
    pub(crate) scope: Scope,
}

impl Range {
    /// `from`, `to` and `scope` of a question; as long as `usual` where no beginning is given.
    pub(crate) fn of(query: &Query, now_ms: u64, usual: Duration) -> Result<Self, Trouble> {
        let to_ms = query.moment("to", now_ms)?.unwrap_or(now_ms);
        let usual_ms = usual.as_millis() as u64;
        let from_ms = query.moment("from", now_ms)?.unwrap_or_else(|| to_ms.saturating_sub(usual_ms));
        if from_ms >= to_ms {
            return Err(Trouble::invalid("from must be before to"));
        }
        let scope = Scope::parse(query.text("scope").unwrap_or_default());
        Ok(Self { from_ms, to_ms, scope })
    }

    /// As long, and before it.
    pub(crate) fn before(&self) -> Self {
        let length_ms = self.length_ms();
        Self { from_ms: self.from_ms.saturating_sub(length_ms), to_ms: self.from_ms, scope: self.scope.clone() }
    }

    pub(crate) fn at(&self, scope: &Scope) -> Self {
        Self { scope: scope.clone(), ..self.clone() }
    }

    pub(crate) fn length_ms(&self) -> u64 {
        self.to_ms - self.from_ms
    }

    /// A step that makes about so many points.
    pub(crate) fn step_ms(&self, points: u64) -> u64 {
        self.length_ms().div_ceil(points).next_multiple_of(SHORTEST_STEP_MS)
    }
}

/// History, asked about one range.
pub(crate) struct Recorded<'a> {
    pub(crate) store: &'a Store,
    pub(crate) range: Range,
}

impl<'a> Recorded<'a> {
    pub(crate) fn new(store: &'a Store, range: Range) -> Self {
        Self { store, range }
    }

    pub(crate) fn at(&self, scope: &Scope) -> Self {
        Self { store: self.store, range: self.range.at(scope) }
    }

    fn query(&self, metric: &str, points: u64) -> HistoryQuery {
        HistoryQuery {
            metric: metric.to_owned(),
            scope: self.range.scope.clone(),
            from_ms: self.range.from_ms,
            to_ms: self.range.to_ms,
            step_ms: self.range.step_ms(points),
        }
    }

    /// The distribution over the whole range.
    pub(crate) fn distribution(&self, metric: &str) -> Result<DDSketch, StoreError> {
        self.store.distribution(&self.query(metric, PARTS))
    }

    /// The distribution over the whole range in the API's form. A number per second is measured only while its scope is in
    /// use, so its mean is the sum over the seconds of the range.
    pub(crate) fn summary(&self, metric: &str) -> Result<Value, StoreError> {
        let whole = self.distribution(metric)?;
        let mut summary = summary(&whole);
        if PER_SECOND.contains(&metric) && !whole.is_empty() {
            summary["mean"] = json!(whole.sum() / (self.range.length_ms() as f64 / 1_000.0));
        }
        Ok(summary)
    }

    /// The mean over the whole range; `None` where fewer than `least` were measured.
    pub(crate) fn mean(&self, metric: &str, least: u64) -> Result<Option<f64>, StoreError> {
        let whole = self.distribution(metric)?;
        Ok((whole.count() >= least).then(|| whole.mean()))
    }

    /// About [`POINTS`] points.
    pub(crate) fn history(&self, metric: &str) -> Result<History, StoreError> {
        self.store.history(&self.query(metric, POINTS))
    }

    /// A value of each step, where `least` were measured.
    pub(crate) fn series(
        &self,
        metric: &str,
        value: impl Fn(&HistoryPoint) -> f64,
        least: u64,
    ) -> Result<Series, StoreError> {
        let points = self.history(metric)?.points;
        let points = points.iter().map(|point| Point { at_ms: point.at_ms, value: value(point), count: point.count });
        Ok(Series::new(points, least))
    }

    /// Hands over every decision of the range, newest first, a page at a time. `false` where the log does not reach back to
    /// the range's beginning: it keeps [`MOST_DECISIONS`].
    pub(crate) fn each_decision(&self, mut each: impl FnMut(&Decision)) -> Result<bool, StoreError> {
        let mut oldest_id = None;
        let mut seen = 0;
        while seen < MOST_DECISIONS {
            let page = self.store.decisions(&DecisionQuery { before_id: oldest_id, ..DecisionQuery::default() })?;
            let Some(oldest) = page.last() else { break };
            let in_range = |one: &&Decision| (self.range.from_ms..self.range.to_ms).contains(&one.at_ms);
            page.iter().filter(in_range).for_each(&mut each);
            if oldest.at_ms < self.range.from_ms {
                return Ok(true);
            }
            oldest_id = Some(oldest.id);
            seen += page.len() as u64;
        }
        Ok(oldest_id.is_none_or(|first| first <= 1))
    }

    /// Mean time of each phase of successful requests, and how many there were.
    pub(crate) fn phases(&self) -> Result<(Vec<PhaseTime>, u64), StoreError> {
        let mut requests = 0;
        let mut phases = Vec::with_capacity(Phase::COUNT);
        for (phase, metric) in Phase::ALL.into_iter().zip(Phase::METRICS) {
            let whole = self.distribution(metric)?;
            requests = requests.max(whole.count());
            if whole.count() > 0 {
                phases.push(PhaseTime { phase: phase.name(), mean_ms: whole.mean() });
            }
        }
        Ok((phases, requests))
    }

    /// What targets are about.
    pub(crate) fn figures(&self) -> Result<Figures, StoreError> {
        let response_time = self.distribution(metric::RESPONSE_TIME)?;
        let is_enough = response_time.count() >= LEAST_REQUESTS;
        let in_flight = self.mean(metric::IN_FLIGHT, 10)?;
        let is_in_demand = in_flight.is_some_and(|in_flight| in_flight >= 1.0);
        let rate = self.mean(metric::REQUESTS_PER_SECOND, 10)?;
        let cpu = self.at(&Scope::global()).mean(metric::PROCESS_CPU, 10)?;
        let memory = self.at(&Scope::global()).series(metric::PROCESS_MEMORY, |point| point.mean, 1)?;
        Ok(Figures {
            requests: response_time.count(),
            response_time_p95_ms: is_enough.then(|| response_time.quantile(0.95)),
            response_time_mean_ms: is_enough.then(|| response_time.mean()),
            cpu_percent_per_response: cpu
                .zip(in_flight)
                .filter(|_| is_enough)
                .map(|(cpu, in_flight)| cpu * 100.0 / in_flight.max(1.0)),
            cache_hit_rate: self.mean(metric::CACHE_HIT_RATE, LEAST_REQUESTS)?,
            error_rate: self.mean(metric::ERROR_RATE, LEAST_REQUESTS)?,
            requests_per_minute: rate.filter(|_| is_in_demand).map(|rate| rate * 60.0),
            memory_mb_per_hour: growth(&memory).map(|growth| growth.mb_per_hour),
        })
    }
}

/// The step of several series that are shown on one axis of time.
pub(crate) fn longest_step_ms<'a>(all: impl IntoIterator<Item = &'a History>) -> u64 {
    all.into_iter().map(|history| history.step_ms).max().unwrap_or(SHORTEST_STEP_MS)
}

/// A distribution in the API's form; `null` where nothing was measured.
pub(crate) fn summary(whole: &DDSketch) -> Value {
    if whole.is_empty() {
        return Value::Null;
    }
    let summary = whole.summary();
    json!({
        "count": summary.count, "mean": summary.mean, "min": summary.min, "max": summary.max,
        "p50": summary.p50, "p95": summary.p95, "p99": summary.p99,
    })
}

/// How many response times lie in each bucket; the last has no upper bound.
pub(crate) fn histogram(response_time: &DDSketch) -> Value {
    let upper = |at: usize| HISTOGRAM_MS.get(at + 1).copied();
    let count = |at: usize| {
        let below = if at == 0 { 0 } else { response_time.count_up_to(HISTOGRAM_MS[at]) };
        upper(at).map_or(response_time.count(), |bound| response_time.count_up_to(bound)) - below
    };
    let bucket = |at: usize| json!({ "from_ms": HISTOGRAM_MS[at], "to_ms": upper(at), "count": count(at) });
    (0..HISTOGRAM_MS.len()).map(bucket).collect()
}

/// Names of all that history keeps: what strategies see too, phases, and counters.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    metric::ALL.iter().map(|metric| metric.name).chain(Phase::METRICS).chain(Counter::METRICS)
}

/// A metric's unit; phases are in milliseconds.
pub(crate) fn unit(name: &str) -> &'static str {
    let known = metric::ALL.iter().find(|metric| metric.name == name).map(|metric| metric.unit);
    known.or_else(|| Counter::by_metric(name).map(Counter::unit)).unwrap_or("ms")
}

/// Scopes of models, with provider and model.
pub(crate) fn models(store: &Store) -> Result<Vec<(Scope, String, String)>, StoreError> {
    let scopes = store.scopes()?.into_iter().filter_map(|scope| {
        let (provider, model) = scope.as_str().split_once('/')?;
        let is_strategy = provider.starts_with(perfhost_telemetry::window::STRATEGY_SCOPE_PREFIX);
        let (provider, model) = (provider.to_owned(), model.to_owned());
        (!is_strategy).then_some((scope, provider, model))
    });
    Ok(scopes.collect())
}

/// Strategies that history knows, with the scopes of what they planned.
pub(crate) fn strategies(store: &Store) -> Result<Vec<(Scope, String)>, StoreError> {
    let scopes = store.scopes()?.into_iter().filter_map(|scope| {
        let name = scope.as_str().strip_prefix(perfhost_telemetry::window::STRATEGY_SCOPE_PREFIX)?.to_owned();
        Some((scope, name))
    });
    Ok(scopes.collect())
}
