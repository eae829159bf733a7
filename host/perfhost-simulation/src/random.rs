//! Randomness that is a function of a seed: SplitMix64, and the distributions that scenarios use.
//!
//! Every request, attempt and arrival process has a stream of its own, named by numbers. So two strategies in the same
//! scenario meet the same requests at the same times, whatever they do with them: what differs is their doing.
//! Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.

/// One stream of numbers.
#[derive(Debug, Clone)]
pub(crate) struct Random {
    state: u64,
}

/// 2^64 over the golden ratio: steps that never repeat in 2^64.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Spreads every bit of the input over all bits of the output.
pub(crate) fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

impl Random {
    /// The stream of that seed and name.
    pub(crate) fn new(seed: u64, name: &[u64]) -> Self {
        let state = name.iter().fold(mix(seed.wrapping_add(STEP)), |state, part| {
            mix(state.wrapping_mul(3).wrapping_add(mix(part.wrapping_add(STEP))))
        });
        Self { state }
    }

    /// Any number.
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        mix(self.state)
    }

    /// From 0 up to but not including 1.
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// True with that probability.
    pub(crate) fn happens(&mut self, probability: f64) -> bool {
        self.share() < probability
    }

    /// From 0 up to but not including `below`; 0 when that is 0.
    pub(crate) fn below(&mut self, below: u64) -> u64 {
        // The bias is below / 2^64.
        ((u128::from(self.next()) * u128::from(below)) >> 64) as u64
    }

    /// Exponentially distributed.
    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.share()).ln()
    }

    /// Log-normally distributed with this mean and standard deviation over mean.
    pub(crate) fn log_normal(&mut self, mean: f64, variation: f64) -> f64 {
        let variance = (variation * variation).ln_1p();
        (mean.ln() - variance / 2.0 + variance.sqrt() * self.normal()).exp()
    }

    /// Standard normal, by Box and Muller's method.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.share()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.share()).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_and_deviation(draw: impl FnMut() -> f64) -> (f64, f64) {
        let values: Vec<f64> = std::iter::repeat_with(draw).take(200_000).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
        (mean, variance.sqrt())
    }

    fn is_near(found: (f64, f64), mean: f64, deviation: f64) -> bool {
        (found.0 / mean - 1.0).abs() < 0.02 && (found.1 / deviation - 1.0).abs() < 0.03
    }

    #[test]
    fn distributions_have_their_moments() {
        let mut random = Random::new(1, &[1]);
        assert!(is_near(mean_and_deviation(|| random.share()), 0.5, 1.0 / 12.0_f64.sqrt()));
        assert!(is_near(mean_and_deviation(|| random.exponential(3.0)), 3.0, 3.0));
        assert!(is_near(mean_and_deviation(|| random.log_normal(200.0, 0.5)), 200.0, 100.0));
        assert!((0..1_000).all(|_| random.below(7) < 7));
        assert_eq!(random.below(0), 0);
    }

    #[test]
    fn streams_are_their_names_and_nothing_else() {
        let first = |seed, name: &[u64]| Random::new(seed, name).next();
        assert_eq!(first(1, &[2, 3]), first(1, &[2, 3]));
        let all = [first(1, &[2, 3]), first(1, &[3, 2]), first(2, &[2, 3]), first(1, &[2]), first(1, &[])];
        assert!((1..all.len()).all(|at| !all[..at].contains(&all[at])));
    }
}
