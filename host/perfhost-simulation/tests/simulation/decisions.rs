//! The decision loop: the production guard and supervisor in simulated time.

use perfhost_simulation::scenario::{Machine, built_in};
use perfhost_simulation::{Scenario, Unattended, simulate};
use perfhost_strategy::proposal::ExpectedEffect;
use perfhost_strategy::{Proposal, Scope, StrategyError, Verdict};

use crate::support::{Native, is_near, knobs, proposal};

fn steady() -> Scenario {
    Scenario { duration_s: 600.0, ..built_in::find("steady").unwrap() }
}

fn slots_now(seen: &perfhost_strategy::Observation) -> i64 {
    let slots = seen.settings.iter().find(|setting| setting.name == "engine_slots").unwrap();
    slots.value.as_number().unwrap() as i64
}

#[test]
fn a_strategy_that_doubles_slots_doubles_the_tokens_and_each_effect_is_measured() {
    let climber = Native::new().proposing(|seen| {
        // Before the first answers show the queue that they came out of, every change seems to make it longer.
        let is_warm = seen.metric("response_time_ms", &Scope::global(), 60_000).is_some_and(|all| all.count >= 30);
        let slots = slots_now(seen);
        let expected = Some(ExpectedEffect { metric: "tokens_per_second".to_owned(), ratio: 1.3 });
        let doubled = Proposal { expected, ..proposal("engine_slots", "local", slots * 2) };
        Ok(if slots < 8 && is_warm { vec![doubled] } else { Vec::new() })
    });
    let (run, account) = climber.run(&steady(), 1);
    let (alone, _) = simulate(&steady(), 1, Unattended::default()).unwrap();
    let gain = run.second_half.tokens_per_second / alone.second_half.tokens_per_second;
    assert!(is_near(gain, 166.0 / 79.0, 0.03), "{gain}");
    let applied: Vec<_> = account.decisions.iter().filter(|decision| decision.applied.is_some()).collect();
    assert_eq!((applied.len(), account.failures.len(), account.is_retired), (3, 0, false));
    for decision in applied {
        let measured = decision.measured.as_ref().unwrap();
        assert_eq!(measured.metric, "tokens_per_second");
        assert!((1.1..1.6).contains(&(measured.after / measured.before)), "{decision:?}");
    }
    // Two of every three cycles come while the one before is still measured.
    assert!(account.decisions.iter().any(|decision| decision.detail.contains("settling for")));
    let values: Vec<String> = run.knobs[0].values.iter().map(|(_, value)| value.to_string()).collect();
    assert_eq!(values, ["1", "2", "4", "8"]);
}

#[test]
fn the_guard_takes_back_what_turns_clients_away() {
    let scenario = Scenario {
        knobs: knobs(&[("engine_slots@local", 4), ("concurrency_limit", 4), ("queue_length", 4)]),
        ..steady()
    };
    let shorter = Native::new().proposing(|seen| {
        Ok(if seen.now_ms % 300_000 == 100_000 { vec![proposal("queue_length", "", 1)] } else { Vec::new() })
    });
    let (run, account) = shorter.run(&scenario, 1);
    let first = &account.decisions[0];
    assert_eq!((first.verdict, first.guardrail.as_deref()), (Verdict::RolledBack, Some("rejected_rate")));
    assert!(run.whole.rejected_rate > 0.0 && run.points.last().unwrap().rejected_rate == Some(0.0));
}

#[test]
fn an_engine_that_does_not_fit_beside_the_old_one_is_refused_and_the_setting_goes_back() {
    let machine = Machine { memory_bytes: 6 << 30, other_bytes: 5 << 30, ..Machine::default() };
    let greedy = Native::new().proposing(|seen| {
        Ok(if slots_now(seen) == 1 { vec![proposal("engine_slots", "local", 2)] } else { Vec::new() })
    });
    let (run, account) = greedy.run(&Scenario { machine, ..steady() }, 1);
    let first = &account.decisions[0];
    assert_eq!(first.verdict, Verdict::RolledBack);
    assert!(first.detail.contains("a second process needs"), "{}", first.detail);
    assert_eq!(run.whole.error_rate, 0.0);
    assert!(is_near(run.points.last().unwrap().tokens_per_second, 80.0, 0.05));
}

#[test]
fn a_strategy_that_fails_is_taken_out_of_service_and_nobody_notices() {
    let error = || StrategyError::Trap { call: "propose", message: "unreachable".to_owned() };
    let broken = Native::new().proposing(move |_| Err(error()));
    let (run, account) = broken.run(&steady(), 1);
    let (alone, _) = simulate(&steady(), 1, Unattended::default()).unwrap();
    assert_eq!(run, alone);
    assert!(account.is_retired && account.failures[0].error.contains("trapped in propose"));
    // Three in a row, then after 30, 60, 120 and 240 seconds.
    assert!((5..10).contains(&account.propose_calls), "{account:?}");
}

#[test]
fn a_planner_that_fails_costs_no_request_and_is_not_asked_for_ever() {
    let confused = Native::new().planning(|asked, candidates| {
        Ok(perfhost_strategy::Plan { order: vec![5], ..perfhost_strategy::Plan::default_for(asked, candidates) })
    });
    let (run, account) = confused.run(&steady(), 1);
    assert_eq!(run.whole.error_rate, 0.0);
    assert!(account.plan_failures > 0 && account.plan_failures == account.plan_calls);
    assert!(account.plan_calls <= 100 && (account.is_retired || account.is_demoted), "{account:?}");
    assert!(account.failures[0].error.contains("order names candidate 5"), "{:?}", account.failures);
}
