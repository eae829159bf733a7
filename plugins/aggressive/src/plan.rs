//! How one request is served: where answers take least time for the load there is, the prompt is cached already and the
//! model is loaded, with a second try at about the 95th percentile of the wait.

use strategy_kit::order;
use strategy_kit::route::{Candidate, Plan, Request};

/// p95 over p50 of a wait whose length is exponentially distributed: ln 20 / ln 2.
const P95_OVER_P50: f32 = 4.3;
/// A hedge before this would only double the load.
const HEDGE_MIN_MS: f32 = 50.0;
/// What a fully cached prompt takes off a target's price.
const PREFIX_GAIN: f32 = 0.8;

/// The plan. `caches_sampled` lets answers come from the cache that would be expected to differ the next time.
pub fn plan(asked: &Request, candidates: &[Candidate], caches_sampled: bool) -> Plan {
    // What was not measured yet counts as the slowest: it is tried when the others are loaded.
    let slowest_ms = candidates.iter().map(|candidate| candidate.latency_p50_ms).fold(1.0, f32::max);
    let home = order::home(asked, candidates);
    let cost = |candidate: &Candidate| {
        let prefix = 1.0 - PREFIX_GAIN * candidate.prefix_match.clamp(0.0, 1.0);
        let answer_ms = if candidate.latency_p50_ms > 0.0 { candidate.latency_p50_ms } else { slowest_ms };
        let ms = answer_ms + order::loading_ms(candidate, home);
        ms * order::load(candidate) * prefix * (1.0 + 10.0 * candidate.error_rate)
    };
    let base = order::plan(order::by_cost(candidates, cost), asked);
    let is_cached = asked.deterministic || caches_sampled;
    Plan {
        // What was asked before is read even where it was sampled; what is new has no entry to be read.
        cache_read: asked.deterministic || (caches_sampled && asked.seen_before),
        cache_write: is_cached,
        hedge_after_ms: hedge_after_ms(asked, candidates, &base.order),
        ..base
    }
}

/// About the 95th percentile of the first choice's wait for its first byte. Never where the second choice has a queue,
/// which a hedge would lengthen for others, nor where a model has to be loaded: that wait is no accident, and a second
/// load pushes another model out.
fn hedge_after_ms(asked: &Request, candidates: &[Candidate], order: &[u32]) -> u32 {
    let [first, second, ..] = order else { return 0 };
    let (first, second) = (&candidates[*first as usize], &candidates[*second as usize]);
    // Without a stream the first byte comes with the whole answer.
    let median = if asked.streaming { first.ttft_p50_ms } else { first.latency_p50_ms };
    if median <= 0.0 || second.queued > 0 || !first.resident || !second.resident {
        return 0;
    }
    (median * P95_OVER_P50).max(HEDGE_MIN_MS) as u32
}

#[cfg(test)]
mod tests {
    use strategy_kit::testing::requests::{candidate, request};

    use super::*;

    #[test]
    fn cached_prompts_and_loaded_models_come_first() {
        let cold = Candidate { resident: false, ..candidate(0) };
        let loaded = Candidate { in_flight: 1, ..candidate(1) };
        let cached = Candidate { in_flight: 2, prefix_match: 0.9, ..candidate(2) };
        assert_eq!(plan(&request(), &[cold, loaded, cached], true).order, [2, 1, 0]);
    }

    #[test]
    fn hedges_at_about_p95_and_only_where_nobody_queues() {
        let first = Candidate { ttft_p50_ms: 100.0, ..candidate(0) };
        let second = Candidate { in_flight: 1, ..candidate(1) };
        assert_eq!(plan(&request(), &[first.clone(), second.clone()], true).hedge_after_ms, 430);
        let queued = Candidate { queued: 1, ..second };
        assert_eq!(plan(&request(), &[first.clone(), queued], true).hedge_after_ms, 0);
        assert_eq!(plan(&request(), std::slice::from_ref(&first), true).hedge_after_ms, 0);
        let cold = Candidate { resident: false, ..candidate(1) };
        assert_eq!(plan(&request(), &[first, cold], true).hedge_after_ms, 0);
    }

    #[test]
    fn slow_answers_weigh_as_much_as_load() {
        let near = Candidate { latency_p50_ms: 500.0, in_flight: 2, ..candidate(0) };
        let far = Candidate { latency_p50_ms: 2_000.0, ..candidate(1) };
        assert_eq!(plan(&request(), &[far.clone(), near.clone()], true).order, [1, 0]);
        let busy = Candidate { in_flight: 4, ..near };
        assert_eq!(plan(&request(), &[far, busy], true).order, [0, 1]);
    }

    #[test]
    fn sampled_answers_are_kept_and_read_when_asked_again() {
        let one = [candidate(0)];
        let new = plan(&request(), &one, true);
        assert!(!new.cache_read && new.cache_write);
        let again = Request { seen_before: true, ..request() };
        assert!(plan(&again, &one, true).cache_read);
        let off = plan(&again, &one, false);
        assert!(!off.cache_read && !off.cache_write);
    }
}
