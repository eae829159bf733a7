//! Single requests by phase: the slowest of each second, the newest at hand. Owns the bounds of what is kept.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::record::RequestRecord;
use crate::series::SeriesNames;

/// Requests that one worker keeps of one tick: the slowest.
pub const MOST_PER_TICK: usize = 16;

/// Requests that are kept in all: the newest.
pub const MOST_PROFILES: usize = 1_000;

/// One request, as it was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// End of the second in which it ended, Unix time in milliseconds.
    pub at_ms: u64,
    /// Who answered what, by which strategy's plan.
    pub names: Arc<SeriesNames>,
    /// Its phases and what it came to.
    pub record: RequestRecord,
}

/// Keeps the slowest requests of a tick.
#[derive(Default)]
pub(crate) struct Slowest(Vec<RequestRecord>);

impl Slowest {
    /// Allocates only until a worker has seen as many in one tick.
    #[inline]
    pub(crate) fn add(&mut self, record: &RequestRecord) {
        if self.0.len() < MOST_PER_TICK {
            self.0.push(record.clone());
        } else if let Some(fastest) = self.0.iter_mut().min_by_key(|kept| kept.total_ns)
            && fastest.total_ns < record.total_ns
        {
            fastest.clone_from(record);
        }
    }

    pub(crate) fn drain(&mut self) -> impl Iterator<Item = RequestRecord> {
        self.0.drain(..)
    }
}

/// The newest profiles.
#[derive(Default)]
pub(crate) struct Profiles(VecDeque<Profile>);

impl Profiles {
    pub(crate) fn push(&mut self, profile: Profile) {
        if self.0.len() >= MOST_PROFILES {
            self.0.pop_front();
        }
        self.0.push_back(profile);
    }

    /// Newest first.
    pub(crate) fn newest(&self) -> impl Iterator<Item = &Profile> {
        self.0.iter().rev()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phase::Phase;
    use crate::record::{CacheStatus, RequestOutcome};
    use crate::series::SeriesId;

    fn record(total_ns: u64) -> RequestRecord {
        RequestRecord {
            series: SeriesId::OTHER,
            outcome: RequestOutcome::Success,
            cache: CacheStatus::Miss,
            is_streaming: false,
            phases_ns: [0; Phase::COUNT],
            total_ns,
            ttft_ns: None,
            prompt_tokens: 0,
            output_tokens: 0,
            saved_ns: 0,
        }
    }

    #[test]
    fn the_slowest_of_a_tick_are_kept() {
        let mut slowest = Slowest::default();
        for total_ns in (0..100).rev().chain(100..200) {
            slowest.add(&record(total_ns));
        }
        let mut kept: Vec<u64> = slowest.drain().map(|record| record.total_ns).collect();
        kept.sort_unstable();
        assert_eq!(kept, (200 - MOST_PER_TICK as u64..200).collect::<Vec<_>>());
        assert_eq!(slowest.drain().count(), 0);
    }
}
