//! The short form of the simulation proof; `examples/experiment_simulation.rs` is the long one.
//!
//! Whole experiments, driven as a host drives them, on traffic that deceives simpler methods. From fixed seeds, so that
//! the counts are the same on every machine.

#![allow(dead_code)]
#![allow(clippy::expect_used, reason = "a test that cannot set up must fail")]

mod proof;

use perfhost_strategy::experiment::Metric;
use proof::rows::{KINDS, equal_arms, life_row, null_row, power_row, succession, unequal_arms};
use proof::traffic::Kind;
use proof::trial::Plan;

/// Runs with equal arms. At 5 %, more than eight of sixty false winners have probability 0.003.
const RUNS: u64 = 60;
const MOST_WRONG: f64 = 8.0 / 60.0;

#[test]
fn equal_arms_rarely_have_a_winner_by_request() {
    for (name, kind) in KINDS {
        let row = null_row(&equal_arms(kind, 2_000), RUNS);
        assert!(row.promoted <= row.named && row.named <= MOST_WRONG, "{name}: {row:?}");
        assert!(row.peeking > row.named, "the traffic deceives nobody: {name}: {row:?}");
    }
}

#[test]
fn equal_percentiles_rarely_have_a_winner() {
    for kind in [Kind::Independent, Kind::Autocorrelated(0.999), Kind::CarryOver] {
        let row = null_row(&Plan { metric: Metric::LatencyP95, ..equal_arms(kind, 2_000) }, RUNS);
        assert!(row.named <= MOST_WRONG, "{kind:?}: {row:?}");
    }
}

#[test]
fn equal_arms_rarely_have_a_winner_in_blocks() {
    for (name, kind) in KINDS {
        let row = null_row(&Plan { is_switchback: true, ..equal_arms(kind, 3_000) }, RUNS);
        assert!(row.named <= MOST_WRONG, "{name}: {row:?}");
        // What regimes are for: on the same blocks, tests that count requests find winners that are none.
        if kind == Kind::Autocorrelated(0.99) {
            assert!(row.peeking > 0.9 && row.tensor_zero > 0.3, "{name}: {row:?}");
        }
    }
}

#[test]
fn real_effects_are_found_with_little_more_than_a_fixed_test_needs() {
    let blocks = Plan { is_switchback: true, ..unequal_arms(Kind::Autocorrelated(0.999), 0.6, 0.2) };
    let lengths = Plan { is_adjusted: true, ..unequal_arms(Kind::Lengths, 0.5, 0.2) };
    let percentile = Plan { metric: Metric::LatencyP95, ..unequal_arms(Kind::Independent, 0.6, 0.2) };
    // The aims, and room for the luck of thirty runs.
    for (plan, times) in
        [(unequal_arms(Kind::Independent, 0.6, 0.2), 1.25), (lengths, 1.0), (percentile, 1.35), (blocks, 2.0)]
    {
        let row = power_row(&plan, 30);
        assert!(row.counted.power >= 0.9, "{row:?} for {plan:?}");
        assert!(row.counted.requests <= times * row.fixed && row.at_same_power <= row.counted.requests, "{row:?}");
        assert!(row.served >= row.counted.requests, "{row:?}");
        assert!(row.peeking.requests < row.counted.requests && row.tensor_zero.power > 0.5, "{row:?}");
    }
}

#[test]
fn ramp_guardrail_and_confirmation_let_a_better_arm_through_and_no_other() {
    let better = life_row(&Plan { requests: 20_000, look_every: 100, ..unequal_arms(Kind::Independent, 0.6, 0.2) }, 10);
    assert!(better.promoted >= 0.9 && better.confirmed >= 0.9 && better.reverted <= 0.1, "{better:?}");
    assert!(better.served > 2_000.0, "a ramp takes its time: {better:?}");
    let equal = life_row(&equal_arms(Kind::CarryOver, 10_000), 30);
    assert!(equal.promoted <= MOST_WRONG && equal.confirmed <= MOST_WRONG, "{equal:?}");
}

#[test]
fn many_equal_challengers_in_turn_are_rarely_promoted_and_better_ones_are() {
    // With nothing but equal challengers every promotion is false: a share of false ones is there at all in 5 % of hosts at
    // most. More than five of forty have probability 0.014, each with as many challengers as built-in ones and steps.
    let hosts: Vec<_> = (1..=40).map(|seed| succession(30, seed, |_| false)).collect();
    let deceived = hosts.iter().filter(|host| host.wrong > 0).count();
    assert!(deceived <= 5, "{deceived} of 40");
    assert!(hosts.iter().all(|host| host.bound.experiments == 30));

    let hosts: Vec<_> = (41..=50).map(|seed| succession(30, seed, |challenger| challenger % 3 == 2)).collect();
    let (right, wrong) = hosts.iter().fold((0, 0), |all, host| (all.0 + host.right, all.1 + host.wrong));
    assert!(right >= 90, "{right} of 100 better ones were found");
    assert!(f64::from(wrong) <= 0.05 * f64::from(right), "{wrong} false ones beside {right}");
}
