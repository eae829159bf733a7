//! The built-in scenarios: eight small worlds, each with one thing that a strategy has to cope with.
//!
//! Whose numbers are not said to be measured are chosen to make that thing plain on a small machine.

use super::{
    Amount, Arrivals, CloudSpec, Disturbance, Effect, EngineSpec, Generation, Machine, ModelShare, ModelSpec,
    ProviderSpec, Repeats, Requests, Scenario,
};

/// One of them by its name.
pub fn find(name: &str) -> Option<Scenario> {
    all().into_iter().find(|scenario| scenario.name == name)
}

/// All of them.
pub fn all() -> Vec<Scenario> {
    vec![
        steady(),
        burst(),
        provider_slow(),
        provider_down(),
        memory_pressure(),
        cache_friendly(),
        cache_hostile(),
        cold_models(),
    ]
}

fn named(name: &str, about: &str) -> Scenario {
    Scenario { name: name.to_owned(), about: about.to_owned(), ..Scenario::default() }
}

/// One slot, eight clients: as measured, four slots give 1.6 times the tokens per second, eight 2.1 times.
fn steady() -> Scenario {
    named("steady", "eight clients that ask again at once, and a managed engine that begins with one slot")
}

/// With eight slots the engine answers 2.6 requests per second; a burst brings 5.
fn burst() -> Scenario {
    Scenario {
        arrivals: Arrivals::Burst { per_second: 0.6, burst_per_second: 5.0, every_s: 300.0, for_s: 60.0 },
        requests: Requests { patience_s: Some(Amount::Fixed(60.0)), ..Requests::default() },
        ..named("burst", "every five minutes, for a minute, more requests than any number of slots can answer")
    }
}

/// The faster of two services takes ten times as long for ten minutes.
fn provider_slow() -> Scenario {
    Scenario {
        arrivals: Arrivals::Poisson { per_second: 5.0 },
        providers: vec![
            cloud("near", "groq", (200.0, 0.5), 4.0, 0.002),
            cloud("far", "openai-compatible", (600.0, 0.4), 12.0, 0.002),
        ],
        disturbances: vec![disturbance(600.0, 600.0, Effect::Slower { provider: "near".to_owned(), factor: 10.0 })],
        ..named("provider-slow", "of two services, the one that was faster takes ten times as long for ten minutes")
    }
}

/// A managed engine with a service to fall back on: first the service fails, then the engine is gone.
fn provider_down() -> Scenario {
    Scenario {
        arrivals: Arrivals::Poisson { per_second: 1.0 },
        providers: vec![
            ProviderSpec::Engine(EngineSpec::default()),
            cloud("service", "openai-compatible", (400.0, 0.5), 15.0, 0.0),
        ],
        disturbances: vec![
            disturbance(300.0, 300.0, Effect::Failing { provider: "service".to_owned(), share: 0.5 }),
            disturbance(900.0, 300.0, Effect::Down { provider: "local".to_owned() }),
            disturbance(1_400.0, 200.0, Effect::Down { provider: "service".to_owned() }),
        ],
        knobs: [("engine_slots@local".to_owned(), perfhost_strategy::Value::Integer(2))].into(),
        ..named(
            "provider-down",
            "an engine and a service; the service fails half its requests for a while, then the engine is gone, then the \
             service",
        )
    }
}

/// A model of 8B parameters, of which 256 MiB more are wanted for each slot. What other programs take after 25 minutes
/// leaves room for the engine with three slots; with more, the machine swaps.
fn memory_pressure() -> Scenario {
    let generation = [(1, 50.0), (4, 120.0), (8, 170.0)];
    let engine = EngineSpec {
        models: vec![ModelSpec {
            name: "llama-3.1-8b".to_owned(),
            weights_bytes: 4_692 << 20,
            kv_bytes_per_token: 131_072,
            load_s: 8.0,
            speed: 1.0,
        }],
        prompt_tokens_per_second: 1_000.0,
        generation: generation.map(|(requests, tokens_per_second)| Generation { requests, tokens_per_second }).to_vec(),
        ..EngineSpec::default()
    };
    Scenario {
        duration_s: 3_600.0,
        arrivals: Arrivals::Clients { count: 6, think_s: Amount::Exponential { exponential: 2.0 }, back_off_s: 1.0 },
        machine: Machine { cores: 16, memory_bytes: 16 << 30, other_bytes: 3 << 30 },
        providers: vec![ProviderSpec::Engine(engine)],
        disturbances: vec![disturbance(1_500.0, 900.0, Effect::Memory { bytes: 7_400 << 20 })],
        ..named(
            "memory-pressure",
            "a large model whose slots take memory, which other programs need for a quarter of an hour",
        )
    }
}

