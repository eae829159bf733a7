//! Which bin a value belongs to, and which value stands for a bin.
//!
//! A bin's key is `floor(m * L(v))`, where `L` comes near the base-2 logarithm without computing one: with
//! `v = 2^e * (1 + s)`, `L(v) = e + ((A s + B) s + C) s`, `A = 6/35`, `B = -3/5`, `C = 10/7`. `L` rises continuously, and
//! `dL / d ln v` is at least `10/7`; so `m = 7 / (10 ln γ)` makes every bin at most a factor `γ = (1 + α) / (1 - α)` wide,
//! at 1 % more bins than the logarithm itself would need. Source: the cubically interpolated mapping of the DDSketch
//! paper's authors (section 4 of the paper; `CubicallyInterpolatedMapping` in sketches-java).

/// ln((1 + 0.01) / (1 - 0.01)).
const LN_GAMMA: f64 = 0.020_000_666_706_669_52;
const A: f64 = 6.0 / 35.0;
const B: f64 = -3.0 / 5.0;
const C: f64 = 10.0 / 7.0;
const MULTIPLIER: f64 = 7.0 / (10.0 * LN_GAMMA);

const MANTISSA_BITS: u32 = 52;
const MANTISSA: u64 = (1 << MANTISSA_BITS) - 1;
const ONE: u64 = 1.0_f64.to_bits();
const EXPONENT_BIAS: i32 = 1_023;

/// Above any key's distance from 0, so that truncating becomes flooring.
const SHIFT: i32 = 1 << 16;

/// Keys that values between [`super::MIN_VALUE`] and [`super::MAX_VALUE`] have lie within.
pub(super) const KEYS: std::ops::RangeInclusive<i32> = -1_100..=2_200;

/// The bin of a positive, normal number.
#[inline]
pub(super) fn key(value: f64) -> i32 {
    let bits = value.to_bits();
    let exponent = f64::from((bits >> MANTISSA_BITS) as i32 - EXPONENT_BIAS);
    let s = f64::from_bits(bits & MANTISSA | ONE) - 1.0;
    let logarithm = exponent + ((A * s + B) * s + C) * s;
    (MULTIPLIER * logarithm + f64::from(SHIFT)) as i32 - SHIFT
}

/// The value that is within the relative error of every value in the bin.
pub(super) fn value(key: i32) -> f64 {
    let (lower, upper) = (lower_bound(key), lower_bound(key + 1));
    2.0 * lower * upper / (lower + upper)
}

/// The number whose `L` is `key / MULTIPLIER`.
fn lower_bound(key: i32) -> f64 {
    let logarithm = f64::from(key) / MULTIPLIER;
    let exponent = logarithm.floor();
    let fraction = logarithm - exponent;
    // Newton's method; the cubic is nearly straight, so that a few steps reach the last digit.
    let mut s = fraction;
    for _ in 0..6 {
        let miss = ((A * s + B) * s + C) * s - fraction;
        s -= miss / ((3.0 * A * s + 2.0 * B) * s + C);
    }
    exponent.exp2() * (1.0 + s)
}

#[cfg(test)]
mod tests {
    use super::super::{MAX_VALUE, MIN_VALUE, RELATIVE_ERROR};
    use super::*;

    #[test]
    fn the_constant_is_the_logarithm_it_says() {
        let gamma: f64 = (1.0 + RELATIVE_ERROR) / (1.0 - RELATIVE_ERROR);
        assert!((gamma.ln() - LN_GAMMA).abs() < 1e-15);
    }

    #[test]
    fn every_value_is_within_the_relative_error_of_its_bins_value() {
        let mut v = MIN_VALUE;
        let mut last = i32::MIN;
        while v <= MAX_VALUE {
            let bin = key(v);
            assert!(bin >= last && KEYS.contains(&bin), "{v} has key {bin} after {last}");
            let error = (value(bin) / v - 1.0).abs();
            assert!(error <= RELATIVE_ERROR * (1.0 + 1e-9), "{v} in bin {bin} is off by {error}");
            last = bin;
            v *= 1.000_3;
        }
    }

    #[test]
    fn bins_are_at_most_one_hundredth_more_than_logarithms_would_need() {
        let needed = (MAX_VALUE / MIN_VALUE).ln() / LN_GAMMA;
        let used = f64::from(key(MAX_VALUE) - key(MIN_VALUE));
        assert!(used <= needed * 1.011, "{used} bins where {needed} would do");
    }
}
