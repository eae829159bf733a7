//! How one request is served: by latency, load and cost together, each relative to the worst of the candidates.

use strategy_kit::order;
use strategy_kit::route::{Candidate, Plan, Request};

/// What each part counts for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weights {
    /// Recent latency.
    pub latency: f32,
    /// Requests under way and waiting.
    pub load: f32,
    /// Price.
    pub cost: f32,
}

/// The plan. What was not measured yet counts as the middle, so that a new target is tried without being flooded.
pub fn plan(asked: &Request, candidates: &[Candidate], weights: Weights) -> Plan {
    let latency = |candidate: &Candidate| match asked.streaming && candidate.ttft_p50_ms > 0.0 {
        true => candidate.ttft_p50_ms,
        false => candidate.latency_p50_ms,
    };
    let worst = |part: &dyn Fn(&Candidate) -> f32| candidates.iter().map(part).fold(0.0, f32::max);
    let (latency_max, cost_max) = (worst(&latency), worst(&|candidate| candidate.cost));
    let load_max = worst(&order::load);
    let home = order::home(asked, candidates);
    let score = |candidate: &Candidate| {
        let slowness = match latency(candidate) {
            known if known > 0.0 => known / latency_max,
            _ => 0.5,
        };
        let price = if cost_max > 0.0 { candidate.cost / cost_max } else { 0.0 };
        let loading = match candidate.resident {
            true => 0.0,
            false if home == Some(candidate.target) => 0.5,
            false => 0.75,
        };
        let score =
            weights.latency * slowness + weights.load * order::load(candidate) / load_max + weights.cost * price;
        // A target that fails half of its requests costs every request twice.
        (score + loading) / (1.0 - candidate.error_rate.clamp(0.0, 0.99))
    };
    order::plan(order::by_cost(candidates, score), asked)
}

#[cfg(test)]
mod tests {
    use strategy_kit::testing::requests::{candidate, request};

    use super::*;

    const WEIGHTS: Weights = Weights { latency: 0.4, load: 0.3, cost: 0.3 };

    fn target(latency_p50_ms: f32, in_flight: u32, cost: f32) -> Candidate {
        Candidate { latency_p50_ms, in_flight, cost, ..candidate(0) }
    }

    #[test]
    fn each_part_decides_when_the_others_are_equal() {
        let order = |candidates: &[Candidate]| plan(&request(), candidates, WEIGHTS).order;
        assert_eq!(order(&[target(900.0, 1, 1.0), target(300.0, 1, 1.0)]), [1, 0]);
        assert_eq!(order(&[target(300.0, 9, 1.0), target(300.0, 1, 1.0)]), [1, 0]);
        assert_eq!(order(&[target(300.0, 1, 10.0), target(300.0, 1, 0.0)]), [1, 0]);
    }

    #[test]
    fn a_free_local_target_beats_a_faster_dear_one_until_it_is_loaded() {
        let order =
            |in_flight| plan(&request(), &[target(900.0, in_flight, 0.0), target(700.0, 2, 5.0)], WEIGHTS).order;
        assert_eq!(order(1), [0, 1]);
        assert_eq!(order(30), [1, 0]);
    }

    #[test]
    fn failures_and_unknowns_are_weighed() {
        let failing = Candidate { error_rate: 0.6, ..target(300.0, 1, 0.0) };
        assert_eq!(plan(&request(), &[failing, target(400.0, 1, 0.0)], WEIGHTS).order, [1, 0]);
        assert_eq!(plan(&request(), &[candidate(0), candidate(1)], WEIGHTS).order, [0, 1]);
    }

    #[test]
    fn a_model_is_loaded_at_its_home_unless_that_is_much_busier() {
        let cold = |in_flight| Candidate { resident: false, in_flight, ..candidate(0) };
        let order = |model, left, right| {
            let candidates = [cold(left), Candidate { target: 1, ..cold(right) }];
            plan(&Request { model, ..request() }, &candidates, WEIGHTS).order
        };
        assert_eq!((order(1, 0, 0), order(2, 0, 0)), (vec![1, 0], vec![0, 1]));
        assert_eq!((order(1, 0, 1), order(1, 0, 9)), (vec![1, 0], vec![0, 1]));
    }
}
