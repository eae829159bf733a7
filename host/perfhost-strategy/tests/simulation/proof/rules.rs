//! What others would conclude from the same requests: a z-test watched as it goes, and TensorZero's stopping rule.

/// Running figures of two arms.
#[derive(Default)]
pub(crate) struct Watched {
    count: [f64; 2],
    sum: [f64; 2],
    squares: [f64; 2],
    /// Requests after which each rule first named a winner.
    pub(crate) peeking: Option<u64>,
    pub(crate) tensor_zero: Option<u64>,
}

impl Watched {
    pub(crate) fn observe(&mut self, is_challenger: bool, value: f64) {
        let arm = usize::from(is_challenger);
        self.count[arm] += 1.0;
        self.sum[arm] += value;
        self.squares[arm] += value * value;
    }

    /// Looks, after `requests` of them.
    pub(crate) fn look(&mut self, requests: u64) {
        // Its default for how many each variant needs at least is 10.
        if self.count[0] < 10.0 || self.count[1] < 10.0 {
            return;
        }
        let mean = |arm: usize| self.sum[arm] / self.count[arm];
        let variance = |arm: usize| (self.squares[arm] / self.count[arm] - mean(arm).powi(2)).max(1e-12);
        let error = variance(0) / self.count[0] + variance(1) / self.count[1];
        let gap = (mean(1) - mean(0)).abs();
        if gap / error.sqrt() > 1.959_964 {
            self.peeking.get_or_insert(requests);
        }
        // TensorZero 2026, experimentation/track_and_stop/check_stopping.rs: a winner when the generalised likelihood ratio
        // (gap + ε)²/2(σ₁²/n₁ + σ₂²/n₂) exceeds ln((1 + ln n)/δ); here with its defaults, ε = 0 and δ = 0.05.
        let ratio = gap * gap / (2.0 * error);
        if ratio > ((1.0 + (self.count[0] + self.count[1]).ln()) / 0.05).ln() {
            self.tensor_zero.get_or_insert(requests);
        }
    }
}

/// (z(0.975) + z(0.9))²: what a two-sided test at 5 % with power 0.9 needs.
const NEEDED: f64 = 10.507_4;

/// Requests of both arms that a fixed-size test of two shares needs.
pub(crate) fn fixed_shares(one: f64, other: f64) -> f64 {
    2.0 * NEEDED * (one * (1.0 - one) + other * (1.0 - other)) / (one - other).powi(2)
}

/// The same for 95th percentiles of log-normal times with standard deviation 0.8 of the logarithm, by the asymptotic
/// variance p(1 − p)/(n f²) of a percentile.
pub(crate) fn fixed_percentiles(ratio: f64) -> f64 {
    let density: f64 = 0.103_136 / 0.8;
    2.0 * NEEDED * 2.0 * 0.95 * 0.05 / density.powi(2) / ratio.ln().powi(2)
}

/// Quantiles of Student's t at 0.975 for 1 degree of freedom and up.
const STUDENT: [f64; 10] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];

fn student(freedom: usize) -> f64 {
    // Fisher's expansion in one over the degrees of freedom, right to three digits from eleven on.
    let (z, v) = (1.959_964f64, freedom as f64);
    let series = (z.powi(3) + z) / (4.0 * v) + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * v * v);
    STUDENT.get(freedom.wrapping_sub(1)).copied().unwrap_or(z + series)
}

/// Fewest pairs for which a paired t-test finds the challenger better in nine of ten experiments cut from `differences`.
pub(crate) fn fixed_pairs(differences: &[f64]) -> usize {
    let finds = |pairs: &[f64]| {
        let count = pairs.len() as f64;
        let mean = pairs.iter().sum::<f64>() / count;
        let variance = pairs.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (count - 1.0);
        mean / (variance / count).sqrt() > student(pairs.len() - 1)
    };
    let has_power = |pairs: &usize| {
        let experiments = differences.chunks_exact(*pairs);
        let count = experiments.len() as f64;
        experiments.filter(|experiment| finds(experiment)).count() as f64 >= 0.9 * count
    };
    (2..differences.len() / 100).find(has_power).unwrap_or(differences.len())
}
