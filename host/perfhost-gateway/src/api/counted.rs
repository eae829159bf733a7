//! What history counts over a range: requests by what they came to, and what the cache did and saved. Reads the store, so
//! on the blocking pool only.

use perfhost_strategy::observation::metric;
use perfhost_telemetry::{Counter, RequestOutcome, StoreError};
use serde::Serialize;

use super::recorded::{Recorded, models};

/// Requests that came to one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Outcome {
    /// [`RequestOutcome::cause`], or [`UNKNOWN`].
    pub(crate) outcome: &'static str,
    pub(crate) count: u64,
}

/// Errors of which only their number is in history, because a version that wrote no causes recorded them.
const UNKNOWN: &str = "unknown";

/// What the cache did and saved.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct CacheFigures {
    /// Requests that could have been answered from the cache.
    pub(crate) lookups: u64,
    /// Those that were.
    pub(crate) hits: u64,
    /// Those that an equal request under way answered.
    pub(crate) shared: u64,
    /// The rest.
    pub(crate) misses: u64,
    /// Share of hits and shared ones; `None` without lookups.
    pub(crate) hit_rate: Option<f64>,
    /// Of hits and shared ones.
    pub(crate) prompt_tokens_saved: u64,
    /// Of hits and shared ones.
    pub(crate) output_tokens_saved: u64,
    /// Time that making them had taken, of hits.
    pub(crate) time_saved_ms: u64,
}

/// The same of one model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ModelFigures {
    /// `provider/model`.
    pub(crate) model: String,
    #[serde(flatten)]
    pub(crate) figures: CacheFigures,
}

impl Recorded<'_> {
    /// How many of something there were.
    pub(crate) fn counted(&self, counter: Counter) -> Result<u64, StoreError> {
        Ok(self.distribution(counter.metric())?.count())
    }

    /// Requests by what they came to, in the order of [`RequestOutcome::ALL`], all of them.
    pub(crate) fn outcomes(&self) -> Result<Vec<Outcome>, StoreError> {
        let mut all = Vec::with_capacity(RequestOutcome::COUNT + 1);
        let mut errors = 0;
        for outcome in RequestOutcome::ALL {
            let count = match Counter::of_outcome(outcome) {
                Some(counter) => self.counted(counter)?,
                // Every success has its response time.
                None => self.distribution(metric::RESPONSE_TIME)?.count(),
            };
            errors += if outcome.is_error() { count } else { 0 };
            all.push(Outcome { outcome: outcome.cause(), count });
        }
        // A rate's sum is the number of its events, but for rounding.
        let recorded = self.distribution(metric::ERROR_RATE)?.sum().round() as u64;
        if recorded > errors {
            all.push(Outcome { outcome: UNKNOWN, count: recorded - errors });
        }
        Ok(all)
    }

    /// What the cache did and saved.
    pub(crate) fn cache_figures(&self) -> Result<CacheFigures, StoreError> {
        let rate = self.distribution(metric::CACHE_HIT_RATE)?;
        let answered = rate.sum().round() as u64;
        let shared = self.counted(Counter::CacheShared)?;
        Ok(CacheFigures {
            lookups: rate.count(),
            hits: answered.saturating_sub(shared),
            shared,
            misses: rate.count().saturating_sub(answered),
            hit_rate: (!rate.is_empty()).then(|| rate.mean()),
            prompt_tokens_saved: self.counted(Counter::PromptTokensSaved)?,
            output_tokens_saved: self.counted(Counter::OutputTokensSaved)?,
            time_saved_ms: self.counted(Counter::TimeSaved)? / 1_000,
        })
    }

    /// The same of every model that the cache was asked for, most hits first.
    pub(crate) fn cache_by_model(&self) -> Result<Vec<ModelFigures>, StoreError> {
        let mut all = Vec::new();
        for (scope, ..) in models(self.store)? {
            let figures = self.at(&scope).cache_figures()?;
            if figures.lookups > 0 {
                all.push(ModelFigures { model: scope.as_str().to_owned(), figures });
            }
        }
        all.sort_by(|a, b| (b.figures.hits, &a.model).cmp(&(a.figures.hits, &b.model)));
        Ok(all)
    }
}
