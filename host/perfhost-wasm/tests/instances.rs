//! What instances know and how many there are: configuration, state and fleet reach all of them, the pool grows and
//! shrinks.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use perfhost_strategy::plan::FleetNames;
use perfhost_strategy::{Strategy, StrategyError};
use perfhost_wasm::Limits;
use support::{asked, candidates, fleet, hostile, runtime, seen, set_mode, short_limits};

/// The number that the guest tells in its present mode.
fn told(strategy: &dyn Strategy) -> u32 {
    strategy.plan(&asked(), &candidates(2)).unwrap().cache_ttl_ms
}

#[test]
fn state_learnt_by_the_control_instance_reaches_planning_instances() {
    let strategy = hostile(&runtime(short_limits()), "remember");
    strategy.propose(&seen()).unwrap();
    strategy.propose(&seen()).unwrap();
    assert_eq!(strategy.save().unwrap(), b"xx");
    set_mode(&*strategy, "tell-state");
    assert_eq!(told(&*strategy), 2);
    strategy.restore(b"from before").unwrap();
    assert_eq!(told(&*strategy), 11);
}

#[test]
fn state_survives_a_trap() {
    let strategy = hostile(&runtime(short_limits()), "remember");
    strategy.propose(&seen()).unwrap();
    set_mode(&*strategy, "trap");
    assert!(strategy.propose(&seen()).is_err());
    assert_eq!(strategy.save().unwrap(), b"x");
}

#[test]
fn state_that_the_strategy_does_not_know_is_its_own_words_to_the_host_and_changes_nothing() {
    let strategy = hostile(&runtime(short_limits()), "tell-state");
    let error = strategy.restore(b"?").unwrap_err();
    assert!(matches!(&error, StrategyError::Fault { message, .. } if message.contains("unsupported")), "{error}");
    assert_eq!(told(&*strategy), 0);
}

#[test]
fn the_fleet_reaches_warm_instances() {
    let strategy = hostile(&runtime(short_limits()), "tell-fleet");
    assert_eq!(told(&*strategy), 2);
    strategy.fleet(&FleetNames { targets: Vec::new(), ..fleet() }).unwrap();
    assert_eq!(told(&*strategy), 0);
}

#[test]
fn the_pool_grows_with_calls_at_the_same_moment_up_to_its_limit_and_shrinks_when_idle() {
    let runtime = runtime(Limits { warm_max: 3, ..short_limits() });
    let strategy = hostile(&runtime, "plan-spin");
    let callers = 6;
    let barrier = Arc::new(Barrier::new(callers));
    // Every caller is inside a call at the same moment, because no call ends before its time limit.
    std::thread::scope(|scope| {
        for _ in 0..callers {
            scope.spawn(|| {
                barrier.wait();
                assert!(strategy.plan(&asked(), &candidates(1)).is_err());
            });
        }
    });
    set_mode(&*strategy, "good");
    std::thread::scope(|scope| {
        for _ in 0..callers {
            scope.spawn(|| (0..100).for_each(|_| drop(strategy.plan(&asked(), &candidates(3)).unwrap())));
        }
    });
    assert!((1..=3).contains(&strategy.warm_instances()));
    (0..5).for_each(|_| strategy.trim());
    assert_eq!(strategy.warm_instances(), 1);
}

#[test]
fn warming_makes_instances_ahead_and_resting_gives_all_back_but_what_was_saved() {
    let strategy = hostile(&runtime(Limits { warm_max: 4, ..short_limits() }), "remember");
    strategy.propose(&seen()).unwrap();
    strategy.warm(2).unwrap();
    assert_eq!(strategy.warm_instances(), 3, "and one to spare");
    strategy.warm(9).unwrap();
    assert_eq!(strategy.warm_instances(), 4);
    strategy.rest();
    assert_eq!((strategy.warm_instances(), strategy.save().unwrap()), (0, b"x".to_vec()));
    set_mode(&*strategy, "tell-state");
    assert_eq!(told(&*strategy), 1);
}

#[test]
fn instances_made_ahead_are_kept_however_few_are_needed() {
    let strategy = hostile(&runtime(short_limits()), "good");
    strategy.warm(2).unwrap();
    for _ in 0..5 {
        strategy.plan(&asked(), &candidates(2)).unwrap();
        strategy.trim();
    }
    assert_eq!(strategy.warm_instances(), 3);
}

#[test]
fn a_strategy_outlives_the_handle_it_was_loaded_with() {
    let strategy = {
        let runtime = runtime(short_limits());
        hostile(&runtime, "plan-spin")
    };
    assert!(matches!(strategy.plan(&asked(), &candidates(1)), Err(StrategyError::Timeout { .. })));
}

#[test]
fn no_plan_of_a_warmed_strategy_waits_for_an_instance_to_be_told_or_made() {
    let limits = Limits { call_timeout: Duration::from_millis(300), ..short_limits() };
    let strategy = hostile(&runtime(limits), "spin-in-restore");
    strategy.warm(1).unwrap();
    std::thread::scope(|scope| {
        // Its state changes, and each of its two planning instances spins when it is handed the new one.
        let tuning = scope.spawn(|| strategy.propose(&seen()));
        while strategy.save().unwrap().is_empty() {
            std::thread::yield_now();
        }
        assert_eq!(told(&*strategy), 0, "the other instance plans with what it was told before");
        tuning.join().unwrap().unwrap();
    });
    let counts = strategy.instances();
    let lost = strategy.plan(&asked(), &candidates(2)).unwrap_err();
    assert!(matches!(lost, StrategyError::Busy { .. } | StrategyError::Timeout { call: "restore", .. }), "{lost}");
    assert_eq!((strategy.instances().missed, strategy.instances().made_while_planning), (counts.missed + 1, 0));
    // Once instances can be made again, the keeper makes what was missed.
    set_mode(&*strategy, "tell-state");
    let until = Instant::now() + Duration::from_secs(60);
    while strategy.plan(&asked(), &candidates(2)).is_err() {
        assert!(Instant::now() < until, "{:?}", strategy.instances());
        std::thread::yield_now();
    }
    assert_eq!((told(&*strategy), strategy.instances().made_while_planning), (1, 0));
}

#[test]
fn an_instance_that_was_in_use_during_a_change_is_told_once_it_is_back() {
    let strategy = hostile(&runtime(short_limits()), "good");
    // For two that plan all the time, this thread, and the keeper.
    strategy.warm(3).unwrap();
    let is_over = AtomicBool::new(false);
    let is_planning = Barrier::new(3);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                is_planning.wait();
                while !is_over.load(Ordering::Relaxed) {
                    drop(strategy.plan(&asked(), &candidates(2)));
                }
            });
        }
        is_planning.wait();
        (0..500).for_each(|number| set_mode(&*strategy, if number % 2 == 0 { "good" } else { "tell-fleet" }));
        let until = Instant::now() + Duration::from_secs(60);
        let mut in_a_row = 0;
        while in_a_row < 1_000 && Instant::now() < until {
            let is_told = strategy.plan(&asked(), &candidates(2)).is_ok_and(|plan| plan.cache_ttl_ms == 2);
            in_a_row = if is_told { in_a_row + 1 } else { 0 };
        }
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(in_a_row, 1_000, "an instance is never told");
    });
    // Whichever of them plans now knows.
    assert!((0..10).all(|_| told(&*strategy) == 2));
    let counts = strategy.instances();
    assert_eq!((counts.missed, counts.made_while_planning, counts.failed), (0, 0, 0));
}