/// Nine of ten requests were asked before, and most expect the same answer again.
fn cache_friendly() -> Scenario {
    Scenario {
        arrivals: Arrivals::Poisson { per_second: 3.0 },
        requests: Requests {
            deterministic: 0.9,
            repeats: Some(Repeats { share: 0.9, distinct: 400, exponent: 1.0 }),
            ..Requests::default()
        },
        ..named("cache-friendly", "nine of ten requests were asked before, the popular ones again and again")
    }
}

/// No request comes twice, and none expects the same answer again.
fn cache_hostile() -> Scenario {
    Scenario {
        arrivals: Arrivals::Poisson { per_second: 1.5 },
        requests: Requests { deterministic: 0.0, ..Requests::default() },
        ..named("cache-hostile", "no request comes twice: whatever the cache is given is lost")
    }
}

/// Two machines with memory for one model each, and three models: who is sent where decides how often one is loaded.
fn cold_models() -> Scenario {
    let names = ["llama-3.1-8b", "mistral-7b", "qwen-2.5-7b"];
    let model = |name: &str| ModelSpec {
        name: name.to_owned(),
        weights_bytes: 4_500 << 20,
        kv_bytes_per_token: 131_072,
        load_s: 6.0,
        speed: 1.0,
    };
    let machine = |name: &str| {
        ProviderSpec::Engine(EngineSpec {
            name: name.to_owned(),
            kind: "ollama".to_owned(),
            managed: false,
            models: names.map(model).to_vec(),
            prompt_tokens_per_second: 2_000.0,
            generation: [(1, 50.0), (4, 150.0)]
                .map(|(requests, tokens_per_second)| Generation { requests, tokens_per_second })
                .to_vec(),
            slots: 4,
            memory_bytes: 8 << 30,
            keep_alive_s: 300.0,
            ..EngineSpec::default()
        })
    };
    let share = |(name, share): (&str, f64)| ModelShare { name: name.to_owned(), share };
    Scenario {
        arrivals: Arrivals::Poisson { per_second: 0.3 },
        requests: Requests {
            models: names.into_iter().zip([0.6, 0.3, 0.1]).map(share).collect(),
            ..Requests::default()
        },
        providers: vec![machine("left"), machine("right")],
        ..named(
            "cold-models",
            "three models, two machines with memory for one each: a model that is not there is loaded",
        )
    }
}

fn cloud(name: &str, kind: &str, first_token_ms: (f64, f64), token_ms: f64, failing: f64) -> ProviderSpec {
    ProviderSpec::Cloud(CloudSpec {
        name: name.to_owned(),
        kind: kind.to_owned(),
        first_token_ms: Amount::Varying { mean: first_token_ms.0, variation: first_token_ms.1 },
        token_ms: Amount::Varying { mean: token_ms, variation: 0.2 },
        failing,
        ..CloudSpec::default()
    })
}

fn disturbance(at_s: f64, for_s: f64, effect: Effect) -> Disturbance {
    Disturbance { at_s, for_s, effect }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_makes_sense_has_a_name_and_can_be_written_and_read() {
        for scenario in all() {
            assert!(scenario.check().is_ok() && !scenario.about.is_empty(), "{:?}", scenario.check());
            assert_eq!(find(&scenario.name).as_ref(), Some(&scenario));
            let text = serde_json::to_string(&scenario).unwrap();
            assert_eq!(serde_json::from_str::<Scenario>(&text).unwrap(), scenario);
        }
        assert!(find("unknown").is_none());
    }
}
