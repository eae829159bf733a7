//! The short form of the simulation proof; `examples/experiment_simulation.rs` is the long one.
//!
//! Whole experiments, driven as a host drives them, on traffic that deceives simpler methods. From fixed seeds, so that
//! the counts are the same on every machine.

#![allow(dead_code)]
#![allow(clippy::expect_used, reason = "a test that cannot set up must fail")]

mod random;
mod rules;
mod traffic;
mod trial;

use perfhost_strategy::experiment::Metric;
use traffic::{Kind, Shape};
use trial::{Plan, runs};

const NULL: Shape = Shape { kind: Kind::Independent, base: 0.6, effect: 0.0, swing: 0.25 };

fn plan(kind: Kind, is_switchback: bool) -> Plan {
    let shape = Shape { kind, ..NULL };
    Plan { shape, metric: Metric::Goodput, is_switchback, is_adjusted: false, requests: 1_000, look_every: 50 }
}

/// At 5 %, sixty runs have more than 8 false winners with probability 0.003; a z-test that is watched has some 15.
fn assert_rarely_wrong(plan: Plan) {
    let wrong = runs(&plan, 1, 60, false).iter().filter(|run| run.winner.is_some()).count();
    assert!(wrong <= 8, "{wrong} of 60 for {plan:?}");
}

#[test]
fn equal_arms_rarely_have_a_winner_by_request() {
    for kind in [Kind::Autocorrelated(0.999), Kind::Diurnal, Kind::CarryOver, Kind::LateChallenger] {
        assert_rarely_wrong(plan(kind, false));
    }
}

#[test]
fn equal_arms_rarely_have_a_winner_in_blocks() {
    for kind in [Kind::Autocorrelated(0.999), Kind::CarryOver] {
        assert_rarely_wrong(Plan { requests: 3_000, look_every: 100, ..plan(kind, true) });
    }
}

/// What the regimes are for: on the same blocks, a test that counts requests finds winners that are none.
#[test]
fn peeking_at_requests_in_blocks_is_almost_always_wrong() {
    let runs = runs(&Plan { requests: 3_000, ..plan(Kind::Autocorrelated(0.999), true) }, 1, 30, true);
    let wrong = runs.iter().filter(|run| run.peeking.is_some()).count();
    assert!(wrong > 20, "{wrong} of 30");
}

#[test]
fn real_effects_are_found() {
    let effect = |plan: Plan, effect: f64| Plan { shape: Shape { effect, ..plan.shape }, ..plan };
    let independent = effect(Plan { requests: 4_000, ..plan(Kind::Independent, false) }, 0.2);
    let blocks = effect(Plan { requests: 6_000, ..plan(Kind::Autocorrelated(0.99), true) }, 0.5);
    let percentile =
        Plan { metric: Metric::LatencyP95, requests: 8_000, ..effect(plan(Kind::Independent, false), 0.3) };
    for plan in [independent, blocks, percentile] {
        let found = runs(&plan, 1, 20, false).iter().filter(|run| run.winner == Some(1)).count();
        assert!(found >= 18, "{found} of 20 for {plan:?}");
    }
}
