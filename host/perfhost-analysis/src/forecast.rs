//! When a series will reach a limit, if it goes on as it does.

use serde::Serialize;

use crate::series::Series;
use crate::trend::{Direction, Trend, trend};

/// Nothing is said of what lies farther ahead than this many times the span that was seen.
const FARTHEST: f64 = 10.0;

const HOUR_MS: f64 = 3_600_000.0;

/// The way to a limit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Forecast {
    /// The limit.
    pub limit: f64,
    /// When the trend's line reaches it, Unix time in milliseconds.
    pub reached_at_ms: u64,
    /// Hours from the last point until then.
    pub hours_left: f64,
    /// The line.
    pub trend: Trend,
}

/// When a rising series reaches `limit` from below, or a falling one from above. `None` without a believed trend towards
/// it, and when it lies more than ten times as far ahead as the series reaches back.
pub fn forecast(series: &Series, limit: f64) -> Option<Forecast> {
    let trend = trend(series)?;
    let is_ahead = match trend.direction {
        Direction::Rising => trend.level < limit,
        Direction::Falling => trend.level > limit,
        Direction::Steady => false,
    };
    if !is_ahead {
        return None;
    }
    let hours_left = (limit - trend.level) / trend.slope_per_hour;
    let seen_hours = series.span_ms() as f64 / HOUR_MS;
    let last = series.points().last()?;
    (hours_left <= FARTHEST * seen_hours).then(|| Forecast {
        limit,
        reached_at_ms: last.at_ms + (hours_left * HOUR_MS) as u64,
        hours_left,
        trend,
    })
}

/// The line's value `hours` after the last point, not below 0.
pub fn projected(trend: &Trend, hours: f64) -> f64 {
    match trend.direction {
        Direction::Steady => trend.level.max(0.0),
        _ => (trend.level + trend.slope_per_hour * hours).max(0.0),
    }
}
