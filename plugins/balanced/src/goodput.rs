//! Goodput from windows: the share of requests that kept a limit, read off a distribution's known points.

use strategy_kit::types::Summary;

/// Share (0 to 1) of measurements at or under `limit`: between the smallest, the percentiles and the largest, which are
/// known, the share is taken to grow evenly.
pub fn share_within(summary: &Summary, limit: f64) -> f64 {
    let points = [(summary.min, 0.0), (summary.p50, 0.5), (summary.p95, 0.95), (summary.p99, 0.99), (summary.max, 1.0)];
    if limit >= summary.max {
        return 1.0;
    }
    let Some(above) = points.iter().position(|(value, _)| *value > limit) else { return 1.0 };
    if above == 0 {
        return 0.0;
    }
    let ((low, less), (high, more)) = (points[above - 1], points[above]);
    less + (more - less) * ((limit - low) / (high - low)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_follow_the_percentiles() {
        let summary = Summary { count: 100, mean: 60.0, min: 10.0, max: 200.0, p50: 50.0, p95: 150.0, p99: 190.0 };
        for (limit, share) in [(5.0, 0.0), (30.0, 0.25), (50.0, 0.5), (100.0, 0.725), (150.0, 0.95), (500.0, 1.0)] {
            assert!((share_within(&summary, limit) - share).abs() < 1e-9, "{limit}");
        }
        let flat = Summary { count: 3, mean: 7.0, min: 7.0, max: 7.0, p50: 7.0, p95: 7.0, p99: 7.0 };
        assert_eq!((share_within(&flat, 6.9), share_within(&flat, 7.0)), (0.0, 1.0));
    }
}
