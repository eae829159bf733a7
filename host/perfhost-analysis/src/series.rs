//! What is analysed: the values of one metric in time. Owns which points count as measured well enough.

use serde::Serialize;

/// One value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    /// Unix time in milliseconds.
    pub at_ms: u64,
    /// The value, in the metric's unit.
    pub value: f64,
    /// Measurements that it sums up.
    pub count: u64,
}

/// Values in the order of time, all of them finite.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series(Vec<Point>);

impl Series {
    /// Points with at least `least_count` measurements behind them, in the order of time; of two at one moment the later
    /// given counts.
    pub fn new(points: impl IntoIterator<Item = Point>, least_count: u64) -> Self {
        let is_wanted = |point: &Point| point.value.is_finite() && point.count >= least_count;
        let mut points: Vec<Point> = points.into_iter().filter(is_wanted).collect();
        points.sort_by_key(|point| point.at_ms);
        points.reverse();
        points.dedup_by_key(|point| point.at_ms);
        points.reverse();
        Self(points)
    }

    /// The points.
    pub fn points(&self) -> &[Point] {
        &self.0
    }

    /// The values alone.
    pub fn values(&self) -> Vec<f64> {
        self.0.iter().map(|point| point.value).collect()
    }

    /// How many points there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Milliseconds from the first point to the last.
    pub fn span_ms(&self) -> u64 {
        match (self.0.first(), self.0.last()) {
            (Some(first), Some(last)) => last.at_ms - first.at_ms,
            _ => 0,
        }
    }

    /// At most `most` points: the medians of as many even groups of neighbours, at the middle of each.
    pub fn thinned(&self, most: usize) -> Series {
        if self.len() <= most || most == 0 {
            return self.clone();
        }
        let group = |number: usize| {
            let points = &self.0[number * self.len() / most..(number + 1) * self.len() / most];
            let values: Vec<f64> = points.iter().map(|point| point.value).collect();
            Point {
                at_ms: points[points.len() / 2].at_ms,
                value: crate::robust::median(&values).unwrap_or_default(),
                count: points.iter().map(|point| point.count).sum(),
            }
        };
        Series((0..most).map(group).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(at_ms: u64, value: f64, count: u64) -> Point {
        Point { at_ms, value, count }
    }

    #[test]
    fn points_are_in_order_and_well_measured() {
        let series = Series::new(
            [point(3, 3.0, 5), point(1, 1.0, 5), point(2, 2.0, 1), point(4, f64::NAN, 9), point(3, 9.0, 5)],
            2,
        );
        assert_eq!(series.points(), [point(1, 1.0, 5), point(3, 9.0, 5)]);
        assert_eq!(series.span_ms(), 2);
    }

    #[test]
    fn thinning_keeps_the_level_and_the_count() {
        let series = Series::new((0..1_000).map(|at| point(at, at as f64, 1)), 1);
        let thin = series.thinned(10);
        assert_eq!((thin.len(), thin.points().iter().map(|point| point.count).sum::<u64>()), (10, 1_000));
        assert_eq!(thin.points()[0].value, 49.5);
    }
}
