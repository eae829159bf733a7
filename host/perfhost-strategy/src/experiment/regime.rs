//! How arms share traffic, decided by what they touch.
//!
//! A knob that reaches one request only can differ between two requests at the same time: arms are drawn request by
//! request. A knob that reaches shared state (a queue, a cache, an engine) cannot: each arm would live in the other's
//! load, and a difference would be seen where there is none or hidden where there is one. Such arms take turns in blocks
//! of time. Hu & Wager, arXiv 2209.00197 (carry-over and burn-in); congestion as interference, arXiv 2302.12093.

use serde::{Deserialize, Serialize};

use super::arm::Arm;
use crate::KnobId;
use crate::knob::Touches;

/// How arms share traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Regime {
    /// Each unit's arm is drawn by chance; all arms serve at the same time.
    PerRequest,
    /// One arm serves at a time, in blocks whose order is drawn by chance; one observation a block.
    Switchback(Timing),
}

/// Blocks of a switchback. Times count from when the arm is in effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// Length of a block in milliseconds, its burn-in included.
    pub block_ms: u64,
    /// Requests that arrive in this first part of a block are served and not counted: caches, queues and answers under
    /// way still belong to the block before.
    pub burn_in_ms: u64,
}

/// A regime and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// How arms share traffic.
    pub regime: Regime,
    /// For people: which knobs decided it.
    pub reason: String,
    /// Answers that one arm cached must never be served to another's requests, nor to bystanders, or theirs to it; in
    /// either regime the host keys its cache and its flights with [`super::Allocation::cache_partition`].
    pub is_cache_partitioned: bool,
}

/// What blocks have to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    /// How long the host's figures take to settle after a change, in milliseconds; see [`super::settling`].
    pub settling_ms: u64,
    /// 95th percentile of response times in milliseconds: answers begun before a switch are over by then.
    pub response_p95_ms: u64,
    /// Requests per second.
    pub requests_per_second: f64,
}

const LEAST_BURN_IN_MS: u64 = 1_000;
const MOST_BURN_IN_MS: u64 = 300_000;
const LEAST_COUNTED_MS: u64 = 4_000;
const MOST_COUNTED_MS: u64 = 1_200_000;

/// A block's share of good answers says little from fewer requests than this.
const REQUESTS_A_BLOCK: f64 = 30.0;

/// The part of a block that counts is at least this many times its burn-in, so that most traffic tells something.
const COUNTED_TO_BURN_IN: u64 = 3;

impl Timing {
    /// Blocks that are long enough for this pace.
    pub fn for_pace(pace: &Pace) -> Self {
        let burn_in_ms = pace.settling_ms.max(pace.response_p95_ms).clamp(LEAST_BURN_IN_MS, MOST_BURN_IN_MS);
        let for_requests_ms = (REQUESTS_A_BLOCK / pace.requests_per_second.max(1e-3) * 1_000.0) as u64;
        let counted_ms = for_requests_ms.max(burn_in_ms * COUNTED_TO_BURN_IN).clamp(LEAST_COUNTED_MS, MOST_COUNTED_MS);
        Self { block_ms: burn_in_ms + counted_ms, burn_in_ms }
    }
}

/// Chooses by the knobs that any arm may turn; one that the registry does not know counts as shared.
pub fn choose(arms: &[Arm], pace: &Pace) -> Choice {
    let mut knobs: Vec<&str> = arms.iter().flat_map(|arm| arm.turns.iter().map(String::as_str)).collect();
    knobs.sort_unstable();
    knobs.dedup();
    let is_shared = |name: &&str| KnobId::by_name(name).is_none_or(|id| id.touches() == Touches::Shared);
    let shared: Vec<&str> = knobs.iter().copied().filter(is_shared).collect();
    if !shared.is_empty() {
        let timing = Timing::for_pace(pace);
        let reason = format!(
            "arms take turns in blocks of {} s, the first {} s of each not counted, because they may turn what requests \
             share: {}",
            seconds(timing.block_ms),
            seconds(timing.burn_in_ms),
            shared.join(", ")
        );
        return Choice { regime: Regime::Switchback(timing), reason, is_cache_partitioned: true };
    }
    let what = if knobs.is_empty() { "no knob but each request's plan".to_owned() } else { knobs.join(", ") };
    let reason =
        format!("arms are drawn request by request, because they differ in what touches one request only: {what}");
    Choice { regime: Regime::PerRequest, reason, is_cache_partitioned: true }
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { settling_ms: 5_000, response_p95_ms: 8_000, requests_per_second: 2.0 };

    fn arm(turns: &[&str]) -> Arm {
        let turns = turns.iter().map(|name| (*name).to_owned()).collect();
        Arm { name: "a".to_owned(), identity: String::new(), turns }
    }

    #[test]
    fn one_shared_knob_of_one_arm_is_enough_for_blocks() {
        let choice = choose(&[arm(&["retries"]), arm(&["hedge_after_ms", "engine_slots"])], &PACE);
        let Regime::Switchback(timing) = choice.regime else { panic!("{choice:?}") };
        assert_eq!((timing.burn_in_ms, timing.block_ms), (8_000, 32_000));
        assert!(choice.reason.contains("engine_slots") && !choice.reason.contains("retries"), "{}", choice.reason);
    }

    #[test]
    fn request_knobs_go_per_request_and_unknown_ones_do_not() {
        assert_eq!(choose(&[arm(&["retries"]), arm(&[])], &PACE).regime, Regime::PerRequest);
        assert_ne!(choose(&[arm(&["retries"]), arm(&["of_a_later_version"])], &PACE).regime, Regime::PerRequest);
    }

    #[test]
    fn slow_traffic_gets_longer_blocks_within_bounds() {
        let timing = Timing::for_pace(&Pace { requests_per_second: 0.5, ..PACE });
        assert_eq!(timing.block_ms, 8_000 + 60_000);
        let timing = Timing::for_pace(&Pace { requests_per_second: 0.0, settling_ms: u64::MAX, response_p95_ms: 0 });
        assert_eq!(timing.block_ms, MOST_BURN_IN_MS + MOST_COUNTED_MS);
    }
}
