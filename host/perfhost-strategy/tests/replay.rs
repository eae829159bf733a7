//! Replays over logs that a small loop in the order of the host's writes: the strategy that made the log gives the same
//! answers again, any other is told what is true for it.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use perfhost_strategy::advice::{Advice, Choice};
use perfhost_strategy::alert;
use perfhost_strategy::decision::{CycleRecord, Decision, writable};
use perfhost_strategy::guard::{Handover, Occasion};
use perfhost_strategy::journal::{Call, GuardCall, KnobOffer, Told};
use perfhost_strategy::knob::OfferedKnob;
use perfhost_strategy::observation::{Hardware, Metric, Summary, metric};
use perfhost_strategy::plan::FleetNames;
use perfhost_strategy::replay::{Agreement, ComparedCycle, Figures, LoggedCycle, Replay};
use perfhost_strategy::strategy::{Description, Identity, World};
use perfhost_strategy::{
    Candidate, Guard, GuardPolicy, KnobId, Observation, Outcome, Plan, PlanRequest, Proposal, Scope, Settings,
    Strategy, StrategyError, Value, Verdict,
};

/// Turns `concurrency_limit` by what it heard and remembers, so that every call matters for the next answer.
struct Climber {
    identity: Identity,
    description: Description,
    memory: Mutex<Memory>,
    /// When a call of `propose` fails for no reason of its own.
    fails_at_ms: Option<u64>,
}

#[derive(Default)]
struct Memory {
    step: i64,
    calls: u64,
    heard: u64,
    saved: u64,
    told: Vec<Outcome>,
}

fn climber(digest: &str) -> Climber {
    let identity = Identity {
        name: "climber".to_owned(),
        version: "1.0.0".to_owned(),
        digest: digest.to_owned(),
        world: World::Tuner,
        source: String::new(),
    };
    Climber { identity, description: Description::default(), memory: Mutex::default(), fails_at_ms: None }
}

impl Strategy for Climber {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn description(&self) -> &Description {
        &self.description
    }

    fn configure(&self, parameters: &[(String, String)], knobs: &[OfferedKnob]) -> Result<(), StrategyError> {
        let given = parameters.iter().find(|(name, _)| name == "step").and_then(|(_, value)| value.parse().ok());
        self.memory.lock().unwrap().step = given.unwrap_or(1) + knobs.len() as i64;
        Ok(())
    }

    fn propose(&self, seen: &Observation) -> Result<Vec<Proposal>, StrategyError> {
        let mut memory = self.memory.lock().unwrap();
        memory.calls += 1;
        if self.fails_at_ms == Some(seen.now_ms) {
            *memory = Memory { step: memory.step, saved: memory.saved, heard: memory.saved, ..Memory::default() };
            return Err(StrategyError::Timeout { call: "propose", limit_ms: 250 });
        }
        memory.saved = memory.heard;
        if !seen.seed.is_multiple_of(3) {
            return Ok(Vec::new());
        }
        Ok(vec![Proposal {
            name: "concurrency_limit".to_owned(),
            scope: Scope::global(),
            // Other steps never give the same value.
            value: Value::Integer(130 + (memory.heard * 7 + seen.seed) as i64 % 50 * 10 + memory.step),
            reason: format!("call {} after {} outcomes", memory.calls, memory.heard),
            expected: None,
            confidence: 0.1 + 1.0 / memory.calls as f64 / 3.0,
        }])
    }

    fn learn(&self, outcomes: &[Outcome]) -> Result<(), StrategyError> {
        let mut memory = self.memory.lock().unwrap();
        memory.heard += outcomes.iter().map(|outcome| outcome.detail.len() as u64).sum::<u64>();
        memory.told.extend_from_slice(outcomes);
        Ok(())
    }

    fn save(&self) -> Result<Vec<u8>, StrategyError> {
        Ok(self.memory.lock().unwrap().saved.to_le_bytes().to_vec())
    }

    fn restore(&self, state: &[u8]) -> Result<(), StrategyError> {
        let saved = u64::from_le_bytes(state.try_into().unwrap());
        let mut memory = self.memory.lock().unwrap();
        (memory.saved, memory.heard) = (saved, saved);
        Ok(())
    }

