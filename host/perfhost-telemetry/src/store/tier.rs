//! The tiers of history: how long a window of each is, and how long it is kept if nothing else is configured. Coarser
//! windows are made of finer ones by merging sketches, so their percentiles are as right as those of the raw ones.

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// One tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tier {
    /// Length of its windows; they begin at whole multiples of it since 1970.
    pub length_ms: u64,
    /// Its name in configuration and documents.
    pub name: &'static str,
    /// How long they are kept at least, unless [`super::Retention`] says otherwise. Nothing is deleted before the next
    /// tier has it.
    pub kept_ms: u64,
}

/// All tiers, finest first. A tier's number in the file is its place here, and never changes.
pub const TIERS: [Tier; 5] = [
    Tier { length_ms: 10 * SECOND_MS, name: "raw", kept_ms: 2 * DAY_MS },
    Tier { length_ms: MINUTE_MS, name: "1m", kept_ms: 7 * DAY_MS },
    Tier { length_ms: 5 * MINUTE_MS, name: "5m", kept_ms: 14 * DAY_MS },
    Tier { length_ms: HOUR_MS, name: "1h", kept_ms: 30 * DAY_MS },
    Tier { length_ms: DAY_MS, name: "1d", kept_ms: 30 * DAY_MS },
];

/// The finest tier.
pub const RAW: Tier = TIERS[0];

/// The beginning of the window of `length_ms` that holds `at_ms`.
pub(crate) fn floor(at_ms: u64, length_ms: u64) -> u64 {
    at_ms - at_ms % length_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tier_is_made_of_whole_windows_of_the_one_before() {
        for pair in TIERS.windows(2) {
            assert_eq!(pair[1].length_ms % pair[0].length_ms, 0);
            assert!(pair[1].kept_ms >= pair[0].kept_ms);
        }
    }
}
