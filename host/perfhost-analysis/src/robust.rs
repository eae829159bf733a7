//! Statistics that single outliers do not move.

/// What makes the median absolute deviation of normal noise its standard deviation: 1/Φ⁻¹(3/4). Source: Hampel, "The
/// influence curve and its role in robust estimation", JASA 1974.
pub const MAD_TO_SIGMA: f64 = 1.482_602_218_505_602;

/// The median; `None` of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    let middle = values.len() / 2;
    if values.is_empty() {
        return None;
    }
    let is_even = values.len().is_multiple_of(2);
    let (lower, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = *upper;
    let below = if is_even { lower.iter().copied().max_by(f64::total_cmp) } else { None };
    Some(below.map_or(upper, |below| below / 2.0 + upper / 2.0))
}

/// The median absolute deviation from `center`, scaled to the standard deviation of normal noise; 0 of nothing.
pub fn deviation(values: &[f64], center: f64) -> f64 {
    let distances: Vec<f64> = values.iter().map(|value| (value - center).abs()).collect();
    median(&distances).unwrap_or(0.0) * MAD_TO_SIGMA
}

/// The least spread that is told from none, in a unit of the host's metrics; 0 for one that is not known. Differences below it matter to nobody, however constant the series was.
pub fn floor(unit: &str) -> f64 {
    match unit {
        "ms" => 1.0,
        "ratio" => 0.005,
        "bytes" => 1_048_576.0,
        "count" => 0.5,
        "requests/s" | "tokens/s" => 0.1,
        _ => 0.0,
    }
}

/// Correlation of neighbours, from 0 (none, or opposed) to 0.95; of values clipped to three deviations from their median.
pub fn neighbour_correlation(values: &[f64]) -> f64 {
    let Some(center) = median(values) else { return 0.0 };
    let reach = 3.0 * deviation(values, center);
    let clipped: Vec<f64> = values.iter().map(|value| (value - center).clamp(-reach, reach)).collect();
    let alone: f64 = clipped.iter().map(|value| value * value).sum();
    let together: f64 = clipped.windows(2).map(|pair| pair[0] * pair[1]).sum();
    if alone > 0.0 { (together / alone).clamp(0.0, 0.95) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_deviations_of_known_values() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[4.0, 1.0, 3.0]), Some(3.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 1e9]), Some(3.5));
        assert_eq!(deviation(&[1.0, 2.0, 3.0, 4.0, 1e9], 3.0), MAD_TO_SIGMA);
    }

    #[test]
    fn an_outlier_moves_neither_and_neighbours_correlate_where_they_do() {
        let mut random = fastrand::Rng::with_seed(1);
        let noise: Vec<f64> = (0..2_000).map(|_| random.f64()).collect();
        assert!(neighbour_correlation(&noise) < 0.08);
        let mut level = 0.0;
        let smooth: Vec<f64> = noise
            .iter()
            .map(|noise| {
                level = 0.8 * level + noise - 0.5;
                level
            })
            .collect();
        assert!((neighbour_correlation(&smooth) - 0.8).abs() < 0.08);
    }
}
