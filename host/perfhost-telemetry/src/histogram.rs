//! Histograms with fixed buckets, counted since the process started, for exports that expect them.
//!
//! The boundaries are those that the OpenTelemetry conventions for generative AI recommend.

/// Boundaries of `gen_ai.server.request.duration`, in nanoseconds.
pub(crate) const DURATION_NS: [u64; 14] =
    milliseconds([10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 5_120, 10_240, 20_480, 40_960, 81_920]);

/// Boundaries of `gen_ai.server.time_to_first_token`, in nanoseconds.
pub(crate) const FIRST_TOKEN_NS: [u64; 16] =
    milliseconds([1, 5, 10, 20, 40, 60, 80, 100, 250, 500, 750, 1_000, 2_500, 5_000, 7_500, 10_000]);

/// Boundaries of `gen_ai.server.time_per_output_token`, in nanoseconds.
pub(crate) const OUTPUT_TOKEN_NS: [u64; 13] =
    milliseconds([10, 25, 50, 75, 100, 150, 200, 300, 400, 500, 750, 1_000, 2_500]);

/// Boundaries of `gen_ai.client.token.usage`, in tokens.
pub(crate) const TOKENS: [u64; 14] =
    [1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864];

const fn milliseconds<const N: usize>(mut bounds: [u64; N]) -> [u64; N] {
    let mut at = 0;
    while at < N {
        bounds[at] *= 1_000_000;
        at += 1;
    }
    bounds
}

/// Counts of whole numbers by bucket. A value equal to a boundary belongs below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Histogram<const N: usize> {
    /// By bucket, not cumulative. What is above the last boundary is in `count` only.
    buckets: [u64; N],
    pub(crate) count: u64,
    pub(crate) sum: u64,
}

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Self {
        Self { buckets: [0; N], count: 0, sum: 0 }
    }
}

impl<const N: usize> Histogram<N> {
    #[inline]
    pub(crate) fn observe(&mut self, bounds: &[u64; N], value: u64) {
        let at = bounds.partition_point(|bound| *bound < value);
        if let Some(bucket) = self.buckets.get_mut(at) {
            *bucket += 1;
        }
        self.count += 1;
        self.sum = self.sum.wrapping_add(value);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// How many values are at or below each boundary.
    pub(crate) fn cumulative(&self) -> [u64; N] {
        let mut total = 0;
        self.buckets.map(|bucket| {
            total += bucket;
            total
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_on_a_boundary_counts_below_it() {
        let mut histogram = Histogram::default();
        for value in [0, 9, 10, 11, 1_000] {
            histogram.observe(&[10, 100], value);
        }
        assert_eq!(histogram.cumulative(), [3, 4]);
        assert_eq!((histogram.count, histogram.sum), (5, 1_030));
    }
}
