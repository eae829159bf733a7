//! Reading history: the tier that fits the step and reaches back far enough, its newest part filled in from finer tiers.

use std::collections::BTreeMap;

use perfhost_strategy::Scope;
use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};

use super::live::merge_stored;
use super::rollup::watermark;
use super::tier::{RAW, TIERS, floor};
use super::{ReadResult, StoreError, signed};
use crate::sketch::DDSketch;

/// Longest step; a longer one asked for counts as this. Three hundred years.
const LONGEST_STEP_MS: u64 = 1 << 43;

/// Points that one answer has at most.
pub const MOST_POINTS: u64 = 10_000;

/// What history to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryQuery {
    /// One of [`perfhost_strategy::observation::metric::ALL`], [`crate::Phase::METRICS`] or [`crate::Counter::METRICS`]; of the
    /// last, the `count` is what was counted and the rest says nothing.
    pub metric: String,
    /// A scope, or a strategy behind [`crate::window::STRATEGY_SCOPE_PREFIX`].
    pub scope: Scope,
    /// From the step that holds this Unix time, in milliseconds.
    pub from_ms: u64,
    /// Up to and without this Unix time, in milliseconds.
    pub to_ms: u64,
    /// Distance of the points. It is made longer, to a whole number of windows of the tier that is read: 10 s at least,
    /// and for a range that only a coarser tier reaches back to, that tier's.
    pub step_ms: u64,
}

/// The answer to a [`HistoryQuery`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Distance of the points, in milliseconds: the one that was asked for, or the longer one that it was made.
    pub step_ms: u64,
    /// In order; none where nothing was measured.
    pub points: Vec<HistoryPoint>,
}

/// The distribution over one step. For numbers per second and gauges, `count` is the seconds that were measured; for
/// everything else, the requests.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HistoryPoint {
    /// Beginning of the step, Unix time in milliseconds.
    pub at_ms: u64,
    /// Number of measurements, at least 1: a step in which nothing was measured has no point.
    pub count: u64,
    /// Arithmetic mean.
    pub mean: f64,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
    /// Median.
    pub p50: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
}

impl HistoryQuery {
    /// Whether the range and the number of points are allowed.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let (from_ms, to_ms) = (self.from_ms, self.to_ms);
        let range_ms = to_ms.checked_sub(from_ms).ok_or(StoreError::EmptyRange { from_ms, to_ms })?;
        let points = range_ms.div_ceil(self.step_ms.max(RAW.length_ms));
        if points > MOST_POINTS {
            let allowed_step_ms = range_ms.div_ceil(MOST_POINTS).next_multiple_of(RAW.length_ms);
            return Err(StoreError::TooManyPoints { points, most: MOST_POINTS, allowed_step_ms });
        }
        Ok(())
    }
}

/// Answers a query that was checked.
pub(super) fn read(connection: &Connection, query: &HistoryQuery) -> ReadResult<History> {
    let step_of = |window_ms: u64| query.step_ms.clamp(1, LONGEST_STEP_MS).next_multiple_of(window_ms);
    let Some(source) = Source::of(connection, query)? else {
        return Ok(History { step_ms: step_of(RAW.length_ms), points: Vec::new() });
    };
    let step_ms = step_of(source.length_ms());
    let mut steps: BTreeMap<u64, DDSketch> = BTreeMap::new();
    source.windows(connection, (floor(query.from_ms, step_ms), query.to_ms), |start_ms, bytes| {
        merge_stored(steps.entry(floor(start_ms, step_ms)).or_default(), bytes);
    })?;
    let measured = steps.iter().filter(|(_, sketch)| !sketch.is_empty());
    Ok(History { step_ms, points: measured.map(|(at_ms, sketch)| point(*at_ms, sketch)).collect() })
}

/// The whole range of a checked query in one. It begins with the window that holds its beginning, not with the step: what
/// was before the range is no part of it.
pub(super) fn merged(connection: &Connection, query: &HistoryQuery) -> ReadResult<DDSketch> {
    let mut whole = DDSketch::new();
    if let Some(source) = Source::of(connection, query)? {
        let from_ms = floor(query.from_ms, source.length_ms());
        source.windows(connection, (from_ms, query.to_ms), |_, bytes| merge_stored(&mut whole, bytes))?;
    }
    Ok(whole)
}

