//! Instances that have grown, served their share or failed are replaced, and no request makes the new one.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod support;

use std::thread;
use std::time::{Duration, Instant};

use perfhost_strategy::Strategy;
use perfhost_strategy::strategy::InstanceCounts;
use perfhost_wasm::Limits;
use support::{asked, candidates, hostile, runtime, seen, set_mode, short_limits};

/// The number that the guest tells in its present mode.
fn told(strategy: &dyn Strategy) -> u32 {
    strategy.plan(&asked(), &candidates(2)).unwrap().cache_ttl_ms
}

/// Waits until the keeper has done what it was called for: as many instances are there again.
fn settled(strategy: &dyn Strategy, warm: usize, is_done: impl Fn(InstanceCounts) -> bool) -> InstanceCounts {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let counts = strategy.instances();
        if is_done(counts) && strategy.warm_instances() == warm {
            return counts;
        }
        assert!(Instant::now() < until, "{counts:?}, {} warm", strategy.warm_instances());
        thread::yield_now();
    }
}

#[test]
fn instances_serve_their_share_of_calls_and_no_plan_makes_the_next() {
    let strategy = hostile(&runtime(Limits { retire_after_calls: 3, ..short_limits() }), "tell-calls");
    for round in 1..=4 {
        assert_eq!((told(&*strategy), told(&*strategy), told(&*strategy)), (1, 2, 3), "round {round}");
        let counts = settled(&*strategy, 1, |counts| counts.made == round + 1);
        assert_eq!((counts.retired, counts.made_while_planning, counts.failed), (round, 0, 0));
    }
}

#[test]
fn an_instance_serves_on_until_its_successor_is_there() {
    // Due after every call: where nobody waits for the keeper, the one instance goes on.
    let strategy = hostile(&runtime(Limits { retire_after_calls: 1, ..short_limits() }), "tell-calls");
    let told: Vec<u32> = (0..10_000).map(|_| told(&*strategy)).collect();
    let counts = settled(&*strategy, 1, |counts| counts.made > 1);
    assert_eq!(counts.made_while_planning, 0);
    // As many first calls as there were instances that served.
    let served = told.iter().filter(|calls| **calls == 1).count() as u64;
    assert!((1..=counts.made).contains(&served), "{served} of {}", counts.made);
}

#[test]
fn an_instance_that_has_grown_is_replaced_and_no_plan_makes_the_next() {
    let strategy = hostile(&runtime(Limits { retire_after_growth_bytes: 4 << 20, ..short_limits() }), "plan-leak");
    let ready = strategy.memory().planning_bytes;
    for _ in 0..50 {
        let made = strategy.instances().made;
        let retired = strategy.instances().retired;
        // The guest keeps a MiB of every call.
        while strategy.instances().retired == retired {
            strategy.plan(&asked(), &candidates(1)).unwrap();
            assert!(strategy.memory().planning_bytes <= ready + (6 << 20));
        }
        settled(&*strategy, 1, |counts| counts.made > made);
    }
    assert_eq!(strategy.instances().made_while_planning, 0);
}

#[test]
fn growth_faster_than_the_keeper_ends_no_call() {
    let strategy = hostile(&runtime(Limits { retire_after_growth_bytes: 4 << 20, ..short_limits() }), "plan-leak");
    let ready = strategy.memory().planning_bytes;
    for _ in 0..300 {
        strategy.plan(&asked(), &candidates(1)).unwrap();
        assert!(strategy.memory().planning_bytes <= ready + (18 << 20));
    }
}

#[test]
fn little_memory_left_makes_an_instance_due_before_it_is_used_up() {
    let limits = Limits { memory_bytes: 12 << 20, retire_after_growth_bytes: 64 << 20, ..short_limits() };
    let strategy = hostile(&runtime(limits), "plan-leak");
    for _ in 0..100 {
        strategy.plan(&asked(), &candidates(1)).unwrap();
    }
    assert!(strategy.instances().retired > 10);
}

#[test]
fn an_instance_lost_to_a_failure_is_replaced_and_no_plan_makes_the_next() {
    let strategy = hostile(&runtime(short_limits()), "good");
    strategy.warm(1).unwrap();
    for failures in 1..=5 {
        set_mode(&*strategy, "plan-trap");
        assert!(strategy.plan(&asked(), &candidates(1)).is_err());
        set_mode(&*strategy, "good");
        strategy.plan(&asked(), &candidates(1)).unwrap();
        let counts = settled(&*strategy, 2, |counts| counts.made == 2 + failures);
        assert_eq!((counts.failed, counts.made_while_planning), (failures, 0));
    }
}

#[test]
fn more_plans_at_once_than_instances_are_counted() {
    let strategy = hostile(&runtime(Limits { warm_max: 0, ..short_limits() }), "good");
    strategy.plan(&asked(), &candidates(1)).unwrap();
    strategy.plan(&asked(), &candidates(1)).unwrap();
    assert_eq!(strategy.instances().made_while_planning, 2);
}

#[test]
fn a_control_instance_that_grows_is_replaced_with_what_it_saved() {
    let strategy = hostile(&runtime(short_limits()), "remember");
    strategy.propose(&seen()).unwrap();
    set_mode(&*strategy, "leak");
    let limit = short_limits().memory_bytes;
    for _ in 0..200 {
        strategy.propose(&seen()).unwrap();
        assert!(strategy.memory().control_bytes < limit * 4 / 5);
    }
    assert_eq!(strategy.save().unwrap(), b"x");
}
