//! The advisor on the published figures of Llama-3.1-8B.

use strategy_kit::testing::World;
use strategy_kit::types::{Bounds, Fault, Gpu, Hardware, Knob, Observation, Setting, Value};
use strategy_kit::{Knobs, Parameters, Seen};

use crate::advice::{Weights, recommend};
use crate::bindings::advise::{Advice, Choice};
use crate::bindings::control::{Outcome, Verdict};
use crate::parameters::ABOUT;
use crate::policy::Advisor;

const GIB: f64 = 1_073_741_824.0;

fn choice(name: &str, bits_per_weight: f32, gib: f64) -> Choice {
    Choice {
        model: "llama-3.1-8b".to_owned(),
        variant_name: name.to_owned(),
        bits_per_weight,
        size_bytes: (gib * GIB) as u64,
        kv_bytes_per_token: 131_072,
        tokens_per_second: None,
        quality_loss: None,
        loaded: false,
        extra: Vec::new(),
    }
}

fn llama() -> Vec<Choice> {
    let of = |name, bits, gib| choice(name, bits, gib);
    vec![
        of("F16", 16.0, 14.96),
        of("Q8_0", 8.5, 7.95),
        of("Q6_K", 6.56, 6.14),
        of("Q4_K_M", 4.89, 4.58),
        of("Q2_K", 3.16, 2.95),
    ]
}

fn machine(gib: f64) -> Hardware {
    let bytes = (gib * GIB) as u64;
    Hardware {
        physical_cores: 8,
        logical_cores: 16,
        memory_total_bytes: bytes,
        memory_free_bytes: bytes,
        gpus: Vec::new(),
    }
}

fn ask(on: &Hardware, context: u32, choices: &[Choice]) -> Vec<Advice> {
    let weights = Weights::new(&Parameters::defaults(ABOUT.parameters));
    let answer = recommend(on, context, 1, choices, weights);
    assert!(answer.iter().all(|advice| (0.0..=1.0).contains(&advice.confidence)));
    answer
}

fn names(answer: &[Advice]) -> Vec<&str> {
    answer.iter().map(|advice| advice.variant_name.as_str()).collect()
}

#[test]
fn only_what_fits_is_named_and_four_bits_win_on_sixteen_gib() {
    let answer = ask(&machine(16.0), 8192, &llama());
    assert_eq!(names(&answer)[0], "Q4_K_M", "{answer:#?}");
    assert!(!names(&answer).contains(&"F16") && answer.len() == 4);
    assert_eq!(names(&ask(&machine(4.5), 2048, &llama())), ["Q2_K"]);
    assert!(ask(&machine(2.0), 2048, &llama()).is_empty());
}

#[test]
fn a_smaller_cache_makes_room_before_a_smaller_variant_is_forced() {
    // 5.5 GiB of weights, and 4 GiB of cache at 16 bits for 32,768 tokens: 8 bits fit into 10 GiB.
    let answer = ask(&machine(10.0), 32_768, &[choice("Q5_K_M", 5.7, 5.5)]);
    assert_eq!(answer[0].kv_type, "q8_0", "{answer:#?}");
    let answer = ask(&machine(8.5), 32_768, &[choice("Q5_K_M", 5.7, 5.5)]);
    assert_eq!(answer[0].kv_type, "q4_0", "{answer:#?}");
}

#[test]
fn measurements_beat_published_figures_and_raise_confidence() {
    let mut choices = llama();
    let predicted = ask(&machine(16.0), 2048, &choices);
    for (choice, (rate, loss)) in
        choices.iter_mut().zip([(29.0, 0.0), (51.0, 0.0), (59.0, 0.0), (72.0, 0.4), (80.0, 0.9)])
    {
        (choice.tokens_per_second, choice.quality_loss) = (Some(rate), Some(loss));
    }
    let measured = ask(&machine(16.0), 2048, &choices);
    assert_eq!(measured[0].variant_name, "Q6_K", "four bits lose 40 % on this user's prompts: {measured:#?}");
    assert!(measured[0].confidence > predicted[0].confidence);
    assert!(measured[0].reason.contains("measured 59 tokens/s"), "{}", measured[0].reason);
}

