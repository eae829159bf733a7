//! A past that never was: what strategies on trial are told when they ask the contract's `history`. It follows from the
//! question alone, so that equal instances are told the same.

use perfhost_wasm::{History, HistoryPoint};

/// Points in one answer, as the contract promises.
const MOST_POINTS: u64 = 1_000;

/// Every other metric and scope was measured, with gaps; the rest were not.
pub(super) struct MadeUp {
    /// What the numbers follow from.
    pub(super) seed: u64,
}

impl History for MadeUp {
    fn query(&self, metric: &str, scope: &str, from_ms: u64, to_ms: u64, step_ms: u32) -> Vec<HistoryPoint> {
        let of_question = mixed(
            metric.bytes().chain([0]).chain(scope.bytes()).fold(self.seed, |hash, byte| mixed(hash ^ u64::from(byte))),
        );
        if of_question.is_multiple_of(2) {
            return Vec::new();
        }
        let step_ms = u64::from(step_ms.max(1));
        let steps = (to_ms.saturating_sub(from_ms) / step_ms).min(MOST_POINTS);
        let point = |step: u64| {
            let at_ms = from_ms + step * step_ms;
            let number = mixed(of_question ^ at_ms);
            let mean = (number >> 40) as f64 / 1_000.0;
            // In every eighth step nothing was recorded.
            (!number.is_multiple_of(8)).then_some(HistoryPoint {
                at_ms,
                count: 1 + number % 100,
                mean,
                p95: 2.0 * mean,
            })
        };
        (0..steps).filter_map(point).collect()
    }
}

/// The mixing step of splitmix64 (Steele, Lea and Flood 2014).
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_past_is_the_same_each_time_and_has_gaps() {
        let past = MadeUp { seed: 1 };
        let ask = |metric: &str| past.query(metric, "local", 10_000, 70_000, 1_000);
        let answers: Vec<_> = (0..40).map(|at| ask(&format!("metric_{at}"))).collect();
        assert!(answers.iter().any(Vec::is_empty) && answers.iter().any(|points| !points.is_empty()));
        for (at, points) in answers.iter().enumerate() {
            assert_eq!(*points, ask(&format!("metric_{at}")));
            assert!(points.is_empty() || (30..60).contains(&points.len()), "{}", points.len());
            assert!(points.iter().all(|point| (10_000..70_000).contains(&point.at_ms) && point.mean.is_finite()));
        }
        assert!((0..9).all(|at| past.query(&at.to_string(), "", 0, u64::MAX, 0).len() as u64 <= MOST_POINTS));
    }
}
