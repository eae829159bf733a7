//! Tuning: the same calls on two fresh instances, side by side. Every answer is judged, and both must be the same.

use super::cases::{Case, extremes, ordinary};
use super::finding::Severity::Error;
use super::proposals;
use super::trial::{Trial, is_lost};
use crate::decision::writable;
use crate::proposal::Measurement;
use crate::{Outcome, Proposal, Scope, Strategy, StrategyError, Value, Verdict};

/// Relative difference of numbers that went through saved state.
const ROUNDING: f64 = 1e-3;

/// Shows every case to two instances.
pub(super) fn check<E>(trial: &mut Trial<'_, E>) -> Result<(), E> {
    let mut cases = extremes(&mut trial.numbers);
    cases.extend((0..u64::from(trial.options.cases)).map(|at| ordinary(&mut trial.numbers, at)));
    trial.figures.recorded = trial.options.recorded.len() as u64;
    cases.extend(trial.options.recorded.iter().cloned());
    let Some(first) = cases.first() else { return Ok(()) };
    let (mut one, mut other) = (trial.told(first)?, trial.told(first)?);
    let turns = one.description().turns.clone();
    let mut open: Vec<Proposal> = Vec::new();
    for case in &cases {
        if trial.is_given_up() {
            break;
        }
        trial.figures.observations += 1;
        let is_told = trial.tell(one.as_ref(), case);
        if !is_told || !trial.tell(other.as_ref(), case) {
            continue;
        }
        let answer = trial.propose(one.as_ref(), case);
        let again = trial.propose(other.as_ref(), case);
        if !is_same_answer(&answer, &again) {
            not_deterministic(trial, case, &answer, &again);
        }
        let mut is_lost_now = is_lost(&answer) || is_lost(&again);
        let place = format!("case {:?}", case.name);
        match answer {
            Err(error) => trial.failed(&error, &place),
            Ok(proposals) => {
                trial.figures.proposals += proposals.len() as u64;
                proposals::judge(&mut trial.findings, case, &turns, &proposals);
                let outcomes = outcomes(trial, &mut open, proposals);
                for instance in [&one, &other] {
                    is_lost_now |= !learn_and_save(trial, instance.as_ref(), &outcomes, &place);
                }
            }
        }
        // What one has lost with its memory and the other has not would look like chance from then on.
        if is_lost_now {
            open.clear();
            (one, other) = (trial.told(case)?, trial.told(case)?);
        }
    }
    stray_outcomes(trial, one.as_ref());
    Ok(())
}

/// Whether both calls passed.
fn learn_and_save<E>(trial: &mut Trial<'_, E>, strategy: &dyn Strategy, outcomes: &[Outcome], place: &str) -> bool {
    let (learned, saved) = (strategy.learn(outcomes), strategy.save());
    let has_learned = trial.passed(learned, place).is_some();
    let Some(state) = trial.passed(saved, place) else { return false };
    trial.figures.state_bytes = trial.figures.state_bytes.max(state.len() as u64);
    has_learned
}

/// Whether two answers are the same to the last bit.
pub(super) fn is_same_answer(
    one: &Result<Vec<Proposal>, StrategyError>,
    other: &Result<Vec<Proposal>, StrategyError>,
) -> bool {
    match (one, other) {
        // Numbers that are not finite never equal themselves; as records keep them they do.
        (Ok(one), Ok(other)) => one.iter().map(writable).eq(other.iter().map(writable)),
        // How a call fails may differ: one instance may have grown more than the other.
        (Err(_), Err(_)) => true,
        _ => false,
    }
}

/// Whether two answers ask for the same, but for what is lost where numbers are written down with a few digits.
pub(super) fn is_alike(
    one: &Result<Vec<Proposal>, StrategyError>,
    other: &Result<Vec<Proposal>, StrategyError>,
) -> bool {
    let is_near = |one: f64, other: f64| (one - other).abs() <= ROUNDING * one.abs().max(other.abs());
    let is_same_value = |one: &Value, other: &Value| match (one, other) {
        (Value::Number(one), Value::Number(other)) => is_near(*one, *other),
        _ => one == other,
    };
    let is_same_change = |(one, other): (&Proposal, &Proposal)| {
        is_same_value(&one.value, &other.value)
            && is_near(one.confidence, other.confidence)
            && (&one.name, &one.scope) == (&other.name, &other.scope)
    };
    match (one, other) {
        (Ok(one), Ok(other)) => one.len() == other.len() && one.iter().zip(other).all(is_same_change),
        (Err(_), Err(_)) => true,
        _ => false,
    }
}