    fn renew(&self) -> Result<(), StrategyError> {
        let mut memory = self.memory.lock().unwrap();
        *memory = Memory { step: memory.step, saved: memory.saved, heard: memory.saved, ..Memory::default() };
        Ok(())
    }

    fn fleet(&self, _: &FleetNames) -> Result<(), StrategyError> {
        Ok(())
    }

    fn plan(&self, _: &PlanRequest, _: &[Candidate]) -> Result<Plan, StrategyError> {
        Err(StrategyError::NotExported { call: "plan-request" })
    }

    fn advise(&self, _: &Hardware, _: u32, _: u32, _: &[Choice]) -> Result<Vec<Advice>, StrategyError> {
        Err(StrategyError::NotExported { call: "recommend" })
    }
}

fn offered() -> Vec<OfferedKnob> {
    [KnobId::ConcurrencyLimit, KnobId::QueueLength]
        .map(|id| OfferedKnob { at: Scope::global(), bounds_here: id.knob().bounds, knob: id.knob() })
        .to_vec()
}

fn seen(id: u64, settings: &Settings) -> Observation {
    let summary = Summary { count: 40, mean: 100.0, p50: 100.0, p95: 150.0, ..Summary::default() };
    let metrics = [metric::RESPONSE_TIME, metric::ERROR_RATE].map(|name| Metric {
        name: name.to_owned(),
        scope: Scope::global(),
        unit: String::new(),
        window_ms: 10_000,
        summary: if name == metric::ERROR_RATE { Summary { count: 40, ..Summary::default() } } else { summary },
    });
    Observation {
        now_ms: 1_000_000 + 5_000 * id,
        seed: id * 7 + id / 5,
        interval_ms: 5_000,
        metrics: metrics.to_vec(),
        settings: settings.list(&[]),
        ..Observation::default()
    }
}

/// A log of `cycles` cycles, written as the host writes it.
fn log(strategy: &dyn Strategy, cycles: u64) -> Vec<LoggedCycle> {
    log_with(strategy, cycles, |_| None, |_| false)
}

/// The same, in which the host asks for changes of its own, of knobs that the strategy may not turn too, and in which
/// before some cycles a turn in an experiment begins.
fn log_with(
    strategy: &dyn Strategy,
    cycles: u64,
    own: impl Fn(u64) -> Option<Proposal>,
    begins_turn: impl Fn(u64) -> bool,
) -> Vec<LoggedCycle> {
    let (mut guard, mut settings) = (Guard::new(GuardPolicy::default(), 1), Settings::default());
    guard.offer(offered());
    strategy.configure(&[("step".to_owned(), "3".to_owned())], &offered()).unwrap();
    let knobs = offered().iter().map(KnobOffer::of).collect();
    let mut calls =
        vec![Call::Loaded, Call::Configured { parameters: vec![("step".to_owned(), "3".to_owned())], knobs }];
    let mut guard_calls = vec![GuardCall::Started(GuardPolicy::default())];
    let mut logged = Vec::new();
    for id in 1..=cycles {
        if begins_turn(id) {
            let handover =
                Handover { at_ms: 1_000_000 + 5_000 * id - 1, occasion: Occasion::Turn, to: 0, is_exchange: true };
            let ended = guard.hand_over(&handover, &settings);
            settings = ended.settings.unwrap_or(settings);
            guard_calls.push(GuardCall::HandedOver(handover));
        }
        let observation = seen(id, &settings);
        let review = guard.review(&observation, &settings);
        settings = review.settings.unwrap_or(settings);
        let mut decisions = Vec::new();
        if let Some(asked) = own(id) {
            let retries = KnobId::Retries.knob();
            let retries = OfferedKnob { at: Scope::global(), bounds_here: retries.bounds.clone(), knob: retries };
            guard.offer(offered().into_iter().chain([retries]).collect());
            guard_calls.push(GuardCall::Judged(vec![asked.clone()]));
            let judgement = guard.judge(&observation, &settings, id, &alert::author(), vec![asked]);
            settings = judgement.settings.unwrap_or(settings);
            decisions = judgement.decisions;
            guard.offer(offered());
        }
        let answer = strategy.propose(&observation);
        let proposals = answer.clone().unwrap_or_default();
        let record = CycleRecord {
            id,
            at_ms: observation.now_ms,
            digest: strategy.identity().digest.clone(),
            proposals: proposals.iter().map(writable).collect(),
            failure: answer.err().map(|error| error.to_string()),
            observation: observation.clone(),
            told: Told { calls: std::mem::take(&mut calls), ..Told::default() },
            guard: std::mem::take(&mut guard_calls),
            ..CycleRecord::default()
        };
        let judgement = guard.judge(&observation, &settings, id, strategy.identity(), proposals);
        settings = judgement.settings.unwrap_or(settings);
        let mut outcomes = review.outcomes;
        outcomes.extend(judgement.outcomes);
        if !outcomes.is_empty() {
            strategy.learn(&outcomes).unwrap();
            calls.push(Call::Learned(outcomes));
        }
        decisions.extend(judgement.decisions);
        logged.push(LoggedCycle { record, decisions });
    }
    // As it is read back.
    serde_json::from_str(&serde_json::to_string(&logged).unwrap()).unwrap()
}

