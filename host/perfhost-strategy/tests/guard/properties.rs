//! What holds for any history of proposals, traffic, reloads, swaps and interference. The seed is fixed: the same
//! histories in every run.

use std::collections::BTreeMap;

use perfhost_strategy::decision::writable;
use perfhost_strategy::guard::{Guard, GuardPolicy, Handover, Occasion};
use perfhost_strategy::knob::{Bounds, Step};
use perfhost_strategy::strategy::Identity;
use perfhost_strategy::{
    CycleRecord, Decision, DecisionUpdate, KnobId, Observation, Proposal, Scope, Settings, Value, Verdict,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngSeed, TestRunner};

use crate::fixture::{Traffic, identity, offered, proposal};

/// Something that happens between two cycles.
#[derive(Debug, Clone, PartialEq)]
enum Event {
    Nothing,
    TookEffect,
    Failed,
    Swap,
    /// Another of three arms has its turn, with the same settings.
    Turn(u32),
    Operator(KnobId, i64),
}

/// One cycle of the control loop.
#[derive(Debug, Clone)]
struct Cycle {
    wait_ms: u64,
    traffic: Traffic,
    event: Event,
    proposals: Vec<Proposal>,
}

/// Everything that a history of cycles left behind.
#[derive(Debug, Clone, PartialEq)]
struct Log {
    cycles: Vec<(Event, CycleRecord)>,
    decisions: Vec<Decision>,
    updates: Vec<DecisionUpdate>,
    settings: Vec<Settings>,
    open: Vec<u64>,
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => prop_oneof![-10_i64..100, any::<i64>()].prop_map(Value::Integer),
        2 => prop_oneof![-1.0..110.0, any::<f64>(), Just(f64::NAN), Just(f64::INFINITY)].prop_map(Value::Number),
        1 => prop_oneof![Just("on"), Just("q4_0"), Just("NaN"), Just("")].prop_map(|word| Value::Text(word.to_owned())),
        1 => any::<bool>().prop_map(Value::Flag),
    ]
}

fn any_proposal() -> impl Strategy<Value = Proposal> {
    let name = prop_oneof![9 => prop::sample::select(KnobId::ALL).prop_map(KnobId::name), 1 => Just("unknown")];
    let scope = prop_oneof![Just(""), Just("local"), Just("other"), Just("gone")];
    let confidence = prop_oneof![8 => 0.0..=1.0, 1 => any::<f64>()];
    (name, scope, any_value(), confidence).prop_map(|(name, scope, value, confidence)| {
        // Most scopes fit the knob, so that something happens.
        let is_global =
            KnobId::by_name(name).is_some_and(|id| id.knob().scope == perfhost_strategy::scope::ScopeKind::Global);
        let scope = if is_global && scope != "gone" { "" } else { scope };
        Proposal { confidence, ..proposal(name, scope, value) }
    })
}

fn any_traffic() -> impl Strategy<Value = Traffic> {
    let some = (0_u64..60, 1.0..5_000.0, 0.0..0.3, 0.0..20.0).prop_map(|(requests, response_ms, errors, load)| {
        Traffic { requests, response_ms, errors, load, first_token_ms: response_ms / 4.0, ..Traffic::STEADY }
    });
    prop_oneof![3 => Just(Traffic::STEADY), 1 => Just(Traffic::IDLE), 3 => some]
}

fn any_cycle() -> impl Strategy<Value = Cycle> {
    let event = prop_oneof![
        4 => Just(Event::Nothing),
        4 => Just(Event::TookEffect),
        1 => Just(Event::Failed),
        1 => Just(Event::Swap),
        1 => (0_u32..3).prop_map(Event::Turn),
        1 => (prop::sample::select(&[KnobId::ConcurrencyLimit, KnobId::Retries]), 1_i64..10)
            .prop_map(|(id, value)| Event::Operator(id, value)),
    ];
    let wait_ms = prop_oneof![4 => 1_000_u64..6_000, 1 => 10_000_u64..700_000];
    (wait_ms, any_traffic(), event, prop::collection::vec(any_proposal(), 0..5))
        .prop_map(|(wait_ms, traffic, event, proposals)| Cycle { wait_ms, traffic, event, proposals })
}

fn any_history() -> impl Strategy<Value = Vec<Cycle>> {
    prop::collection::vec(any_cycle(), 1..60)
}

fn run(history: &[Cycle]) -> Log {
    let scopes = [Scope::global(), Scope::provider("local"), Scope::provider("other")];
    let mut now_ms = 1_000_000;
    let inputs = history.iter().enumerate().map(|(at, cycle)| {
        now_ms += cycle.wait_ms;
        let metrics = cycle.traffic.metrics(10_000, &scopes);
        let record = CycleRecord {
            id: at as u64,
            at_ms: now_ms,
            observation: Observation { now_ms, metrics, ..Observation::default() },
            proposals: cycle.proposals.clone(),
            ..CycleRecord::default()
        };
        (cycle.event.clone(), record)
    });
    play(inputs.collect())
}

