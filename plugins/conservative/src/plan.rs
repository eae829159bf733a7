//! How one request is served: where the first token should come soonest, among targets that answer reliably. No hedging,
//! and only answers that are expected to be the same again come from the cache.

use strategy_kit::order;
use strategy_kit::route::{Candidate, Plan, Request};

/// Load that counts as the price of an unreliable target: it comes after every reliable one.
const UNRELIABLE: f32 = 1e9;

/// The plan; a target is unreliable when its error rate is above `error_rate_max`.
///
/// The root of the load stands between two wrongs: where load counts for nothing, a target that was slow once is never
/// asked again; where it counts in full, a slow one gets its share of requests.
pub fn plan(asked: &Request, candidates: &[Candidate], error_rate_max: f32) -> Plan {
    let unmeasured_ms = order::slowest_first_byte_ms(asked, candidates);
    let home = order::home(asked, candidates);
    let cost = |candidate: &Candidate| {
        let penalty = if candidate.error_rate > error_rate_max { UNRELIABLE * candidate.error_rate } else { 0.0 };
        let usual_ms = order::first_byte_ms(asked, candidate).unwrap_or(unmeasured_ms);
        let ms = usual_ms + order::queued_ms(candidate) + order::loading_ms(candidate, home);
        ms * order::load(candidate).sqrt() / (1.0 - candidate.error_rate.clamp(0.0, 0.99)) + penalty
    };
    order::plan(order::by_cost(candidates, cost), asked)
}

#[cfg(test)]
mod tests {
    use strategy_kit::testing::requests::{candidate, request};

    use super::*;

    #[test]
    fn reliable_targets_come_first_then_the_least_loaded() {
        let failing = Candidate { error_rate: 0.2, ..candidate(0) };
        let busy = Candidate { in_flight: 7, ..candidate(1) };
        let loading = Candidate { resident: false, ..candidate(2) };
        let free = Candidate { in_flight: 1, ..candidate(3) };
        assert_eq!(plan(&request(), &[failing, busy, loading, free], 0.02).order, [3, 1, 2, 0]);
    }

    #[test]
    fn the_target_that_answers_soonest_comes_first_until_its_load_outweighs_that() {
        let order = |near: Candidate| plan(&request(), &[near, far()], 0.1).order;
        let near = Candidate { ttft_p50_ms: 200.0, ..candidate(0) };
        assert_eq!(order(near.clone()), [0, 1]);
        // Ten times as slow it is left alone, and asked again once the other is busy enough.
        let slow = Candidate { ttft_p50_ms: 2_000.0, ..near.clone() };
        assert_eq!(order(slow.clone()), [1, 0]);
        let busy = Candidate { in_flight: 19, ..far() };
        assert_eq!(plan(&request(), &[slow, busy], 0.1).order, [0, 1]);
        // Eight wait inside, one gets its turn every 100 ms.
        let full = Candidate { in_flight: 10, queued: 8, latency_p50_ms: 200.0, ..near };
        assert_eq!(order(full), [1, 0]);
    }

    fn far() -> Candidate {
        Candidate { ttft_p50_ms: 600.0, ..candidate(1) }
    }

    #[test]
    fn what_was_not_measured_counts_as_slow_and_is_tried_when_others_are_busy() {
        let unknown = candidate(0);
        assert_eq!(plan(&request(), &[unknown.clone(), Candidate { in_flight: 1, ..far() }], 0.1).order, [0, 1]);
        assert_eq!(plan(&request(), &[Candidate { in_flight: 1, ..unknown }, far()], 0.1).order, [1, 0]);
    }

    #[test]
    fn never_hedges_and_caches_only_what_repeats() {
        let two = [candidate(0), candidate(1)];
        let sampled = plan(&Request { seen_before: true, ..request() }, &two, 0.02);
        assert!(!sampled.cache_read && !sampled.cache_write && sampled.hedge_after_ms == 0);
        let repeated = plan(&Request { deterministic: true, deadline_ms: 900, ..request() }, &two, 0.02);
        assert!(repeated.cache_read && repeated.cache_write && repeated.first_byte_timeout_ms == 900);
    }
}
