//! Percentiles of a sorted list.

/// The value at `share` (0 to 1) of sorted nanoseconds, in microseconds; 0 of an empty list.
pub(crate) fn at(sorted: &[u64], share: f64) -> f64 {
    let rank = (sorted.len().saturating_sub(1) as f64 * share) as usize;
    sorted.get(rank).map_or(0.0, |nanoseconds| *nanoseconds as f64 / 1_000.0)
}
