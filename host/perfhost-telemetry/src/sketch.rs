//! A mergeable quantile sketch with bounded relative error: DDSketch.
//!
//! Every quantile is within [`RELATIVE_ERROR`] of an exact one; count, sum, smallest and largest are exact. Merging loses
//! nothing, so percentiles stay right across shards, windows and roll-ups. Values are not negative: smaller ones count as
//! 0. Source: Masson, Rim, Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees",
//! VLDB 2019. Which bin a value belongs to is in `mapping`, the written form in `encoding`.

mod encoding;
mod mapping;

use perfhost_strategy::observation::Summary;

pub use encoding::SketchError;

/// Largest distance of a quantile from the exact one, relative to the exact one.
pub const RELATIVE_ERROR: f64 = 0.01;

/// Bins that a sketch holds at most: about 17 powers of ten. When values spread wider, the lowest bins become one.
pub const MAX_BINS: usize = 2_048;

/// Values below count as 0.
pub const MIN_VALUE: f64 = 1e-9;

/// Larger values count as this.
pub const MAX_VALUE: f64 = 1e18;

/// Bins are added in groups of this size, so that a sketch in use stops growing soon.
const GROUP: i32 = 64;

/// The distribution of non-negative numbers.
#[derive(Debug, Clone, Default)]
pub struct DDSketch {
    /// Counts by key, from key `lowest` on.
    bins: Vec<u64>,
    lowest: i32,
    zeros: u64,
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
}

impl DDSketch {
    /// An empty sketch; allocates nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one value. Allocates only when the value is far from all before it. What is not a finite number is ignored.
    #[inline]
    pub fn add(&mut self, value: f64) {
        self.add_weighted(value, 1);
    }

    /// Adds one value `weight` times.
    #[inline]
    pub fn add_weighted(&mut self, value: f64, weight: u64) {
        if !value.is_finite() || weight == 0 {
            return;
        }
        let value = value.clamp(0.0, MAX_VALUE);
        if self.count == 0 {
            (self.min, self.max) = (value, value);
        } else {
            self.min = self.min.min(value);
            self.max = self.max.max(value);
        }
        self.count = self.count.saturating_add(weight);
        self.sum += value * weight as f64;
        if value < MIN_VALUE {
            self.zeros += weight;
        } else {
            self.add_to_bin(mapping::key(value), weight);
        }
    }

    /// Adds all of another sketch; the result is what adding all values to one sketch would have given.
    pub fn merge(&mut self, other: &DDSketch) {
        self.merge_totals(other.count, other.zeros, other.sum, other.min, other.max);
        for (key, weight) in other.filled() {
            self.add_to_bin(key, weight);
        }
    }

    /// Forgets all values and keeps the memory.
    pub fn clear(&mut self) {
        self.bins.fill(0);
        (self.zeros, self.count, self.sum, self.min, self.max) = (0, 0, 0.0, 0.0, 0.0);
    }

    /// The value at rank `floor(q * (count - 1))` of the values in order, within [`RELATIVE_ERROR`]; 0 when empty.
    /// `q` goes from 0 to 1.
    pub fn quantile(&self, q: f64) -> f64 {
        let q = q.clamp(0.0, 1.0);
        if self.count == 0 || q == 0.0 {
            return self.min;
        }
        if q == 1.0 {
            return self.max;
        }
        let rank = (q * (self.count - 1) as f64) as u64;
        let mut seen = self.zeros;
        if rank < seen {
            return self.min;
        }
        for (key, weight) in self.filled() {
            seen = seen.saturating_add(weight);
            if rank < seen {
                return mapping::value(key).clamp(self.min, self.max);
            }
        }
        self.max
    }

    /// How many values are not above `bound`, give or take those within [`RELATIVE_ERROR`] of it.
    pub fn count_up_to(&self, bound: f64) -> u64 {
        if self.count == 0 || bound < self.min {
            return 0;
        }
        if bound >= self.max {
            return self.count;
        }
        self.zeros
            + self.filled().take_while(|(key, _)| mapping::value(*key) <= bound).map(|(_, weight)| weight).sum::<u64>()
    }

    /// Number of values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Sum of the values.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// Smallest value; 0 when empty.
    pub fn min(&self) -> f64 {
        self.min
    }

    /// Largest value; 0 when empty.
    pub fn max(&self) -> f64 {
        self.max
    }

    /// Arithmetic mean; 0 when empty.
    pub fn mean(&self) -> f64 {
        // The rounding of a long sum must not carry the mean of equal values past them.
        if self.count == 0 { 0.0 } else { (self.sum / self.count as f64).clamp(self.min, self.max) }
    }

