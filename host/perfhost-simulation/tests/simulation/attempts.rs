//! Retries, hedging, time limits and admission: what the real host does, in the numbers that follow from it.

use perfhost_simulation::scenario::{Amount, Arrivals, Disturbance, Effect, EngineSpec, ProviderSpec, Requests};
use perfhost_simulation::{Ending, Scenario, Totals, Unattended, simulate};
use perfhost_strategy::Plan;

use crate::support::{Native, is_near, knobs, plain_cloud, plain_engine};

fn clouds(providers: Vec<ProviderSpec>, values: &[(&str, i64)]) -> Scenario {
    Scenario {
        duration_s: 2_000.0,
        arrivals: Arrivals::Poisson { per_second: 5.0 },
        providers,
        knobs: knobs(values),
        ..Scenario::default()
    }
}

fn run(scenario: &Scenario) -> Totals {
    simulate(scenario, 2, Unattended::default()).unwrap().0.whole
}

fn count(totals: &Totals, ending: Ending) -> u64 {
    totals.endings[ending as usize]
}

#[test]
fn a_failure_before_the_first_byte_is_tried_elsewhere_as_often_as_settings_say() {
    let two = || vec![plain_cloud("a", 100.0, 0.2), plain_cloud("b", 100.0, 0.2)];
    let errors = |retries| run(&clouds(two(), &[("retries", retries)])).error_rate;
    assert!(is_near(errors(0), 0.2, 0.05) && is_near(errors(1), 0.04, 0.15), "{} {}", errors(0), errors(1));
    // Both have been asked: an answer that says 503 is not asked for again.
    assert_eq!(errors(1), errors(5));
    let alone = run(&clouds(vec![plain_cloud("a", 100.0, 0.2)], &[("retries", 5)]));
    assert!(is_near(alone.error_rate, 0.2, 0.05));
}

#[test]
fn nobody_is_lost_while_one_of_two_is_down_and_it_is_left_alone_once_that_is_known() {
    let mut scenario = clouds(vec![plain_cloud("a", 100.0, 0.0), plain_cloud("b", 100.0, 0.0)], &[("retries", 1)]);
    let down = Effect::Down { provider: "a".to_owned() };
    scenario.disturbances = vec![Disturbance { at_s: 100.0, for_s: 1_000.0, effect: down }];
    let totals = run(&scenario);
    // Answers that had begun break off; every other request is answered by the other.
    let lost = count(&totals, Ending::UpstreamError);
    assert!((1..15).contains(&lost) && totals.requests == lost + count(&totals, Ending::Success), "{totals:?}");
}

#[test]
fn a_late_first_byte_is_given_up_and_another_asked() {
    let providers = || vec![plain_cloud("a", 5_000.0, 0.0), plain_cloud("b", 100.0, 0.0)];
    let first_a = |timeout| {
        let strategy = Native::new()
            .planning(|asked, candidates| Ok(Plan { order: vec![0, 1], ..Plan::default_for(asked, candidates) }));
        strategy.run(&clouds(providers(), &[("first_byte_timeout_ms", timeout), ("retries", 1)]), 2).0.whole
    };
    assert!(is_near(first_a(1_000).first_token_p50_ms, 1_100.0, 0.02));
    assert!(is_near(first_a(60_000).first_token_p50_ms, 5_000.0, 0.02));
}

#[test]
fn a_hedge_takes_the_tail_off_and_is_sent_only_when_it_is_late() {
    let slow = |name: &str| match plain_cloud(name, 0.0, 0.0) {
        ProviderSpec::Cloud(cloud) => ProviderSpec::Cloud(perfhost_simulation::scenario::CloudSpec {
            first_token_ms: Amount::Exponential { exponential: 500.0 },
            ..cloud
        }),
        other => other,
    };
    let totals = |hedge_after_ms| run(&clouds(vec![slow("a"), slow("b")], &[("hedge_after_ms", hedge_after_ms)]));
    // The first of an exponential time, and after 1 s of the first of two.
    assert!(is_near(totals(0).first_token_p95_ms, 500.0 * 20.0_f64.ln(), 0.05));
    let expected_ms = 1_000.0 + 250.0 * (20.0 * (-2.0_f64).exp()).ln();
    assert!(is_near(totals(1_000).first_token_p95_ms, expected_ms, 0.05), "{:?}", totals(1_000));
    assert!(is_near(totals(1_000).first_token_p50_ms, totals(0).first_token_p50_ms, 0.05));
}

#[test]
fn the_queue_is_as_long_and_as_patient_as_settings_say() {
    let overload = |values: &[(&str, i64)]| {
        let scenario = Scenario {
            duration_s: 2_000.0,
            arrivals: Arrivals::Poisson { per_second: 2.0 },
            requests: Requests { output_tokens: Amount::Fixed(101.0), ..Requests::default() },
            providers: vec![plain_engine()],
            knobs: knobs(values),
            ..Scenario::default()
        };
        run(&scenario)
    };
    // One request a second can be served.
    let full = overload(&[("concurrency_limit", 1), ("queue_length", 4)]);
    assert!(is_near(full.rejected_rate, 0.5, 0.05) && full.queue_mean_ms < 4_000.0, "{full:?}");
    let impatient = overload(&[("concurrency_limit", 1), ("queue_wait_ms", 2_000)]);
    assert!(is_near(impatient.rejected_rate, 0.5, 0.06) && impatient.response_p99_ms < 3_100.0, "{impatient:?}");
    let late = overload(&[("total_timeout_ms", 5_000)]);
    assert!(count(&late, Ending::Timeout) > 500 && late.response_p99_ms < 5_100.0, "{late:?}");
}

#[test]
fn a_context_that_is_too_small_cuts_answers_short_or_refuses_the_prompt() {
    let with_context = |context: i64| {
        let scenario = Scenario {
            duration_s: 300.0,
            requests: Requests {
                prompt_tokens: Amount::Between { from: 200.0, to: 400.0 },
                output_tokens: Amount::Fixed(50.0),
                ..Requests::default()
            },
            providers: vec![ProviderSpec::Engine(EngineSpec::default())],
            knobs: knobs(&[("engine_context_tokens@local", context), ("engine_slots@local", 8)]),
            objective: perfhost_simulation::scenario::Objective {
                first_token_ms: 1e6,
                token_ms: 1e6,
                response_ms: 1e6,
            },
            ..Scenario::default()
        };
        run(&scenario)
    };
    assert_eq!(with_context(512).goodput, 1.0);
    let small = with_context(300);
    assert!(count(&small, Ending::ClientError) > 100, "{small:?}");
    let good_of_answered = small.good as f64 / count(&small, Ending::Success) as f64;
    assert!((0.3..0.7).contains(&good_of_answered), "{small:?}");
}

#[test]
fn clients_who_lose_patience_stop_the_work_for_them() {
    let scenario = Scenario {
        duration_s: 1_000.0,
        arrivals: Arrivals::Poisson { per_second: 2.0 },
        requests: Requests {
            output_tokens: Amount::Fixed(101.0),
            patience_s: Some(Amount::Fixed(0.5)),
            ..Requests::default()
        },
        providers: vec![plain_engine()],
        ..Scenario::default()
    };
    let totals = run(&scenario);
    assert_eq!(count(&totals, Ending::Cancelled), totals.requests);
    // Half a second each of one slot: were abandoned requests worked on, the queue would never end.
    assert!(totals.tokens_per_second > 50.0, "{totals:?}");
}
