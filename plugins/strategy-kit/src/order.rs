//! Ordering a request's candidates: one allocation, for the order itself.

use crate::route::{Candidate, Plan, Request};

/// Indexes of `candidates`, lowest `cost` first, ties in the host's order. Those with weight 0 are left out unless
/// every one has it.
pub fn by_cost(candidates: &[Candidate], cost: impl Fn(&Candidate) -> f32) -> Vec<u32> {
    let is_everyone_off = candidates.iter().all(|candidate| candidate.weight <= 0.0);
    let mut order: Vec<u32> = Vec::with_capacity(candidates.len());
    for (index, candidate) in candidates.iter().enumerate() {
        if candidate.weight <= 0.0 && !is_everyone_off {
            continue;
        }
        // Insertion: there are few candidates, and computing a cost again is cheaper than keeping it.
        let this = cost(candidate);
        let place = order.iter().position(|other| this.total_cmp(&cost(&candidates[*other as usize])).is_lt());
        order.insert(place.unwrap_or(order.len()), index as u32);
    }
    order
}

/// Requests at a candidate and waiting there, with this one, for its weight.
pub fn load(candidate: &Candidate) -> f32 {
    (candidate.in_flight + candidate.queued + 1) as f32 / candidate.weight.max(0.01)
}

/// A plan in that order which keeps every setting, honours the client's deadline, and caches only what is expected to
/// give the same answer again.
pub fn plan(order: Vec<u32>, asked: &Request) -> Plan {
    Plan {
        order,
        cache_read: asked.deterministic,
        cache_write: asked.deterministic,
        cache_ttl_ms: 0,
        first_byte_timeout_ms: asked.deadline_ms,
        hedge_after_ms: 0,
        priority: asked.priority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::requests::candidate;

    #[test]
    fn orders_by_cost_and_leaves_out_weight_zero() {
        let with = |in_flight, weight| Candidate { in_flight, weight, ..candidate(0) };
        let candidates = [with(5, 1.0), with(0, 0.0), with(1, 1.0), with(2, 4.0), with(1, 1.0)];
        assert_eq!(by_cost(&candidates, load), [3, 2, 4, 0]);
        assert_eq!(by_cost(&[with(2, 0.0), with(1, 0.0)], load), [1, 0]);
        assert_eq!(by_cost(&[], load), [] as [u32; 0]);
        assert_eq!(by_cost(&candidates[..1], |_| f32::NAN), [0]);
    }
}
