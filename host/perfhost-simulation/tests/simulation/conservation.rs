//! Every request that arrives ends exactly once, whatever happens to it.

use perfhost_simulation::operator::{Beginning, Direction};
use perfhost_simulation::scenario::{
    Amount, Arrivals, CloudSpec, Disturbance, Effect, EngineSpec, ModelShare, ModelSpec, ProviderSpec, Repeats,
    Requests,
};
use perfhost_simulation::{Ending, Operator, RequestEnd, Scenario, simulate};
use perfhost_strategy::knob::{Bounds, OfferedKnob};
use perfhost_strategy::{Candidate, Observation, Plan, PlanRequest, Settings, StrategyError, Value};
use std::sync::Arc;

use crate::support::plain_cloud;

/// Answers anything: plans that make no sense, settings at their ends, from one request to the next.
struct Chaos {
    state: u64,
    settings: Arc<Settings>,
    offered: Vec<OfferedKnob>,
    ends: Vec<RequestEnd>,
}

impl Chaos {
    fn below(&mut self, below: u64) -> u64 {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) % below
    }
}

impl Operator for Chaos {
    fn begin(&mut self, beginning: &Beginning<'_>) -> Result<(), StrategyError> {
        self.settings = beginning.settings.clone();
        self.offered = beginning.offered.to_vec();
        Ok(())
    }

    fn direct(&mut self, asked: &PlanRequest, candidates: &[Candidate]) -> Direction {
        let mut plan = Plan::default_for(asked, candidates);
        if self.below(3) == 0 {
            plan.order.reverse();
        }
        if self.below(10) == 0 {
            plan.order = vec![9];
        }
        plan.cache_read = self.below(2) == 0;
        plan.cache_write = self.below(2) == 0;
        plan.cache_ttl_ms = self.below(2) as u32 * 5_000;
        plan.hedge_after_ms = self.below(3) as u32 * 200;
        plan.first_byte_timeout_ms = self.below(3) as u32 * 700;
        plan.priority = self.below(3) as i32 - 1;
        Direction { plan, settings: self.settings.clone(), arm: 0 }
    }

    fn look(&mut self, _: &Observation) -> Option<Arc<Settings>> {
        let at = self.below(self.offered.len() as u64) as usize;
        let (id, scope) = (self.offered[at].knob.id, self.offered[at].at.clone());
        let value = match self.offered[at].bounds_here.clone() {
            Bounds::AnyFlag => Value::Flag(self.below(2) == 0),
            Bounds::IntegerRange(lowest, highest) => {
                // Small values are where most goes wrong.
                let reach = if self.below(3) == 0 { 8 } else { 40_000 };
                Value::Integer((lowest + self.below(reach) as i64).min(highest))
            }
            Bounds::NumberRange(lowest, highest) => Value::Number(if self.below(2) == 0 { lowest } else { highest }),
            Bounds::OneOf(words) => Value::Text(words[self.below(words.len() as u64) as usize].clone()),
        };
        self.settings = Arc::new(self.settings.with(id, &scope, value));
        Some(self.settings.clone())
    }

    fn finished(&mut self, end: &RequestEnd) {
        self.ends.push(*end);
    }
}

/// Everything at once: an engine that is loaded on demand, the managed one, two services, and all that can go wrong.
fn everything(arrivals: Arrivals) -> Scenario {
    let model = |name: &str| ModelSpec { name: name.to_owned(), weights_bytes: 3 << 30, ..ModelSpec::default() };
    let on_demand = EngineSpec {
        name: "ollama".to_owned(),
        managed: false,
        models: vec![model("a"), model("b"), model("c")],
        memory_bytes: 4 << 30,
        keep_alive_s: 20.0,
        context_tokens: 90,
        ..EngineSpec::default()
    };
    let ProviderSpec::Cloud(cloud) = plain_cloud("cloud", 300.0, 0.2) else { panic!("a cloud was asked for") };
    let cloud = CloudSpec { models: vec!["a".to_owned(), "b".to_owned()], ..cloud };
    let disturbance = |at_s, for_s, effect| Disturbance { at_s, for_s, effect };
    let down = |provider: &str| Effect::Down { provider: provider.to_owned() };
    Scenario {
        duration_s: 300.0,
        arrivals,
        requests: Requests {
            prompt_tokens: Amount::Between { from: 10.0, to: 110.0 },
            deterministic: 0.5,
            streamed: 0.7,
            repeats: Some(Repeats { share: 0.7, distinct: 30, exponent: 1.0 }),
            models: [("a", 0.3), ("b", 0.2), ("c", 0.2), ("mine", 0.3)]
                .map(|(name, share)| ModelShare { name: name.to_owned(), share })
                .to_vec(),
            users: 5,
            patience_s: Some(Amount::Exponential { exponential: 20.0 }),
            ..Requests::default()
        },
        providers: vec![
            // Nobody else has its model: without it, requests for that cannot be served at all.
            ProviderSpec::Engine(EngineSpec { models: vec![model("mine")], ..EngineSpec::default() }),
            ProviderSpec::Engine(on_demand),
            ProviderSpec::Cloud(cloud),
        ],
        disturbances: vec![
            disturbance(50.0, 20.0, down("local")),
            disturbance(100.0, 20.0, down("ollama")),
            disturbance(110.0, 60.0, down("cloud")),
            disturbance(150.0, 60.0, Effect::Slower { provider: "local".to_owned(), factor: 5.0 }),
            disturbance(200.0, 60.0, Effect::Failing { provider: "ollama".to_owned(), share: 0.9 }),
            disturbance(220.0, 60.0, Effect::Memory { bytes: 12 << 30 }),
        ],
        ..Scenario::default()
    }
}

#[test]
fn every_request_ends_exactly_once_whatever_the_operator_and_the_world_do() {
    let mut endings = [0; Ending::COUNT];
    for seed in 0..12 {
        let arrivals = match seed % 3 {
            0 => Arrivals::Clients { count: 20, think_s: Amount::Exponential { exponential: 1.0 }, back_off_s: 0.5 },
            1 => Arrivals::Poisson { per_second: 4.0 },
            _ => Arrivals::Burst { per_second: 1.0, burst_per_second: 20.0, every_s: 60.0, for_s: 10.0 },
        };
        let chaos = Chaos { state: seed, settings: Arc::default(), offered: Vec::new(), ends: Vec::new() };
        let (run, chaos) = simulate(&everything(arrivals), seed, chaos).unwrap();
        let mut numbers: Vec<u64> = chaos.ends.iter().map(|end| end.number).collect();
        numbers.sort_unstable();
        assert!(numbers.iter().copied().eq(0..run.requests), "seed {seed}: {} of {}", numbers.len(), run.requests);
        assert_eq!((run.whole.requests, run.whole.endings.iter().sum()), (run.requests, run.requests));
        for end in &chaos.ends {
            let first_ms = end.first_token_ms.unwrap_or(0.0);
            assert!(
                end.ended >= end.arrived && first_ms <= end.response_ms && end.queue_ms <= end.response_ms,
                "{end:?}"
            );
            assert!(end.ending != Ending::Success || end.output_tokens > 0, "{end:?}");
        }
        for (sum, count) in endings.iter_mut().zip(run.whole.endings) {
            *sum += count;
        }
    }
    assert!(endings.iter().all(|count| *count > 0), "something never happened: {endings:?}");
}