    /// Whether no value was added.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The usual numbers in one.
    pub fn summary(&self) -> Summary {
        Summary {
            count: self.count,
            mean: self.mean(),
            min: self.min,
            max: self.max,
            p50: self.quantile(0.50),
            p95: self.quantile(0.95),
            p99: self.quantile(0.99),
        }
    }

    fn merge_totals(&mut self, count: u64, zeros: u64, sum: f64, min: f64, max: f64) {
        if count == 0 {
            return;
        }
        if self.count == 0 {
            (self.min, self.max) = (min, max);
        } else {
            self.min = self.min.min(min);
            self.max = self.max.max(max);
        }
        // What is read from a file may add up to anything.
        self.count = self.count.saturating_add(count);
        self.zeros = self.zeros.saturating_add(zeros);
        self.sum += sum;
    }

    /// Bins that hold something, lowest first.
    fn filled(&self) -> impl Iterator<Item = (i32, u64)> {
        self.bins
            .iter()
            .enumerate()
            .filter(|(_, weight)| **weight > 0)
            .map(|(at, weight)| (self.lowest + at as i32, *weight))
    }

    #[inline]
    fn add_to_bin(&mut self, key: i32, weight: u64) {
        // A key below `lowest` wraps to a large number and takes the slow path.
        match self.bins.get_mut(key.wrapping_sub(self.lowest) as u32 as usize) {
            Some(bin) => *bin = bin.saturating_add(weight),
            None => self.grow_and_add(key, weight),
        }
    }

    #[cold]
    fn grow_and_add(&mut self, key: i32, weight: u64) {
        let first = self.filled().next().map_or(key, |(first, _)| first.min(key));
        let last =
            self.bins.iter().rposition(|weight| *weight > 0).map_or(key, |at| (self.lowest + at as i32).max(key));
        let last = last.div_euclid(GROUP) * GROUP + GROUP - 1;
        let first = (first.div_euclid(GROUP) * GROUP).max(last + 1 - MAX_BINS as i32);
        let mut bins = vec![0; (last - first + 1) as usize];
        for (old, weight) in self.filled() {
            let bin: &mut u64 = &mut bins[(old.max(first) - first) as usize];
            *bin = bin.saturating_add(weight);
        }
        let bin = &mut bins[(key.max(first) - first) as usize];
        *bin = bin.saturating_add(weight);
        (self.bins, self.lowest) = (bins, first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_sketch_is_all_zero() {
        let sketch = DDSketch::new();
        assert_eq!(sketch.summary(), Summary::default());
    }

    #[test]
    fn one_value_is_every_quantile() {
        let mut sketch = DDSketch::new();
        sketch.add(12.5);
        for q in [0.0, 0.3, 0.5, 0.99, 1.0] {
            assert_eq!(sketch.quantile(q), 12.5);
        }
    }

    #[test]
    fn what_is_no_finite_number_is_ignored_and_negatives_count_as_zero() {
        let mut sketch = DDSketch::new();
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            sketch.add(value);
        }
        assert!(sketch.is_empty());
        sketch.add(-3.0);
        sketch.add(1.0);
        assert_eq!((sketch.count(), sketch.sum(), sketch.min(), sketch.max()), (2, 1.0, 0.0, 1.0));
        assert_eq!(sketch.quantile(0.5), 0.0);
    }

    #[test]
    fn the_widest_spread_stays_within_the_bins_and_keeps_its_upper_end_exact() {
        let mut sketch = DDSketch::new();
        let mut value = MIN_VALUE;
        while value < MAX_VALUE {
            sketch.add(value);
            value *= 1.01;
        }
        assert!(sketch.bins.len() <= MAX_BINS);
        let expected = MIN_VALUE * 1.01_f64.powi((0.99 * (sketch.count() - 1) as f64) as i32);
        assert!((sketch.quantile(0.99) / expected - 1.0).abs() <= RELATIVE_ERROR * 1.001);
        let binned: u64 = sketch.filled().map(|(_, weight)| weight).sum();
        assert_eq!(binned, sketch.count());
    }

    #[test]
    fn a_cleared_sketch_forgets_and_does_not_allocate_again() {
        let mut sketch = DDSketch::new();
        sketch.add(5.0);
        let before = sketch.bins.as_ptr();
        sketch.clear();
        assert_eq!(sketch.summary(), Summary::default());
        sketch.add(5.1);
        assert_eq!(sketch.bins.as_ptr(), before);
        assert_eq!(sketch.summary().max, 5.1);
    }
}