fn play(cycles: Vec<(Event, CycleRecord)>) -> Log {
    let mut guard = Guard::new(GuardPolicy::default(), 1);
    guard.offer(offered());
    let mut settings = Settings::default();
    let mut turn = 0;
    let mut log =
        Log { cycles: Vec::new(), decisions: Vec::new(), updates: Vec::new(), settings: Vec::new(), open: Vec::new() };
    for (event, mut record) in cycles {
        let open: Vec<u64> = guard.pending().map(|(id, _)| id).collect();
        match &event {
            Event::Nothing => {}
            Event::TookEffect => open.iter().for_each(|id| guard.took_effect(*id, record.at_ms - 500)),
            Event::Failed => open.iter().for_each(|id| guard.failed_to_apply(*id, "no memory")),
            Event::Swap => guard.forget_pending(),
            Event::Turn(to) => {
                turn = *to;
                let handover =
                    Handover { at_ms: record.at_ms, occasion: Occasion::Turn, to: turn, is_exchange: turn > 0 };
                let ended = guard.hand_over(&handover, &settings);
                settings = ended.settings.unwrap_or(settings);
                log.updates.extend(ended.updates);
            }
            Event::Operator(id, value) => settings = settings.with(*id, &Scope::global(), Value::Integer(*value)),
        }
        let review = guard.review(&record.observation, &settings);
        settings = review.settings.unwrap_or(settings);
        log.updates.extend(review.updates);
        let arm = Identity { version: turn.to_string(), ..identity() };
        let judgement = guard.judge(&record.observation, &settings, record.id, &arm, record.proposals.clone());
        assert_eq!(judgement.decisions.len(), record.proposals.len());
        assert_eq!(judgement.outcomes.len(), record.proposals.len());
        settings = judgement.settings.unwrap_or(settings);
        log.decisions.extend(judgement.decisions);
        log.settings.push(settings.clone());
        record.proposals = record.proposals.iter().map(writable).collect();
        log.cycles.push((event, record));
        check_pending(&guard, &log.decisions);
    }
    log.open = guard.pending().map(|(id, _)| id).collect();
    log
}

/// At most one change at a time in scopes that share metrics, and one reload on the host.
fn check_pending(guard: &Guard, decisions: &[Decision]) {
    let of = |id: u64| decisions.iter().find(move |decision| decision.id == id);
    let pending: Vec<&Decision> = guard.pending().filter_map(|(id, _)| of(id)).collect();
    assert_eq!(pending.len(), guard.pending().count());
    let is_host = |decision: &&&Decision| decision.proposal.scope == Scope::global();
    assert!(pending.iter().filter(is_host).count() == 0 || pending.len() == 1, "{pending:?}");
    let is_reload = |decision: &&&Decision| KnobId::by_name(&decision.proposal.name).is_some_and(|id| id.knob().reload);
    assert!(pending.iter().filter(is_reload).count() <= 1, "{pending:?}");
    let scopes: BTreeMap<&Scope, u64> =
        pending.iter().map(|decision| (&decision.proposal.scope, decision.id)).collect();
    assert_eq!(scopes.len(), pending.len());
}

fn is_within_step(id: KnobId, from: &Value, to: &Value) -> bool {
    let knob = id.knob();
    let (Some(from_number), Some(to_number)) = (from.as_number(), to.as_number()) else { return true };
    let moved = (to_number - from_number).abs();
    let usual = knob.default.as_number().unwrap_or(0.0);
    match knob.step {
        Step::Free => true,
        Step::Amount(amount) => moved <= amount,
        Step::Factor(_) if from_number == 0.0 => to_number <= usual,
        Step::Factor(factor) => {
            let is_one = matches!(to, Value::Integer(_)) && moved <= 1.0;
            let is_off = matches!(to, Value::Number(_)) && to_number == 0.0 && from_number < usual * 0.01 * factor;
            is_one || is_off || (from_number / factor..=from_number * factor).contains(&to_number)
        }
    }
}

/// Which way an applied change turned its knob; for words, to which.
fn way(decision: &Decision) -> (bool, Option<&Value>) {
    let applied = decision.applied.as_ref();
    match (decision.before.as_number(), applied.and_then(Value::as_number)) {
        (Some(before), Some(applied)) => (applied > before, None),
        _ => (false, applied),
    }
}

fn settings_as_offered(settings: &Settings) -> Result<(), String> {
    offered().iter().try_for_each(|offered| {
        offered
            .bounds_here
            .check(&settings.value(offered.knob.id, &offered.at))
            .map_err(|why| format!("{}: {why}", offered.knob.name))
    })
}