fn replay(log: &[LoggedCycle], replay: &mut Replay, make: impl Fn() -> Arc<Climber>) -> (Vec<ComparedCycle>, Figures) {
    let mut load = || Ok::<_, Infallible>(make() as Arc<dyn Strategy>);
    let compared: Vec<ComparedCycle> =
        log.iter().map(|logged| replay.cycle(logged, &mut load).unwrap_or_else(|never| match never {})).collect();
    let mut figures = Figures::default();
    compared.iter().for_each(|cycle| figures.count(cycle));
    (compared, figures)
}

fn again(log: &[LoggedCycle]) -> Figures {
    replay(log, &mut Replay::new("own", None), || Arc::new(climber("own"))).1
}

#[test]
fn the_strategy_that_made_the_log_answers_the_same_and_so_does_the_guard() {
    let log = log(&climber("own"), 60);
    let figures = again(&log);
    assert_eq!((figures.cycles, figures.identical, figures.own_from_start_identical), (60, 60, 60));
    assert!(figures.with_proposals > 10, "{figures:?}");
    assert!(figures.verdicts > 10 && figures.verdicts_again == figures.verdicts, "{figures:?}");
    let knob = figures.knobs["concurrency_limit"];
    assert_eq!((knob.recorded, knob.common), (knob.replayed, knob.replayed));
}

#[test]
fn the_guard_lives_through_what_the_host_itself_asked_for() {
    let asked = |name: &str, value: i64| Proposal {
        name: name.to_owned(),
        scope: Scope::global(),
        value: Value::Integer(value),
        reason: "an alert or a recommendation".to_owned(),
        expected: None,
        confidence: 0.5,
    };
    let own = |id: u64| match id % 20 {
        3 => Some(asked("queue_length", 100 + id as i64)),
        11 => Some(asked("retries", if id < 20 { 2 } else { 0 })),
        // Nothing that exists.
        14 => Some(asked("luck", 7)),
        _ => None,
    };
    let log = log_with(&climber("own"), 80, own, |_| false);
    let of_host = |one: &&Decision| one.strategy.starts_with("alerts@");
    let applied: Vec<&Decision> =
        log.iter().flat_map(|cycle| &cycle.decisions).filter(of_host).filter(|one| one.applied.is_some()).collect();
    assert!(["queue_length", "retries"].iter().all(|name| applied.iter().any(|one| one.proposal.name == *name)));
    // The strategy had to wait for some of them: without them the guard would have said otherwise.
    let waits =
        |one: &Decision| applied.iter().any(|own| one.detail.contains(&format!("because of decision {} ", own.id)));
    assert!(log.iter().flat_map(|cycle| &cycle.decisions).any(waits));

    let figures = again(&log);
    assert_eq!((figures.cycles, figures.identical), (80, 80));
    assert!(figures.verdicts > 10 && figures.verdicts_again == figures.verdicts, "{figures:?}");
    let (compared, _) = replay(&log, &mut Replay::new("own", None), || Arc::new(climber("own")));
    for cycle in &compared {
        assert_eq!(cycle.recorded.proposals, cycle.replayed.proposals, "cycle {}", cycle.cycle);
    }

    let mut deaf = log;
    for logged in &mut deaf {
        logged.record.guard.retain(|call| !matches!(call, GuardCall::Judged(_)));
        logged.decisions.retain(|one| !of_host(&one));
    }
    let figures = again(&deaf);
    assert!(figures.verdicts_again < figures.verdicts, "{figures:?}");
}

