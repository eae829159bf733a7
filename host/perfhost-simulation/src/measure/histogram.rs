//! A distribution of times in fixed memory: bins that each are 1 % wider than the one below, so every percentile is
//! within 1 % of the exact one. Count, sum, smallest and largest are exact.

/// Values up to this share a bin, in milliseconds.
const SMALLEST: f64 = 1e-3;
/// Bins up to 10^8 ms, more than a day.
const BINS: usize = 2_546;
/// How much wider each bin is.
const GROWTH: f64 = 1.01;

/// Times in milliseconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Histogram {
    /// Empty until the first value.
    bins: Vec<u32>,
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
}

impl Histogram {
    pub(crate) fn add(&mut self, value: f64) {
        if self.count == 0 {
            self.bins.resize(BINS, 0);
            (self.min, self.max) = (value, value);
        }
        self.count += 1;
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        let bin = ((value / SMALLEST).max(1.0).ln() / GROWTH.ln()) as usize;
        self.bins[bin.min(BINS - 1)] += 1;
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// 0 when empty.
    pub(crate) fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum / self.count as f64 }
    }

    /// The value at rank `floor(q * (count - 1))`, within 1 %; 0 when empty.
    pub(crate) fn quantile(&self, q: f64) -> f64 {
        let rank = (q * self.count.saturating_sub(1) as f64) as u64;
        let mut seen = 0;
        let bin = self.bins.iter().position(|count| {
            seen += u64::from(*count);
            seen > rank
        });
        bin.map_or(0.0, |bin| (SMALLEST * GROWTH.powf(bin as f64 + 0.5)).clamp(self.min, self.max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_one_percent() {
        let mut histogram = Histogram::default();
        let values: Vec<f64> = (1..=10_000).map(|number| f64::from(number) * f64::from(number) / 100.0).collect();
        values.iter().for_each(|value| histogram.add(*value));
        for q in [0.0, 0.01, 0.5, 0.95, 0.99, 1.0] {
            let exact = values[(q * 9_999.0) as usize];
            let found = histogram.quantile(q);
            assert!((found / exact - 1.0).abs() <= 0.01, "{q}: {found} for {exact}");
        }
        assert_eq!((histogram.count(), histogram.max), (10_000, 1e6));
        assert!((histogram.mean() - values.iter().sum::<f64>() / 10_000.0).abs() < 1e-6);
    }

    #[test]
    fn the_ends_of_the_range_are_kept() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.quantile(0.5), histogram.mean()), (0.0, 0.0));
        histogram.add(0.0);
        histogram.add(1e12);
        assert!(histogram.quantile(0.0) <= SMALLEST * GROWTH && histogram.quantile(1.0) > 9.9e7);
    }
}