#[test]
fn the_histories_are_lively_enough_to_prove_something() {
    let mut runner = TestRunner::new(ProptestConfig { rng_seed: RngSeed::Fixed(7), ..ProptestConfig::default() });
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for _ in 0..100 {
        let log = run(&any_history().new_tree(&mut runner).unwrap().current());
        for decision in &log.decisions {
            *seen.entry(if decision.verdict == Verdict::Refused { "refused" } else { "taken" }).or_default() += 1;
        }
        for update in &log.updates {
            let ends = [
                "superseded",
                "its turn",
                "rolled back, it",
                "rolled back: ",
                "not enough",
                "not comparable",
                "no guardrail",
            ];
            let end = ends.into_iter().find(|end| update.detail.contains(end));
            *seen.entry(end.unwrap()).or_default() += 1;
        }
    }
    assert_eq!(seen.len(), 9, "{seen:?}");
    assert!(seen.values().all(|count| *count >= 5), "{seen:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, rng_seed: RngSeed::Fixed(7), ..ProptestConfig::default() })]

    #[test]
    fn settings_stay_within_bounds_and_finite(history in any_history()) {
        for settings in run(&history).settings {
            prop_assert_eq!(settings_as_offered(&settings), Ok(()));
        }
    }

    #[test]
    fn no_change_moves_further_than_its_step(history in any_history()) {
        for decision in run(&history).decisions {
            if let Some(applied) = &decision.applied {
                let id = KnobId::by_name(&decision.proposal.name).unwrap();
                prop_assert!(is_within_step(id, &decision.before, applied), "{decision:?}");
                prop_assert!(*applied != decision.before);
            }
        }
    }

    #[test]
    fn every_applied_change_ends_exactly_once(mut history in any_history()) {
        let quiet = Cycle { wait_ms: 700_000, traffic: Traffic::STEADY, event: Event::Nothing, proposals: Vec::new() };
        history.push(quiet);
        let log = run(&history);
        prop_assert!(log.open.is_empty());
        let taken = log.decisions.iter().filter(|decision| decision.verdict != Verdict::Refused);
        let mut taken: Vec<u64> = taken.map(|decision| decision.id).collect();
        let mut ended: Vec<u64> = log.updates.iter().map(|update| update.id).collect();
        taken.sort_unstable();
        ended.sort_unstable();
        prop_assert_eq!(taken, ended);
    }

    #[test]
    fn no_knob_is_turned_again_the_same_way_during_its_cooldown(history in any_history()) {
        let log = run(&history);
        let of = |id: u64| log.decisions.iter().find(|decision| decision.id == id).unwrap();
        // What a turn's end took back before anybody saw its effect may be tried again, and so may what another arm tried.
        let is_shown = |update: &&DecisionUpdate| !update.detail.contains("its turn in an experiment ended");
        let taken_back = log.updates.iter().filter(|update| update.verdict == Verdict::RolledBack).filter(is_shown);
        for first in taken_back.map(|update| of(update.id)) {
            let same = |other: &&Decision| {
                let of = |one: &Decision| (one.strategy.clone(), one.proposal.name.clone(), one.proposal.scope.clone());
                let is_same_knob = of(other) == of(first);
                is_same_knob && other.id > first.id && other.at_ms < first.at_ms + 60_000 && way(other) == way(first)
            };
            let again = log.decisions.iter().filter(|other| other.verdict != Verdict::Refused).find(same);
            prop_assert!(again.is_none(), "{again:?} after {first:?}");
        }
    }

    #[test]
    fn the_same_history_leads_to_the_same_decisions(history in any_history()) {
        // Compared as text: NaN is not equal to itself.
        prop_assert_eq!(format!("{:?}", run(&history)), format!("{:?}", run(&history)));
    }

    #[test]
    fn a_log_that_was_written_and_read_replays_to_the_same_verdicts(history in any_history()) {
        let log = run(&history);
        let read = log.cycles.iter().map(|(event, record)| {
            let text = serde_json::to_string(record).unwrap();
            (event.clone(), serde_json::from_str(&text).unwrap())
        });
        let replayed = play(read.collect());
        prop_assert_eq!(replayed, log);
    }

    #[test]
    fn decisions_survive_writing_and_reading(history in any_history()) {
        for decision in run(&history).decisions {
            let text = serde_json::to_string(&decision).unwrap();
            prop_assert_eq!(serde_json::from_str::<Decision>(&text).unwrap(), decision);
        }
    }

    #[test]
    fn any_bounds_and_any_present_value_lead_inside(
        id in prop::sample::select(KnobId::ALL), lowest in -50_i64..50, highest in -50_i64..50, present in any::<i64>(), wanted in any_value()
    ) {
        let mut guard = Guard::new(GuardPolicy { evidence_count: 0, ..GuardPolicy::default() }, 1);
        let mut knob = offered().into_iter().find(|offered| offered.knob.id == id).unwrap();
        if let Bounds::IntegerRange(..) = knob.bounds_here {
            knob.bounds_here = Bounds::IntegerRange(lowest, highest);
        }
        let (at, bounds) = (knob.at.clone(), knob.bounds_here.clone());
        guard.offer(vec![knob]);
        let settings = Settings::default().with(id, &at, Value::Integer(present));
        let proposals = vec![proposal(id.name(), at.as_str(), wanted)];
        let judgement = guard.judge(&Observation::default(), &settings, 1, &identity(), proposals);
        if let Some(settings) = judgement.settings {
            prop_assert_eq!(bounds.check(&settings.value(id, &at)), Ok(()));
        }
    }
}
