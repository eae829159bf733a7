//! Memory that grows: how fast, and whether it looks like a leak.
//!
//! A leak grows steadily, for long, and comes back never: the trend must be believed, in the whole series and in its later
//! half, and the lowest values of each third must rise. A cache that fills grows too, and then stops: its later half is flat.

use serde::Serialize;

use crate::series::Series;
use crate::trend::{Direction, trend};

/// Nothing is said before this much time.
pub const LEAST_SPAN_MS: u64 = 30 * 60_000;

/// Slower growth is no leak, in millions of bytes per hour.
pub const LEAST_MB_PER_HOUR: f64 = 1.0;

/// How memory develops.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Growth {
    /// Millions of bytes per hour, by the Theil–Sen line; 0 where no trend is believed.
    pub mb_per_hour: f64,
    /// Hours that were looked at.
    pub hours: f64,
    /// Bytes at the end of the line.
    pub level_bytes: f64,
    /// Whether it looks like a leak.
    pub is_leak: bool,
}

/// The growth of a series of bytes; `None` before [`LEAST_SPAN_MS`] or with too few points for a trend.
pub fn growth(series: &Series) -> Option<Growth> {
    if series.span_ms() < LEAST_SPAN_MS {
        return None;
    }
    let whole = trend(series)?;
    let is_growing = whole.z >= 3.29 && whole.slope_per_hour > 0.0;
    let mb_per_hour = if whole.z.abs() >= 3.29 { whole.slope_per_hour / 1e6 } else { 0.0 };
    let half = Series::new(series.points()[series.len() / 2..].iter().copied(), 0);
    let is_still_growing = trend(&half).is_some_and(|half| {
        half.z >= 3.29 && half.slope_per_hour >= whole.slope_per_hour / 2.0 && half.direction != Direction::Falling
    });
    let third = series.len() / 3;
    let lowest = |part: usize| {
        let values = series.points()[part * third..(part + 1) * third].iter().map(|point| point.value);
        values.fold(f64::INFINITY, f64::min)
    };
    let is_rising_throughout = lowest(0) < lowest(1) && lowest(1) < lowest(2);
    Some(Growth {
        mb_per_hour,
        hours: series.span_ms() as f64 / 3_600_000.0,
        level_bytes: whole.level,
        is_leak: is_growing && is_still_growing && is_rising_throughout && mb_per_hour >= LEAST_MB_PER_HOUR,
    })
}
