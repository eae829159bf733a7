//! Rules under a host that does as it likes: applies, applies in part, refuses, takes back. Whatever happened, when all is
//! calm every knob is where it was.

use proptest::prelude::*;
use strategy_kit::Instance;
use strategy_kit::control::{Outcome, Verdict};
use strategy_kit::testing::World;
use strategy_kit::types::{Metric, Observation, Summary, Value};

use crate::Rules;
use crate::ledger::ENTRIES_MAX;
use crate::sight::from_contract;

/// Three that turn the same knobs, in steps, to values, and back.
const RULES: &str = "\
cpu_usage > 7.0 for 20s -> set concurrency_limit = 20, raise cache_ttl_ms by 4x every 30s until cpu_usage < 3%
error_rate > 5% -> lower concurrency_limit by 50%, lower queue_length by 3x cooldown 10s
cpu_usage > 50% -> raise concurrency_limit by 10%, set queue_wait_ms = 9s, restore cache_ttl_ms every 15s";

/// What the host does with a proposal.
#[derive(Debug, Clone, Copy)]
enum Mood {
    Applies,
    AppliesHalf,
    Refuses,
    TakesBack,
}

/// A change that is applied and not yet measured.
struct Applied {
    outcome: Outcome,
    before: Value,
    is_taken_back: bool,
    cycles_left: u32,
}

struct Host {
    strategy: Rules,
    seen: Observation,
    applied: Option<Applied>,
}

impl Host {
    fn new() -> Self {
        let mut strategy = Rules::default();
        strategy.configure(&[("rules".to_owned(), RULES.to_owned())], World::knobs()).expect("allowed");
        Self { strategy, seen: World::new(0).observe(), applied: None }
    }

    fn settings(&self) -> Vec<String> {
        let settings = self.seen.settings.iter();
        settings.map(|one| format!("{}@{} {}", one.name, one.scope, from_contract(&one.value))).collect()
    }

    fn set(&mut self, name: &str, value: &Value) -> Value {
        let setting = self.seen.settings.iter_mut().find(|setting| setting.name == name).expect("a knob that is there");
        std::mem::replace(&mut setting.value, value.clone())
    }

    fn cycle(&mut self, cpu: Option<f64>, errors: f64, mood: Mood) {
        self.seen.now_ms += 5_000;
        let metric = |name: &str, mean: f64| Metric {
            name: name.to_owned(),
            scope: String::new(),
            unit: String::new(),
            window_ms: 10_000,
            summary: Summary { count: 10, mean, min: mean, max: mean, p50: mean, p95: mean, p99: mean },
        };
        self.seen.metrics = cpu.map(|cpu| metric("cpu_usage", cpu)).into_iter().collect();
        self.seen.metrics.push(metric("error_rate", errors));
        if let Some(mut applied) = self.applied.take_if(|applied| applied.cycles_left == 0) {
            if applied.is_taken_back {
                let name = applied.outcome.name.clone();
                self.set(&name, &applied.before);
                applied.outcome.verdict = Verdict::RolledBack;
            }
            self.strategy.learn(&[applied.outcome]);
        }
        if let Some(applied) = &mut self.applied {
            applied.cycles_left -= 1;
        }
        for proposal in self.strategy.propose(&self.seen) {
            assert!(self.applied.is_none(), "one change at a time: {proposal:?}");
            let outcome = |verdict| Outcome {
                name: proposal.name.clone(),
                scope: proposal.scope.clone(),
                proposed: proposal.value.clone(),
                verdict,
                detail: String::new(),
                measured: None,
            };
            if matches!(mood, Mood::Refuses) {
                self.strategy.learn(&[outcome(Verdict::Refused)]);
                continue;
            }
            let before = self.set(&proposal.name, &proposal.value);
            assert_ne!(from_contract(&before), from_contract(&proposal.value), "{proposal:?}");
            let verdict = match (mood, &before, &proposal.value) {
                (Mood::AppliesHalf, Value::Integer(from), Value::Integer(to)) if from.abs_diff(*to) > 1 => {
                    self.set(&proposal.name, &Value::Integer((from + to) / 2));
                    Verdict::Clamped
                }
                _ => Verdict::Applied,
            };
            self.strategy.learn(&[outcome(verdict)]);
            let is_taken_back = matches!(mood, Mood::TakesBack);
            self.applied = Some(Applied { outcome: outcome(verdict), before, is_taken_back, cycles_left: 3 });
        }
    }
}

fn mood() -> impl Strategy<Value = Mood> {
    prop::sample::select(vec![Mood::Applies, Mood::AppliesHalf, Mood::Refuses, Mood::TakesBack])
}

proptest! {
    #[test]
    fn after_calm_everything_is_back(
        turns in prop::collection::vec((0..4_usize, 0..3_usize, mood(), 1..25_usize, any::<bool>()), 1..20)
    ) {
        let mut host = Host::new();
        let start = host.settings();
        for (cpu, errors, mood, cycles, is_swapped) in turns {
            for _ in 0..cycles {
                host.cycle([None, Some(0.02), Some(0.12), Some(0.8)][cpu], [0.0, 0.04, 0.2][errors], mood);
            }
            prop_assert!(host.strategy.ledger.entries.len() <= ENTRIES_MAX);
            if is_swapped && host.applied.is_none() {
                let state = host.strategy.save();
                host.strategy = Host::new().strategy;
                prop_assert!(host.strategy.restore(&state).is_ok());
                prop_assert_eq!(host.strategy.save(), state);
            }
        }
        // The longest pause after refusals is 21 minutes.
        for _ in 0..600 {
            host.cycle(Some(0.0), 0.0, Mood::Applies);
        }
        prop_assert_eq!(host.settings(), start);
        prop_assert!(host.strategy.ledger.entries.is_empty());
    }
}
