//! Ordering a request's candidates: one allocation, for the order itself.

use crate::route::{Candidate, Plan, Request};

/// What it takes to load a model of some gigabytes, in milliseconds, as nothing says how long it took the last time.
pub const LOADING_MS: f32 = 10_000.0;

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

/// Recent median time to the first byte, in milliseconds: of a stream its first token, else the whole answer. `None`
/// where nothing was measured yet.
pub fn first_byte_ms(asked: &Request, candidate: &Candidate) -> Option<f32> {
    let is_token_known = asked.streaming && candidate.ttft_p50_ms > 0.0;
    let median = if is_token_known { candidate.ttft_p50_ms } else { candidate.latency_p50_ms };
    (median > 0.0 && median.is_finite()).then_some(median)
}

/// The slowest first byte of all candidates, in milliseconds; 1 where none was measured. What one is counted with as
/// long as nothing is known of it: it is tried when the others are loaded, and not flooded.
pub fn slowest_first_byte_ms(asked: &Request, candidates: &[Candidate]) -> f32 {
    let known = candidates.iter().filter_map(|candidate| first_byte_ms(asked, candidate));
    known.reduce(f32::max).unwrap_or(1.0)
}

/// How long those who wait inside a target will take to get their turn, in milliseconds: by Little's law one of the
/// requests at work is answered every `latency / requests at work`.
pub fn queued_ms(candidate: &Candidate) -> f32 {
    let at_work = candidate.in_flight.saturating_sub(candidate.queued).max(1);
    candidate.queued as f32 * candidate.latency_p50_ms.max(0.0) / at_work as f32
}

/// What an answer waits for its model, in milliseconds; `home` is [`home`] of the request.
pub fn loading_ms(candidate: &Candidate, home: Option<u32>) -> f32 {
    match candidate.resident {
        true => 0.0,
        false if home == Some(candidate.target) => LOADING_MS,
        // Loaded here, it may push another model out, which is then loaded again.
        false => 2.0 * LOADING_MS,
    }
}

/// The target on which a model that is loaded nowhere should be loaded. Each model has a place of its own: were all of
/// them loaded where the least is under way, which in quiet times is the first in the host's order, they would push each
/// other out of one machine's memory while another's is free.
pub fn home(asked: &Request, candidates: &[Candidate]) -> Option<u32> {
    let place = (asked.model as usize).checked_rem(candidates.len())?;
    candidates.get(place).map(|candidate| candidate.target)
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
    use crate::testing::requests::{candidate, request};

    #[test]
    fn orders_by_cost_and_leaves_out_weight_zero() {
        let with = |in_flight, weight| Candidate { in_flight, weight, ..candidate(0) };
        let candidates = [with(5, 1.0), with(0, 0.0), with(1, 1.0), with(2, 4.0), with(1, 1.0)];
        assert_eq!(by_cost(&candidates, load), [3, 2, 4, 0]);
        assert_eq!(by_cost(&[with(2, 0.0), with(1, 0.0)], load), [1, 0]);
        assert_eq!(by_cost(&[], load), [] as [u32; 0]);
        assert_eq!(by_cost(&candidates[..1], |_| f32::NAN), [0]);
    }

    #[test]
    fn a_first_byte_is_a_token_of_a_stream_and_else_the_answer() {
        let measured = Candidate { latency_p50_ms: 900.0, ttft_p50_ms: 100.0, ..candidate(0) };
        let whole = Request { streaming: false, ..request() };
        assert_eq!(first_byte_ms(&request(), &measured), Some(100.0));
        assert_eq!(first_byte_ms(&whole, &measured), Some(900.0));
        assert_eq!(first_byte_ms(&request(), &candidate(0)), None);
        let odd = Candidate { latency_p50_ms: f32::NAN, ..candidate(0) };
        assert_eq!(first_byte_ms(&whole, &odd), None);
        assert_eq!(slowest_first_byte_ms(&request(), &[candidate(0), measured.clone(), candidate(2)]), 100.0);
        assert_eq!(slowest_first_byte_ms(&request(), &[candidate(0), odd]), 1.0);
    }

    #[test]
    fn who_waits_inside_gets_a_turn_when_one_at_work_is_done() {
        // Four at work for 800 ms each: one is done every 200 ms.
        let busy = Candidate { in_flight: 7, queued: 3, latency_p50_ms: 800.0, ..candidate(0) };
        assert_eq!(queued_ms(&busy), 600.0);
        assert_eq!(queued_ms(&Candidate { queued: 9, in_flight: 1, ..busy.clone() }), 7_200.0);
        assert_eq!(queued_ms(&Candidate { queued: 0, ..busy }), 0.0);
    }

    #[test]
    fn models_have_homes_of_their_own() {
        let two = [candidate(3), candidate(8)];
        let home_of = |model| home(&Request { model, ..request() }, &two);
        assert_eq!([1, 2, 3].map(home_of), [Some(8), Some(3), Some(8)]);
        assert_eq!(home(&request(), &[]), None);
        let cold = Candidate { resident: false, ..candidate(3) };
        assert_eq!([Some(3), Some(8)].map(|home| loading_ms(&cold, home)), [LOADING_MS, 2.0 * LOADING_MS]);
        assert_eq!(loading_ms(&candidate(3), Some(8)), 0.0);
    }
}
