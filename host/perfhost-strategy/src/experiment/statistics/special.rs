//! Functions that the standard library lacks: ln Γ, ln B, ln Φ. Accurate to about 13 digits.

/// (shift, coefficients) of Stirling's series, Abramowitz & Stegun 6.1.41.
const STIRLING: [f64; 6] = [1.0 / 12.0, -1.0 / 360.0, 1.0 / 1_260.0, -1.0 / 1_680.0, 1.0 / 1_188.0, -691.0 / 360_360.0];

/// From here on Stirling's series is exact to double precision.
const STIRLING_FROM: f64 = 15.0;

/// ln Γ(x) for x > 0: recurrence up to 15, then Stirling's series.
pub fn ln_gamma(x: f64) -> f64 {
    let (mut shifted, mut product) = (x, 1.0);
    while shifted < STIRLING_FROM {
        product *= shifted;
        shifted += 1.0;
    }
    let inverse_square = 1.0 / (shifted * shifted);
    let series = STIRLING.iter().rev().fold(0.0, |sum, coefficient| sum * inverse_square + coefficient) / shifted;
    (shifted - 0.5) * shifted.ln() - shifted + 0.5 * std::f64::consts::TAU.ln() + series - product.ln()
}

/// ln B(a, b) = ln Γ(a) + ln Γ(b) − ln Γ(a + b), for a, b > 0.
pub fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// ln Φ(x), the logarithm of the standard normal distribution function; precise in both tails.
pub fn ln_normal_cdf(x: f64) -> f64 {
    let z = x.abs() * std::f64::consts::FRAC_1_SQRT_2;
    if x >= 0.0 { (-0.5 * ln_erfc(z).exp()).ln_1p() } else { ln_erfc(z) - std::f64::consts::LN_2 }
}

/// ln erfc(z) for z ≥ 0: series of erf below 2, continued fraction above (Abramowitz & Stegun 7.1.6 and 7.1.14).
fn ln_erfc(z: f64) -> f64 {
    if z < 2.0 {
        let (mut term, mut sum, mut odd) = (z, z, 1.0);
        while term > sum * 1e-17 {
            odd += 2.0;
            term *= 2.0 * z * z / odd;
            sum += term;
        }
        return (1.0 - std::f64::consts::FRAC_2_SQRT_PI * (-z * z).exp() * sum).ln();
    }
    let fraction = (1..=80).rev().fold(z, |tail, k| z + 0.5 * f64::from(k) / tail);
    -z * z - (fraction * std::f64::consts::PI.sqrt()).ln()
}

/// ln Σ exp(xᵢ), without overflow.
pub fn ln_sum_exp(logarithms: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = logarithms.clone().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        return largest;
    }
    largest + logarithms.map(|x| (x - largest).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_agree_with_tables() {
        // Abramowitz & Stegun, tables 6.1 and 26.1 and 26.2; ln 99! from its definition.
        let ln_factorial_99: f64 = (1..=99).map(|n| f64::from(n).ln()).sum();
        for (found, expected) in [
            (ln_gamma(1.0), 0.0),
            (ln_gamma(0.5), 0.5 * std::f64::consts::PI.ln()),
            (ln_gamma(1.5), -0.120_782_237_635_245_2),
            (ln_gamma(100.0), ln_factorial_99),
            (ln_normal_cdf(0.0), 0.5f64.ln()),
            (ln_normal_cdf(1.0), 0.841_344_746_068_543f64.ln()),
            (ln_normal_cdf(-2.0), 0.022_750_131_948_179f64.ln()),
            (ln_normal_cdf(-5.0), 2.866_515_718_79e-7f64.ln()),
        ] {
            assert!((found - expected).abs() < 1e-10 * expected.abs().max(1.0), "{found} for {expected}");
        }
    }

    #[test]
    fn both_ways_to_erfc_meet() {
        let (below, above) = (ln_erfc(2.0 - 1e-9), ln_erfc(2.0 + 1e-9));
        assert!((below - above).abs() < 1e-7, "{below} {above}");
        assert!(ln_normal_cdf(-40.0).is_finite() && ln_normal_cdf(40.0) <= 0.0);
    }

    #[test]
    fn huge_arguments_keep_their_digits() {
        // Γ(x + 1) = x Γ(x), at ten to the eighth.
        let x: f64 = 1e8;
        assert!((ln_gamma(x + 1.0) - ln_gamma(x) - x.ln()).abs() < 1e-5);
        assert_eq!(ln_sum_exp([1e6, 1e6].into_iter()), 1e6 + 2f64.ln());
        assert_eq!(ln_sum_exp(std::iter::empty()), f64::NEG_INFINITY);
    }
}
