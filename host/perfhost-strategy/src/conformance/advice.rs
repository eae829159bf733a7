//! Advice: of the choices given, what fits, best first, the same from equal instances.

use super::cases::{Case, ordinary};
use super::finding::Severity::{Error, Warning};
use super::finding::shortened;
use super::numbers::Numbers;
use super::trial::Trial;
use crate::StrategyError;
use crate::advice::{Advice, Choice};
use crate::observation::Hardware;

/// Types of KV cache that can be advised.
const KV_TYPES: [&str; 3] = ["f16", "q8_0", "q4_0"];

const GIB: u64 = 1 << 30;

pub(super) fn check<E>(trial: &mut Trial<'_, E>) -> Result<(), E> {
    let case = ordinary(&mut trial.numbers, 0);
    let (one, other) = (trial.told(&case)?, trial.told(&case)?);
    for (name, hardware, (context, parallel), choices) in questions(&mut trial.numbers, &case) {
        if trial.is_given_up() {
            return Ok(());
        }
        let advice = one.advise(&hardware, context, parallel, &choices);
        let again = other.advise(&hardware, context, parallel, &choices);
        trial.figures.calls += 2;
        trial.count(&advice);
        trial.count(&again);
        let place = format!("recommend, {name}");
        if !is_same(&advice, &again) {
            let says = "two fresh instances advise differently";
            let fix = "let advice follow from the question and the parameters alone";
            trial.findings.add(Error, "not-deterministic", "recommend", (place.clone(), says, fix));
        }
        match advice {
            Err(error) => trial.failed(&error, name),
            Ok(advice) => judge(trial, &advice, &choices, &place),
        }
    }
    Ok(())
}

type Question = (&'static str, Hardware, (u32, u32), Vec<Choice>);

fn questions(numbers: &mut Numbers, case: &Case) -> Vec<Question> {
    let usual = &case.observation.hardware;
    let hardware = |free| Hardware { memory_total_bytes: 64 * GIB, memory_free_bytes: free, ..usual.clone() };
    let some: Vec<Choice> = (0..12).map(|at| choice(numbers, at)).collect();
    let many: Vec<Choice> = (0..1_000).map(|at| choice(numbers, at)).collect();
    let unmeasured = some.iter().cloned().map(|one| Choice { tokens_per_second: None, quality_loss: None, ..one });
    let zero = some.iter().cloned().map(|one| Choice {
        bits_per_weight: 0.0,
        size_bytes: 0,
        kv_bytes_per_token: 0,
        tokens_per_second: Some(0.0),
        quality_loss: Some(0.0),
        ..one
    });
    let huge = some.iter().cloned().map(|one| Choice {
        bits_per_weight: f32::MAX,
        size_bytes: u64::MAX,
        kv_bytes_per_token: u64::MAX,
        tokens_per_second: Some(f32::MAX),
        quality_loss: Some(f32::MAX),
        ..one
    });
    let odd =
        some.iter().map(|one| Choice { model: "模型/🦀".to_owned(), variant_name: String::new(), ..one.clone() });
    vec![
        ("twelve variants", hardware(16 * GIB), (4_096, 1), some.clone()),
        ("no variants", hardware(16 * GIB), (4_096, 1), Vec::new()),
        ("a thousand variants", hardware(64 * GIB), (4_096, 4), many),
        ("no memory free", hardware(0), (4_096, 1), some.clone()),
        ("nothing known of the machine", Hardware::default(), (4_096, 1), some.clone()),
        ("no context", hardware(16 * GIB), (0, 0), some.clone()),
        ("the largest context", hardware(16 * GIB), (u32::MAX, u32::MAX), some.clone()),
        ("nothing measured", hardware(16 * GIB), (4_096, 1), unmeasured.collect()),
        ("all zero", hardware(16 * GIB), (4_096, 1), zero.collect()),
        ("huge variants", hardware(16 * GIB), (4_096, 1), huge.collect()),
        ("odd names", hardware(16 * GIB), (4_096, 1), odd.collect()),
    ]
}

fn choice(numbers: &mut Numbers, at: u64) -> Choice {
    let (name, bits) =
        *numbers.pick(&[("Q2_K", 3.0_f32), ("Q4_K_M", 4.8), ("Q6_K", 6.6), ("Q8_0", 8.5), ("F16", 16.0)]);
    let parameters = numbers.magnitude(2e8, 7e10);
    Choice {
        model: format!("model-{}", at / 4),
        variant_name: format!("{name}-{at}"),
        bits_per_weight: bits,
        size_bytes: (parameters * f64::from(bits) / 8.0) as u64,
        kv_bytes_per_token: numbers.magnitude(1e4, 1e6) as u64,
        tokens_per_second: (!numbers.is_one_in(3)).then(|| numbers.magnitude(1.0, 500.0) as f32),
        quality_loss: (!numbers.is_one_in(3)).then(|| numbers.magnitude(1e-4, 1.0) as f32),
        is_loaded: numbers.is_one_in(6),
    }
}

fn is_same(one: &Result<Vec<Advice>, StrategyError>, other: &Result<Vec<Advice>, StrategyError>) -> bool {
    match (one, other) {
        (Ok(one), Ok(other)) => one == other,
        (Err(_), Err(_)) => true,
        _ => false,
    }
}

fn judge<E>(trial: &mut Trial<'_, E>, advice: &[Advice], choices: &[Choice], place: &str) {
    for one in advice {
        let name = shortened(&format!("{} {}", one.model, one.variant_name));
        let is_choice =
            choices.iter().any(|choice| choice.model == one.model && choice.variant_name == one.variant_name);
        if !is_choice {
            let fix = "recommend only variants from the list of choices, by their names there";
            let says = format!("it recommends {name:?}, which is no choice");
            trial.findings.add(Error, "no-such-choice", "recommend", (place, says, fix));
        }
        if !KV_TYPES.contains(&one.kv_type.as_str()) {
            let says = format!("it recommends the KV cache type {:?} for {name}", shortened(&one.kv_type));
            trial.findings.add(
                Error,
                "kv-type",
                "recommend",
                (place, says, format!("use one of {}", KV_TYPES.join(", "))),
            );
        }
        if !(0.0..=1.0).contains(&one.confidence) {
            let says = format!("its confidence in {name} is {}", one.confidence);
            trial.findings.add(Error, "confidence", "recommend", (place, says, "give a number from 0 to 1"));
        }
        if one.reason.trim().is_empty() {
            let fix = "say in one sentence why this one";
            trial.findings.add(Warning, "no-reason", "recommend", (place, format!("no reason for {name}"), fix));
        }
    }
}