#[test]
fn the_guard_lives_through_an_experiments_turns() {
    let mut log = log_with(&climber("own"), 80, |_| None, |id| id % 6 == 0);
    let figures = again(&log);
    assert!(figures.verdicts > 10 && figures.verdicts_again == figures.verdicts, "{figures:?}");
    for logged in &mut log {
        logged.record.guard.retain(|call| !matches!(call, GuardCall::HandedOver(_)));
    }
    let figures = again(&log);
    assert!(figures.verdicts_again < figures.verdicts, "{figures:?}");
}

#[test]
fn what_the_strategy_was_told_matters_to_the_last_outcome() {
    let mut log = log(&climber("own"), 60);
    for logged in &mut log[20..] {
        logged.record.told.calls.clear();
    }
    let figures = again(&log);
    assert!(figures.identical < 60, "{figures:?}");
}

#[test]
fn a_log_that_begins_midway_says_that_it_is_not_exact() {
    let log = log(&climber("own"), 60);
    let figures = again(&log[30..]);
    assert_eq!((figures.own, figures.own_from_start), (30, 0));
    let mut gap = log;
    gap.remove(40);
    assert_eq!(again(&gap).own_from_start, 40);
}

#[test]
fn a_failure_that_does_not_come_again_is_followed_by_what_the_next_instance_knew() {
    let failing = Climber { fails_at_ms: Some(1_000_000 + 5_000 * 20), ..climber("own") };
    let log = log(&failing, 60);
    assert_eq!(log.iter().filter(|logged| logged.record.failure.is_some()).count(), 1);
    let (compared, figures) = replay(&log, &mut Replay::new("own", None), || Arc::new(climber("own")));
    let different: Vec<u64> =
        compared.iter().filter(|cycle| cycle.agreement == Agreement::Different).map(|cycle| cycle.cycle).collect();
    assert_eq!((different, figures.identical), (vec![20], 59));
    assert_eq!((figures.recorded_failures, figures.replayed_failures), (1, 0));
}

#[test]
fn another_strategy_hears_that_its_changes_were_not_made_and_the_outcomes_of_common_ones() {
    let log = log(&climber("own"), 60);
    let made: Mutex<Vec<Arc<Climber>>> = Mutex::default();
    let make = || {
        let strategy = Arc::new(climber("other"));
        made.lock().unwrap().push(strategy.clone());
        strategy
    };
    let (compared, figures) = replay(&log, &mut Replay::new("other", None), make);
    // Without the parameter that the log's strategy had, other values.
    assert_eq!((figures.own, compared[0].is_own), (0, false));
    assert!(figures.different > 10 && figures.knobs["concurrency_limit"].common == 0, "{figures:?}");
    let made = made.into_inner().unwrap();
    assert_eq!(made.len(), 1, "one instance lives through the whole log");
    let told = std::mem::take(&mut made[0].memory.lock().unwrap().told);
    assert!(told.len() > 10 && told.iter().all(|outcome| outcome.verdict == Verdict::Refused));
    assert!(told[0].detail.contains("was not made"), "{}", told[0].detail);
    // The guard's own word is another: it says what would have come of the proposal.
    let verdicts = compared.iter().flat_map(|cycle| &cycle.replayed.proposals).filter_map(|judged| judged.verdict);
    assert!(verdicts.clone().any(|verdict| verdict != Verdict::Refused));

    let same = Some(vec![("step".to_owned(), "3".to_owned())]);
    let (compared, figures) = replay(&log, &mut Replay::new("other", same), || Arc::new(climber("other")));
    assert_eq!(figures.identical, 60, "{:#?}", compared.iter().find(|cycle| cycle.agreement != Agreement::Identical));
}

#[test]
fn the_same_strategy_with_other_parameters_is_compared_like_another() {
    let log = log(&climber("own"), 30);
    let parameters = Some(vec![("step".to_owned(), "9".to_owned())]);
    let figures = replay(&log, &mut Replay::new("own", parameters), || Arc::new(climber("own"))).1;
    assert_eq!((figures.own, figures.cycles), (0, 30));
    assert!(figures.different > 0);
}