#[test]
fn one_measured_variant_calibrates_the_others() {
    let mut choices = llama();
    choices[3].tokens_per_second = Some(72.0);
    let answer = ask(&machine(16.0), 2048, &choices);
    let of = |name: &str| answer.iter().find(|advice| advice.variant_name == name).expect("fits");
    assert!(of("Q8_0").reason.contains("predicted 41.48 tokens/s"), "{}", of("Q8_0").reason);
    assert!(of("Q4_K_M").confidence > of("Q8_0").confidence);
}

#[test]
fn what_fits_only_beside_the_gpu_is_said_so() {
    let gpu = Gpu { name: "gpu".to_owned(), memory_total_bytes: 6 << 30, memory_free_bytes: 6 << 30 };
    let answer = ask(&Hardware { gpus: vec![gpu], ..machine(16.0) }, 2048, &llama());
    let of = |name: &str| answer.iter().find(|advice| advice.variant_name == name).expect("fits");
    assert!(of("Q8_0").reason.contains("beside the GPU") && !of("Q4_K_M").reason.contains("beside the GPU"));
    assert!(of("Q8_0").confidence < of("Q4_K_M").confidence);
}

#[test]
fn nonsense_in_gives_no_nonsense_out() {
    let mut choices = vec![choice("empty", 0.0, 0.0), choice("odd", f32::NAN, 1.0)];
    (choices[1].tokens_per_second, choices[1].quality_loss) = (Some(f32::NAN), Some(f32::INFINITY));
    for advice in ask(&machine(16.0), 0, &choices) {
        assert!(advice.confidence.is_finite() && advice.variant_name == "odd", "{advice:?}");
    }
}

fn short_of_memory(free: u64) -> Observation {
    let mut world = World::new(8);
    world.hardware.memory_free_bytes = free;
    world.advance(20_000);
    let mut seen = world.observe();
    let (name, scope) = ("engine_kv_type".to_owned(), "local".to_owned());
    seen.settings.push(Setting { name, scope, value: Value::Text("f16".to_owned()) });
    seen
}

fn advisor() -> Advisor {
    let words = ["f16", "q8_0", "q4_0"].map(str::to_owned).to_vec();
    let knob = Knob {
        name: "engine_kv_type".to_owned(),
        scope: "local".to_owned(),
        unit: String::new(),
        bounds: Bounds::OneOf(words),
        default: Value::Text("f16".to_owned()),
        reload: true,
    };
    let mut advisor = Advisor::default();
    advisor.configure(&[], Knobs::new(vec![knob])).expect("no parameters");
    advisor
}

#[test]
fn proposes_a_smaller_cache_once_when_memory_is_short() {
    let mut advisor = advisor();
    assert!(advisor.propose(&Seen::new(&short_of_memory(8 << 30), 0)).is_empty());
    let seen = short_of_memory(1 << 30);
    let proposals = advisor.propose(&Seen::new(&seen, 0));
    assert!(matches!(&proposals[0].value, Value::Text(word) if word == "q8_0"), "{proposals:?}");
    assert!(advisor.propose(&Seen::new(&seen, 0)).is_empty(), "it does not repeat itself");
}

#[test]
fn a_rolled_back_cache_is_given_up_for_good() {
    let mut first = advisor();
    first.learn(&[Outcome {
        name: "engine_kv_type".to_owned(),
        scope: "local".to_owned(),
        proposed: Value::Text("q8_0".to_owned()),
        verdict: Verdict::RolledBack,
        detail: String::new(),
        measured: None,
    }]);
    let mut next = advisor();
    next.restore(first.save()).expect("own state");
    assert!(next.propose(&Seen::new(&short_of_memory(1 << 30), 0)).is_empty());
    assert!(matches!(next.restore(vec![0xff]), Err(Fault::Unsupported(_))));
}

#[test]
fn unknown_parameters_are_refused_with_those_allowed() {
    let fault = advisor().configure(&[("weight".to_owned(), "1".to_owned())], Knobs::default());
    let Err(Fault::InvalidParameter(message)) = fault else { panic!("{fault:?}") };
    assert!(message.contains("`weight`") && message.contains("speed_weight, memory_weight"), "{message}");
}

#[test]
fn of_very_many_variants_the_best_hundred_are_advised() {
    let choices: Vec<Choice> = (0..300).map(|at| choice(&format!("V{at}"), 4.0, 1.0 + f64::from(at) / 100.0)).collect();
    let answer = ask(&machine(64.0), 4_096, &choices);
    assert_eq!((answer.len(), names(&answer)[0]), (100, "V0"));
}
