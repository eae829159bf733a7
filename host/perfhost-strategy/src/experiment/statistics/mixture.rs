//! Normal mixtures: how far a sum may stray from zero, at all times together.
//!
//! For a sum S with variance V (or any S for which exp(λS − λ²V/2) is a supermartingale for each λ), averaging over λ with
//! a normal weight gives a test martingale in closed form. Robbins 1970; Howard, Ramdas, McAuliffe & Sekhon 2021,
//! arXiv 1810.08240, propositions 5 and 6. `rho` says at which V the bound is tightest.

use super::level::Level;
use super::special::ln_normal_cdf;

/// The `rho` for which the two-sided bound is tightest near variance `best_at` (Howard et al., section 3.5, in the
/// approximation of the Lambert function that their software uses).
pub fn two_sided_rho(best_at: f64, level: Level) -> f64 {
    rho(best_at, level.threshold())
}

/// The same for the one-sided bound: that of the two-sided one at twice the level.
pub fn one_sided_rho(best_at: f64, level: Level) -> f64 {
    // At levels of a half and more there is no such tuning; the limit serves.
    rho(best_at, (level.threshold() - std::f64::consts::LN_2).max(1e-3))
}

fn rho(best_at: f64, threshold: f64) -> f64 {
    best_at / (2.0 * threshold + (2.0 * threshold).ln_1p())
}

/// ln of the two-sided mixture √(ρ/(V+ρ)) · exp(S²/2(V+ρ)).
pub fn two_sided_ln(sum: f64, variance: f64, rho: f64) -> f64 {
    0.5 * (rho / (variance + rho)).ln() + 0.5 * sum * sum / (variance + rho)
}

/// ln of the one-sided mixture 2√(ρ/(V+ρ)) · exp(S²/2(V+ρ)) · Φ(S/√(V+ρ)): evidence that the sum drifts upwards.
pub fn one_sided_ln(sum: f64, variance: f64, rho: f64) -> f64 {
    two_sided_ln(sum, variance, rho) + std::f64::consts::LN_2 + ln_normal_cdf(sum / (variance + rho).sqrt())
}

/// How far |S| may get: √((V+ρ)(ln(1+V/ρ) + 2 ln(1/level))).
pub fn two_sided_bound(variance: f64, level: Level, rho: f64) -> f64 {
    ((variance + rho) * ((variance / rho).ln_1p() + 2.0 * level.threshold())).sqrt()
}

/// How far S may get: where [`one_sided_ln`] reaches ln(1/level), by bisection.
pub fn one_sided_bound(variance: f64, level: Level, rho: f64) -> f64 {
    let threshold = level.threshold();
    // Above zero the one-sided mixture is the larger one, so its bound is the nearer one.
    let (mut below, mut above) = (0.0, two_sided_bound(variance, level, rho));
    for _ in 0..60 {
        let middle = 0.5 * (below + above);
        if one_sided_ln(middle, variance, rho) < threshold { below = middle } else { above = middle }
    }
    above
}
