//! A number that may vary from request to request.

use serde::{Deserialize, Serialize};

use crate::random::Random;

/// A distribution of non-negative numbers. Written as a number, `{ mean = 60.0, variation = 0.5 }` (log-normal),
/// `{ from = 32.0, to = 96.0 }` (uniform) or `{ exponential = 20.0 }`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Amount {
    /// Always this.
    Fixed(f64),
    /// Log-normal.
    Varying {
        /// Its mean.
        mean: f64,
        /// Standard deviation over mean.
        variation: f64,
    },
    /// Anything between the two, all equally often.
    Between {
        /// The smallest.
        from: f64,
        /// The largest.
        to: f64,
    },
    /// Exponential.
    Exponential {
        /// Its mean.
        exponential: f64,
    },
}

impl Amount {
    /// One number.
    pub(crate) fn draw(self, random: &mut Random) -> f64 {
        match self {
            Amount::Fixed(number) => number,
            Amount::Varying { mean, variation } if mean > 0.0 => random.log_normal(mean, variation),
            Amount::Varying { .. } => 0.0,
            Amount::Between { from, to } => from + (to - from) * random.share(),
            Amount::Exponential { exponential } => random.exponential(exponential),
        }
    }

    /// Its mean.
    pub fn mean(self) -> f64 {
        match self {
            Amount::Fixed(number) => number,
            Amount::Varying { mean, .. } => mean,
            Amount::Between { from, to } => (from + to) / 2.0,
            Amount::Exponential { exponential } => exponential,
        }
    }

    /// Whether every number it gives is finite and not negative.
    pub(crate) fn is_sound(self) -> bool {
        let is_sound = |number: f64| number.is_finite() && number >= 0.0;
        match self {
            Amount::Fixed(number) | Amount::Exponential { exponential: number } => is_sound(number),
            Amount::Varying { mean, variation } => is_sound(mean) && is_sound(variation),
            Amount::Between { from, to } => is_sound(from) && is_sound(to) && from <= to,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_drawn_around_its_mean() {
        for text in ["7.0", r#"{"mean": 7, "variation": 0.5}"#, r#"{"from": 4, "to": 10}"#, r#"{"exponential": 7}"#] {
            let amount: Amount = serde_json::from_str(text).unwrap();
            let mut random = Random::new(1, &[]);
            let mean = (0..50_000).map(|_| amount.draw(&mut random)).sum::<f64>() / 50_000.0;
            assert!(amount.is_sound() && amount.mean() == 7.0 && (mean / 7.0 - 1.0).abs() < 0.02, "{text}: {mean}");
        }
        assert!(serde_json::from_str::<Amount>(r#"{"mean": 7}"#).is_err());
        assert!(!Amount::Between { from: 2.0, to: 1.0 }.is_sound() && !Amount::Fixed(f64::NAN).is_sound());
    }
}