/// Every scope that history holds something of, strategies with their prefix, in order.
pub(super) fn scopes(connection: &Connection) -> ReadResult<Vec<Scope>> {
    let mut select = connection.prepare_cached("SELECT DISTINCT scope FROM series ORDER BY scope")?;
    let scopes = select.query_map([], |row| row.get::<_, String>(0))?;
    Ok(scopes.map(|scope| scope.map(|scope| Scope::parse(&scope))).collect::<Result<_, _>>()?)
}

/// The series of a query, and the tier that it is read from.
struct Source {
    series: i64,
    tier: usize,
}

impl Source {
    /// `None` where nothing was ever recorded.
    fn of(connection: &Connection, query: &HistoryQuery) -> ReadResult<Option<Self>> {
        let series: Option<i64> = connection
            .prepare_cached("SELECT id FROM series WHERE metric = ?1 AND scope = ?2")?
            .query_row([&query.metric, query.scope.as_str()], |row| row.get(0))
            .optional()?;
        let Some(series) = series else { return Ok(None) };
        Ok(Some(Self { series, tier: tier(connection, series, query)? }))
    }

    fn length_ms(&self) -> u64 {
        TIERS[self.tier].length_ms
    }

    /// Every window that begins in the range, with its beginning; what the tier does not have yet, from finer ones.
    fn windows(
        &self,
        connection: &Connection,
        (first_ms, to_ms): (u64, u64),
        mut add: impl FnMut(u64, &[u8]),
    ) -> ReadResult<()> {
        let mut from = first_ms;
        for number in (0..=self.tier).rev() {
            let until = match number {
                0 => to_ms,
                _ => watermark(connection, number)?.unwrap_or(0).min(to_ms),
            };
            if from < until {
                let mut select = connection.prepare_cached(
                    "SELECT start_ms, sketch FROM windows WHERE tier = ?1 AND series = ?2 AND start_ms >= ?3 AND start_ms < ?4",
                )?;
                let mut rows = select.query([number as i64, self.series, signed(from), signed(until)])?;
                while let Some(row) = rows.next()? {
                    add(row.get::<_, i64>(0)? as u64, row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?);
                }
                from = until;
            }
        }
        let mut select = connection.prepare_cached(
            "SELECT start_ms, sketch FROM live WHERE series = ?1 AND start_ms >= ?2 AND start_ms < ?3",
        )?;
        let mut rows = select.query([self.series, signed(first_ms), signed(to_ms)])?;
        while let Some(row) = rows.next()? {
            add(row.get::<_, i64>(0)? as u64, row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?);
        }
        Ok(())
    }
}

/// The coarsest tier that fits the step, or a coarser one where only that reaches back to the beginning.
fn tier(connection: &Connection, series: i64, query: &HistoryQuery) -> rusqlite::Result<usize> {
    let mut number = TIERS.iter().rposition(|tier| tier.length_ms <= query.step_ms).unwrap_or(0);
    let mut select = connection
        .prepare_cached("SELECT start_ms FROM windows WHERE tier = ?1 AND series = ?2 ORDER BY start_ms LIMIT 1")?;
    let mut oldest = |number: usize| -> rusqlite::Result<Option<u64>> {
        let found: Option<i64> = select.query_row([number as i64, series], |row| row.get(0)).optional()?;
        Ok(found.map(|start_ms| start_ms as u64))
    };
    let mut reaches_back_to = oldest(number)?;
    for (coarser, tier) in TIERS.iter().enumerate().skip(number + 1) {
        if reaches_back_to.is_some_and(|oldest_ms| oldest_ms <= query.from_ms) {
            break;
        }
        if let Some(older) = oldest(coarser)?
            && reaches_back_to.is_none_or(|finer| older + tier.length_ms <= finer)
            && older < query.to_ms
        {
            (number, reaches_back_to) = (coarser, Some(older));
        }
    }
    Ok(number)
}

fn point(at_ms: u64, sketch: &DDSketch) -> HistoryPoint {
    let summary = sketch.summary();
    HistoryPoint {
        at_ms,
        count: summary.count,
        mean: summary.mean,
        min: summary.min,
        max: summary.max,
        p50: summary.p50,
        p95: summary.p95,
        p99: summary.p99,
    }
}