fn not_deterministic<E>(
    trial: &mut Trial<'_, E>,
    case: &Case,
    one: &Result<Vec<Proposal>, StrategyError>,
    other: &Result<Vec<Proposal>, StrategyError>,
) {
    let says =
        format!("two fresh instances that were told the same answer differently: {} and {}", words(one), words(other));
    let fix = "derive everything from the observation, its seed and saved state: no clock, no randomness of its own, no order \
               that follows from addresses or from a hash table's own seed";
    trial.findings.add(Error, "not-deterministic", "propose", (format!("propose, case {:?}", case.name), says, fix));
}

/// An answer, short.
pub(super) fn words(answer: &Result<Vec<Proposal>, StrategyError>) -> String {
    match answer {
        Ok(proposals) if proposals.is_empty() => "nothing".to_owned(),
        Ok(proposals) => {
            let first = proposals.iter().take(3);
            let one = |one: &Proposal| {
                format!(
                    "{} of {} = {} ({:?}, confidence {})",
                    one.name, one.scope, one.value, one.reason, one.confidence
                )
            };
            first.map(one).collect::<Vec<_>>().join(", ")
        }
        Err(error) => error.to_string(),
    }
}

/// What a host would say of these proposals and of some that are still open.
fn outcomes<E>(trial: &mut Trial<'_, E>, open: &mut Vec<Proposal>, proposals: Vec<Proposal>) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for proposal in proposals {
        let verdict = *trial.numbers.pick(&[Verdict::Applied, Verdict::Applied, Verdict::Clamped, Verdict::Refused]);
        outcomes.push(outcome(&proposal, verdict, None));
        if verdict != Verdict::Refused {
            open.push(proposal);
        }
    }
    if trial.numbers.is_one_in(2) && !open.is_empty() {
        let proposal = open.remove(0);
        let verdict = *trial.numbers.pick(&[Verdict::Applied, Verdict::Applied, Verdict::RolledBack]);
        let metric =
            proposal.expected.as_ref().map_or("response_time_ms".to_owned(), |expected| expected.metric.clone());
        let measured =
            Measurement { metric, before: trial.numbers.magnitude(1.0, 1e4), after: trial.numbers.magnitude(1.0, 1e4) };
        // Not every change can be measured.
        let measured = (!trial.numbers.is_one_in(4)).then_some(measured);
        outcomes.push(outcome(&proposal, verdict, measured));
    }
    outcomes
}

fn outcome(proposal: &Proposal, verdict: Verdict, measured: Option<Measurement>) -> Outcome {
    let proposal = writable(proposal);
    let detail = "a made-up outcome".to_owned();
    Outcome { name: proposal.name, scope: proposal.scope, proposed: proposal.value, verdict, detail, measured }
}

/// Outcomes of changes that it never asked for, as after a swap or a restart.
fn stray_outcomes<E>(trial: &mut Trial<'_, E>, strategy: &dyn Strategy) {
    let stray = |name: &str, proposed: Value, verdict, measured| Outcome {
        name: name.to_owned(),
        scope: Scope::provider("gone"),
        proposed,
        verdict,
        detail: String::new(),
        measured,
    };
    let nothing = Measurement { metric: "later_metric".to_owned(), before: 0.0, after: 0.0 };
    let outcomes = [
        stray("engine_slots", Value::Integer(i64::MAX), Verdict::RolledBack, Some(nothing)),
        stray("later_knob", Value::Text("é".to_owned()), Verdict::Applied, None),
        stray("", Value::Number(0.0), Verdict::Clamped, None),
    ];
    let learned = strategy.learn(&outcomes);
    trial.passed(learned, "outcomes of changes that it never asked for");
    let learned = strategy.learn(&[]);
    trial.passed(learned, "no outcomes");
}
