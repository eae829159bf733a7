//! More cache where it pays: answers are kept longer first, then more of them.
//!
//! What a step brings shows only when answers live past the age at which they used to go, so a step is not judged by
//! the guard's measurement, which comes sooner: each knob moves at most once in the lifetime of an answer.

use strategy_kit::seen::{HOST, LONG_MS};
use strategy_kit::text::Text;
use strategy_kit::types::Proposal;
use strategy_kit::{Change, Seen, Tuning};

const HITS: &str = "cache_hit_rate";
/// Cacheable requests needed before a hit rate is believed.
const SAMPLES_MIN: u64 = 20;
/// Hit rate from which answers are kept longer.
const HITS_FOR_TTL: f64 = 0.1;
/// Hit rate from which more memory goes to the cache.
const HITS_FOR_CAPACITY: f64 = 0.3;
/// An answer is kept six hours at most.
const TTL_MAX_MS: i64 = 6 * 3_600_000;
/// The cache takes at most this part of free memory.
const MEMORY_PART: i64 = 8;

/// The next step, if the hit rate merits one.
pub fn extend(seen: &Seen<'_>, tuning: &mut Tuning) -> Option<Proposal> {
    let hits = seen.summary(HITS, HOST, LONG_MS).filter(|window| window.count >= SAMPLES_MIN)?.mean;
    longer(seen, tuning, hits).or_else(|| larger(seen, tuning, hits))
}

/// Whether the knob's last step is younger than an answer may get.
fn is_early(seen: &Seen<'_>, tuning: &Tuning, name: &str) -> bool {
    let lifetime_ms = seen.integer("cache_ttl_ms", HOST).unwrap_or(TTL_MAX_MS).unsigned_abs();
    let last_ms = tuning.trials.last_tried_ms(name, HOST);
    last_ms.is_some_and(|last| seen.now_ms().saturating_sub(last) < lifetime_ms)
}

fn longer(seen: &Seen<'_>, tuning: &mut Tuning, hits: f64) -> Option<Proposal> {
    let present = seen.integer("cache_ttl_ms", HOST)?;
    let value = present.saturating_mul(2).min(TTL_MAX_MS);
    if hits < HITS_FOR_TTL || value <= present || is_early(seen, tuning, "cache_ttl_ms") {
        return None;
    }
    let reason = Text::new("").percent(hits).words(" of cacheable requests are hits: keep answers for ");
    let reason = reason.integer(value / 1000).words(" s instead of ").integer(present / 1000).words(" s").done();
    let (metric, ratio, confidence) = (HITS, 1.05, 0.4);
    tuning.ask(seen, Change { name: "cache_ttl_ms", scope: HOST, value, reason, metric, ratio, confidence })
}

fn larger(seen: &Seen<'_>, tuning: &mut Tuning, hits: f64) -> Option<Proposal> {
    let present = seen.integer("cache_capacity_bytes", HOST).filter(|bytes| *bytes > 0)?;
    let value = present.saturating_mul(2);
    let free = i64::try_from(seen.observation.hardware.memory_free_bytes).unwrap_or(i64::MAX);
    if hits < HITS_FOR_CAPACITY || value > free / MEMORY_PART || is_early(seen, tuning, "cache_capacity_bytes") {
        return None;
    }
    let reason = Text::new("").percent(hits).words(" of cacheable requests are hits and ").mebibytes(free as f64);
    let reason = reason.words(" are free: ").mebibytes(value as f64).words(" of cache instead of ");
    let reason = reason.mebibytes(present as f64).done();
    let (metric, ratio, confidence) = (HITS, 1.05, 0.3);
    tuning.ask(seen, Change { name: "cache_capacity_bytes", scope: HOST, value, reason, metric, ratio, confidence })
}
