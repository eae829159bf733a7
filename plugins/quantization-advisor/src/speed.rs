//! How fast a variant generates where nobody has measured it: time for a token grows with the bytes read for it.

/// Seconds for one token: `fixed` and `per_byte` for each byte of weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenTime {
    fixed: f64,
    per_byte: f64,
}

impl TokenTime {
    /// Fits measured pairs of bytes read and tokens per second by least squares; through the origin for a single size,
    /// or where noise gives a line that no machine has. `None` without a measurement.
    pub fn fit(measured: &[(f64, f64)]) -> Option<Self> {
        let points = measured.iter().filter(|(bytes, rate)| *bytes > 0.0 && *rate > 0.0 && rate.is_finite());
        let points: Vec<(f64, f64)> = points.map(|(bytes, rate)| (*bytes, 1.0 / rate)).collect();
        if points.is_empty() {
            return None;
        }
        let count = points.len() as f64;
        let bytes_mean = points.iter().map(|(bytes, _)| bytes).sum::<f64>() / count;
        let time_mean = points.iter().map(|(_, time)| time).sum::<f64>() / count;
        let spread: f64 = points.iter().map(|(bytes, _)| (bytes - bytes_mean) * (bytes - bytes_mean)).sum();
        let together: f64 = points.iter().map(|(bytes, time)| (bytes - bytes_mean) * (time - time_mean)).sum();
        let per_byte = together / spread;
        let fixed = time_mean - per_byte * bytes_mean;
        if per_byte.is_finite() && per_byte > 0.0 && fixed >= 0.0 {
            return Some(Self { fixed, per_byte });
        }
        Some(Self { fixed: 0.0, per_byte: time_mean / bytes_mean })
    }

    /// Expected tokens per second when so many bytes are read for each.
    pub fn tokens_per_second(&self, bytes: f64) -> f64 {
        1.0 / (self.fixed + self.per_byte * bytes.max(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// GiB and tokens/s of Llama-3.1-8B in llama.cpp: F16, Q8_0, Q6_K, Q4_K_M, Q2_K.
    const PUBLISHED: [(f64, f64); 5] = [(14.96, 29.0), (7.95, 51.0), (6.14, 59.0), (4.58, 72.0), (2.95, 80.0)];

    #[test]
    fn two_measurements_predict_the_published_others() {
        let fit = TokenTime::fit(&[PUBLISHED[0], PUBLISHED[3]]).expect("measured");
        for (size, rate) in PUBLISHED {
            let expected = fit.tokens_per_second(size);
            // Two bits cost more arithmetic than a straight line knows of: 17 % off; the others are within 5 %.
            assert!((expected / rate - 1.0).abs() < 0.18, "{size} GiB: {expected} for {rate}");
        }
    }

    #[test]
    fn one_measurement_gives_a_bandwidth_and_none_gives_nothing() {
        let fit = TokenTime::fit(&[(4.0, 50.0)]).expect("measured");
        assert!((fit.tokens_per_second(8.0) - 25.0).abs() < 1e-9);
        assert_eq!(TokenTime::fit(&[(4.0, 0.0), (0.0, 5.0), (1.0, f64::NAN)]), None);
        // Noise that makes the bigger one faster must not turn into a negative time.
        let noisy = TokenTime::fit(&[(4.0, 50.0), (8.0, 55.0)]).expect("measured");
        assert!(noisy.tokens_per_second(2.0) > noisy.tokens_per_second(8.0));
    }
}
