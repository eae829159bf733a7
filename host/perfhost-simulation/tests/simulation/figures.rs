//! The engine model against what was measured: Gemma 3 270M Q4_K_M in llama-server on two cores.

use perfhost_simulation::scenario::{Amount, Arrivals, Requests};
use perfhost_simulation::{Scenario, Unattended, simulate};

use crate::support::{is_near, knobs};

fn with_slots(slots: i64) -> Scenario {
    Scenario { duration_s: 600.0, knobs: knobs(&[("engine_slots@local", slots)]), ..Scenario::default() }
}

#[test]
fn eight_clients_get_the_measured_tokens_per_second_with_one_four_and_eight_slots() {
    for (slots, measured) in [(1, 79.0), (4, 125.0), (8, 166.0)] {
        let (run, _) = simulate(&with_slots(slots), 1, Unattended::default()).unwrap();
        let found = run.whole.tokens_per_second;
        assert!(is_near(found, measured, 0.03), "{slots} slots: {found} tokens/s, measured {measured}");
    }
}

#[test]
fn one_stream_alone_has_the_measured_speeds_of_prompt_and_generation() {
    let scenario = Scenario {
        duration_s: 600.0,
        arrivals: Arrivals::Clients { count: 1, think_s: Amount::Fixed(0.0), back_off_s: 1.0 },
        requests: Requests {
            prompt_tokens: Amount::Fixed(677.0),
            output_tokens: Amount::Fixed(85.0),
            ..Requests::default()
        },
        ..Scenario::default()
    };
    let (run, _) = simulate(&scenario, 1, Unattended::default()).unwrap();
    assert!(is_near(run.whole.first_token_p50_ms, 1_000.0, 0.01), "{:?}", run.whole);
    assert!(is_near(run.whole.token_p95_ms, 1_000.0 / 84.0, 0.01), "{:?}", run.whole);
    assert!(is_near(run.whole.response_mean_ms, 2_000.0, 0.01), "{:?}", run.whole);
}

#[test]
fn a_change_of_slots_takes_as_long_as_the_model_loads_and_fails_no_request() {
    use crate::support::{Native, proposal};
    let doubler = Native::new().proposing(|seen| {
        let is_time = seen.now_ms % 60_000 == 0;
        Ok(if is_time { vec![proposal("engine_slots", "local", 2)] } else { Vec::new() })
    });
    let (run, account) = doubler.run(&with_slots(1), 1);
    assert_eq!(run.whole.endings[1..], [0; 6]);
    let before = run.points.iter().find(|point| point.at_s == 60.0).unwrap();
    let after = run.points.iter().find(|point| point.at_s == 120.0).unwrap();
    assert!(is_near(after.tokens_per_second / before.tokens_per_second, 1.33, 0.1), "{before:?} {after:?}");
    // The load takes two seconds, settling five, measuring ten: seen at the next look.
    let measured = account.decisions[0].measured.as_ref().unwrap();
    assert!(measured.after > measured.before * 0.5, "{measured:?}");
    assert_eq!(run.knobs[0].values.len(), 2);
}
