//! The requests and candidates that plans are asked for. There is always at least one candidate, as the contract says.

use super::numbers::Numbers;
use crate::plan::Operation;
use crate::{Candidate, PlanRequest};

/// An ordinary request.
pub(super) fn ordinary(numbers: &mut Numbers) -> PlanRequest {
    PlanRequest {
        operation: *numbers.pick(&[Operation::Chat, Operation::Completion, Operation::Embedding]),
        model: 0,
        is_streaming: numbers.is_one_in(2),
        is_deterministic: numbers.is_one_in(3),
        prompt_bytes: numbers.up_to(20_000) as u32,
        max_tokens: numbers.up_to(2_048) as u32,
        priority: numbers.up_to(200) as i32 - 100,
        deadline_ms: if numbers.is_one_in(4) { numbers.up_to(60_000) as u32 } else { 0 },
        key: numbers.next(),
        session: if numbers.is_one_in(2) { numbers.next() } else { 0 },
        was_seen_before: numbers.is_one_in(4),
    }
}

/// Ordinary candidates out of a fleet of `targets`, each target at most once.
pub(super) fn candidates(numbers: &mut Numbers, count: u32, targets: u32) -> Vec<Candidate> {
    let first = numbers.up_to(u64::from(targets) - 1) as u32;
    (0..count.min(targets))
        .map(|at| Candidate {
            target: (first + at) % targets,
            in_flight: numbers.up_to(16) as u32,
            queued: numbers.up_to(4) as u32,
            is_resident: !numbers.is_one_in(4),
            latency_p50_ms: numbers.magnitude(1.0, 60_000.0) as f32,
            ttft_p50_ms: numbers.magnitude(1.0, 10_000.0) as f32,
            error_rate: if numbers.is_one_in(4) { numbers.share() as f32 } else { 0.0 },
            cost: if numbers.is_one_in(2) { numbers.magnitude(0.01, 100.0) as f32 } else { 0.0 },
            prefix_match: numbers.share() as f32,
            weight: 1.0,
            tokens_per_second: if numbers.is_one_in(4) { 0.0 } else { numbers.magnitude(1.0, 500.0) as f32 },
        })
        .collect()
}

/// Extremes by name: what was never measured, what is as large as it gets, what must not be used.
pub(super) fn extremes(
    numbers: &mut Numbers,
    count: u32,
    targets: u32,
) -> Vec<(&'static str, PlanRequest, Vec<Candidate>)> {
    let asked = ordinary(numbers);
    let usual = candidates(numbers, count, targets);
    let each = |change: fn(&mut Candidate)| {
        let mut changed = usual.clone();
        changed.iter_mut().for_each(change);
        changed
    };
    let largest = PlanRequest {
        prompt_bytes: u32::MAX,
        max_tokens: u32::MAX,
        priority: i32::MAX,
        deadline_ms: u32::MAX,
        key: u64::MAX,
        session: u64::MAX,
        ..asked
    };
    let smallest = PlanRequest {
        prompt_bytes: 0,
        max_tokens: 0,
        priority: i32::MIN,
        deadline_ms: 0,
        key: 0,
        session: 0,
        is_streaming: false,
        ..asked
    };
    vec![
        ("the largest request", largest, usual.clone()),
        ("the smallest request", smallest, usual.clone()),
        ("a deadline of one millisecond", PlanRequest { deadline_ms: 1, ..asked }, usual.clone()),
        (
            "nothing measured",
            asked,
            each(|one| *one = Candidate { target: one.target, weight: 1.0, ..Candidate::default() }),
        ),
        (
            "everything at its largest",
            asked,
            each(|one| {
                (one.in_flight, one.queued) = (u32::MAX, u32::MAX);
                (one.latency_p50_ms, one.ttft_p50_ms, one.cost, one.weight) = (f32::MAX, f32::MAX, f32::MAX, 100.0);
                one.tokens_per_second = f32::MAX;
                (one.error_rate, one.prefix_match) = (1.0, 1.0);
            }),
        ),
        (
            "everything tiny",
            asked,
            each(|one| {
                (one.latency_p50_ms, one.ttft_p50_ms) = (f32::MIN_POSITIVE, f32::MIN_POSITIVE);
                (one.cost, one.weight) = (f32::MIN_POSITIVE, f32::MIN_POSITIVE);
            }),
        ),
        ("no weight anywhere", asked, each(|one| one.weight = 0.0)),
        ("every request fails everywhere", asked, each(|one| one.error_rate = 1.0)),
        ("nothing loaded", asked, each(|one| one.is_resident = false)),
        (
            "candidates all alike",
            asked,
            each(|one| {
                *one = Candidate { target: one.target, is_resident: true, weight: 1.0, ..Candidate::default() };
            }),
        ),
    ]
}
