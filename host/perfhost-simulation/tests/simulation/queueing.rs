//! Against queueing theory: what is known of single servers, of sharing, and Little's law.

use perfhost_simulation::scenario::{Amount, Arrivals, Requests};
use perfhost_simulation::{Scenario, Totals, Unattended, simulate};

use crate::support::{is_near, knobs, plain_engine};

/// Milliseconds that an answer of 101 tokens takes alone.
const SERVICE_MS: f64 = 1_000.0;
/// Share of the time that the engine is busy.
const LOAD: f64 = 0.7;

fn scenario(output_tokens: Amount, slots: i64, limit: i64) -> Scenario {
    Scenario {
        duration_s: 200_000.0,
        arrivals: Arrivals::Poisson { per_second: LOAD },
        requests: Requests { prompt_tokens: Amount::Fixed(1.0), output_tokens, ..Requests::default() },
        providers: vec![plain_engine()],
        knobs: knobs(&[("engine_slots@local", slots), ("concurrency_limit", limit)]),
        ..Scenario::default()
    }
}

fn run(output_tokens: Amount, slots: i64) -> Totals {
    simulate(&scenario(output_tokens, slots, 1_000), 5, Unattended::default()).unwrap().0.whole
}

#[test]
fn one_slot_with_equal_answers_waits_as_m_d_1() {
    // Pollaczek and Khinchine: mean wait = load / (2 (1 - load)) services.
    let wait_ms = SERVICE_MS * LOAD / (2.0 * (1.0 - LOAD));
    let found = run(Amount::Fixed(101.0), 1).response_mean_ms;
    assert!(is_near(found, SERVICE_MS + wait_ms, 0.02), "{found}");
}

#[test]
fn one_slot_with_exponential_answers_waits_as_m_m_1() {
    // Mean time in the system = service / (1 - load). Whole tokens: at least 1, of which the first takes no time.
    let found = run(Amount::Exponential { exponential: 100.0 }, 1).response_mean_ms;
    let service_s = 0.99_f64;
    assert!(is_near(found, 1_000.0 * service_s / (1.0 - LOAD * service_s), 0.04), "{found}");
}

#[test]
fn many_slots_that_share_one_speed_answer_as_processor_sharing_does() {
    // M/G/1-PS: service / (1 - load), whatever the distribution of services.
    for tokens in [Amount::Fixed(101.0), Amount::Between { from: 1.0, to: 201.0 }] {
        let found = run(tokens, 64).response_mean_ms;
        assert!(is_near(found, SERVICE_MS / (1.0 - LOAD), 0.03), "{tokens:?}: {found}");
    }
}

#[test]
fn waiting_outside_for_the_only_place_is_waiting_inside_for_the_only_slot() {
    let tokens = Amount::Fixed(101.0);
    let outside = simulate(&scenario(tokens, 1, 1), 5, Unattended::default()).unwrap().0.whole;
    assert!(is_near(outside.response_mean_ms, run(tokens, 1).response_mean_ms, 1e-6), "{outside:?}");
    assert!(is_near(outside.queue_mean_ms, outside.response_mean_ms - SERVICE_MS, 1e-3), "{outside:?}");
}

#[test]
fn littles_law_holds_for_those_inside_and_for_those_who_wait() {
    let (run, _) = simulate(&scenario(Amount::Fixed(101.0), 1, 1), 6, Unattended::default()).unwrap();
    let rate = run.requests as f64 / 200_000.0;
    let points = run.points.len() as f64;
    let mean = |of: fn(&perfhost_simulation::Point) -> u64| run.points.iter().map(of).sum::<u64>() as f64 / points;
    let (inside, waiting) = (mean(|point| point.in_flight + point.queued), mean(|point| point.queued));
    // A few hundred samples of the queue against the mean of all requests.
    assert!(is_near(inside, rate * run.whole.response_mean_ms / 1_000.0, 0.12), "{inside} {:?}", run.whole);
    assert!(is_near(waiting, rate * run.whole.queue_mean_ms / 1_000.0, 0.15), "{waiting} {:?}", run.whole);
}
