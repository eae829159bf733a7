//! How much history is kept: a length of time for each tier, and bytes for all together. Owns what may be configured;
//! deleting is done in `rollup`.

use std::time::Duration;

use thiserror::Error;

use super::tier::TIERS;

/// How much history is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    pub(super) kept_ms: [u64; TIERS.len()],
    most_bytes: u64,
}

/// Why a retention is not allowed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RetentionError {
    /// A tier would lose windows that the next one is made of.
    #[error(
        "history of tier {tier} kept for {found_s} s; at least {least_s} s, two windows of the next tier, are needed"
    )]
    TooShort {
        /// The tier's name.
        tier: &'static str,
        /// Asked for.
        found_s: u64,
        /// Allowed at least.
        least_s: u64,
    },
    /// A coarse tier would be kept for a shorter time than the one that it is made of.
    #[error("history of tier {tier} kept for {found_s} s, which is shorter than tier {finer} is kept")]
    ShorterThanFiner {
        /// The tier's name.
        tier: &'static str,
        /// Asked for.
        found_s: u64,
        /// The tier before it.
        finer: &'static str,
    },
    /// Longer than times can be counted in.
    #[error("history of tier {tier} kept for {found_s} s; at most {} s are allowed", Retention::LONGEST.as_secs())]
    TooLong {
        /// The tier's name.
        tier: &'static str,
        /// Asked for.
        found_s: u64,
    },
    /// Too few bytes to work with.
    #[error("{found} bytes of history; at least {} are needed", Retention::LEAST_BYTES)]
    TooFewBytes {
        /// Asked for.
        found: u64,
    },
}

impl Retention {
    /// Longest time that a tier may be kept: ten years.
    pub const LONGEST: Duration = Duration::from_secs(3_650 * 86_400);

    /// Fewest bytes that may be allowed.
    pub const LEAST_BYTES: u64 = 16 << 20;

    /// Bytes that are allowed unless configured.
    pub const USUAL_BYTES: u64 = 2 << 30;

    /// Checks a length of time for each tier, finest first, and the bytes that the whole file may take.
    ///
    /// Errors: see [`RetentionError`].
    pub fn new(kept: [Duration; TIERS.len()], most_bytes: u64) -> Result<Self, RetentionError> {
        for (number, (tier, kept)) in TIERS.iter().zip(kept).enumerate() {
            let found_s = kept.as_secs();
            let least_s = TIERS.get(number + 1).map_or(tier.length_ms, |next| next.length_ms) * 2 / 1_000;
            if found_s < least_s {
                return Err(RetentionError::TooShort { tier: tier.name, found_s, least_s });
            }
            if kept > Self::LONGEST {
                return Err(RetentionError::TooLong { tier: tier.name, found_s });
            }
        }
        for number in 1..TIERS.len() {
            if kept[number] < kept[number - 1] {
                return Err(RetentionError::ShorterThanFiner {
                    tier: TIERS[number].name,
                    found_s: kept[number].as_secs(),
                    finer: TIERS[number - 1].name,
                });
            }
        }
        if most_bytes < Self::LEAST_BYTES {
            return Err(RetentionError::TooFewBytes { found: most_bytes });
        }
        Ok(Self { kept_ms: kept.map(|kept| kept.as_millis() as u64), most_bytes })
    }

    /// How long each tier is kept, finest first.
    pub fn kept(&self) -> [Duration; TIERS.len()] {
        self.kept_ms.map(Duration::from_millis)
    }

    /// Bytes that the file may take, its write-ahead log not counted. Beyond it the oldest of the finest tier goes first.
    pub fn most_bytes(&self) -> u64 {
        self.most_bytes
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self { kept_ms: TIERS.map(|tier| tier.kept_ms), most_bytes: Self::USUAL_BYTES }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_retention_is_allowed() {
        let usual = Retention::default();
        assert_eq!(Retention::new(usual.kept(), usual.most_bytes()), Ok(usual));
    }

    #[test]
    fn a_tier_outlives_what_the_next_is_made_of_and_the_tier_before() {
        let with = |number: usize, seconds: u64| {
            let mut kept = Retention::default().kept();
            kept[number] = Duration::from_secs(seconds);
            Retention::new(kept, Retention::USUAL_BYTES)
        };
        assert!(with(0, 120).is_ok());
        assert_eq!(with(0, 119), Err(RetentionError::TooShort { tier: "raw", found_s: 119, least_s: 120 }));
        assert!(matches!(with(1, 86_400), Err(RetentionError::ShorterThanFiner { tier: "1m", finer: "raw", .. })));
        assert!(matches!(with(4, 2 * 86_400), Err(RetentionError::ShorterThanFiner { tier: "1d", .. })));
        assert!(matches!(with(4, u64::MAX), Err(RetentionError::TooLong { tier: "1d", .. })));
        let kept = Retention::default().kept();
        assert_eq!(Retention::new(kept, 1), Err(RetentionError::TooFewBytes { found: 1 }));
    }
}
