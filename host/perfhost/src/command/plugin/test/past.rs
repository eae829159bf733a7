//! What a strategy may ask of the past in a simulation: the `history` import, answered from the observations of the run.

use std::sync::Arc;

use parking_lot::Mutex;
use perfhost_strategy::advice::{Advice, Choice};
use perfhost_strategy::knob::OfferedKnob;
use perfhost_strategy::observation::{Hardware, Metric};
use perfhost_strategy::plan::FleetNames;
use perfhost_strategy::strategy::{Description, Identity};
use perfhost_strategy::{Candidate, Observation, Outcome, Plan, PlanRequest, Proposal, Strategy, StrategyError};
use perfhost_wasm::{History, HistoryPoint};

/// Milliseconds from one kept window to the next, which is the length of the shortest one observed.
const STEP_MS: u32 = 10_000;

/// Windows that are kept, the newest: two days of them.
const MOST_KEPT: usize = 17_280;

/// The windows of a run so far.
#[derive(Default)]
pub(super) struct Past {
    /// When each ended, and its metrics.
    windows: Mutex<Vec<(u64, Vec<Metric>)>>,
}

impl Past {
    /// The strategy, with its observations kept here.
    pub(super) fn of(self: Arc<Self>, strategy: Arc<dyn Strategy>) -> Arc<dyn Strategy> {
        Arc::new(Remembering { strategy, past: self })
    }

    fn keep(&self, seen: &Observation) {
        let mut windows = self.windows.lock();
        if windows.last().is_some_and(|(at_ms, _)| seen.now_ms < at_ms + u64::from(STEP_MS)) {
            return;
        }
        if windows.len() >= MOST_KEPT {
            windows.remove(0);
        }
        let of_step = seen.metrics.iter().filter(|metric| metric.window_ms == STEP_MS);
        windows.push((seen.now_ms, of_step.cloned().collect()));
    }
}

impl History for Past {
    fn query(&self, metric: &str, scope: &str, from_ms: u64, to_ms: u64, step_ms: u32) -> Vec<HistoryPoint> {
        let mut points: Vec<HistoryPoint> = Vec::new();
        for (ended_ms, metrics) in self.windows.lock().iter() {
            let began_ms = ended_ms.saturating_sub(u64::from(STEP_MS));
            let is_wanted = |one: &&Metric| one.name == metric && one.scope.as_str() == scope && one.summary.count > 0;
            let Some(found) = metrics.iter().find(is_wanted).filter(|_| (from_ms..to_ms).contains(&began_ms)) else {
                continue;
            };
            let at_ms = began_ms - (began_ms - from_ms) % u64::from(step_ms.max(1));
            let (count, mean, p95) = (found.summary.count, found.summary.mean, found.summary.p95);
            match points.last_mut().filter(|last| last.at_ms == at_ms) {
                // A percentile of several windows is somewhere between theirs; the largest is on the safe side.
                Some(last) => {
                    let all = (last.count + count) as f64;
                    last.mean = (last.mean * last.count as f64 + mean * count as f64) / all;
                    (last.count, last.p95) = (last.count + count, last.p95.max(p95));
                }
                None => points.push(HistoryPoint { at_ms, count, mean, p95 }),
            }
        }
        points
    }
}

struct Remembering {
    strategy: Arc<dyn Strategy>,
    past: Arc<Past>,
}

impl Strategy for Remembering {
    fn identity(&self) -> &Identity {
        self.strategy.identity()
    }

    fn description(&self) -> &Description {
        self.strategy.description()
    }

    fn configure(&self, parameters: &[(String, String)], knobs: &[OfferedKnob]) -> Result<(), StrategyError> {
        self.strategy.configure(parameters, knobs)
    }

    fn propose(&self, seen: &Observation) -> Result<Vec<Proposal>, StrategyError> {
        self.past.keep(seen);
        self.strategy.propose(seen)
    }

    fn learn(&self, outcomes: &[Outcome]) -> Result<(), StrategyError> {
        self.strategy.learn(outcomes)
    }

    fn save(&self) -> Result<Vec<u8>, StrategyError> {
        self.strategy.save()
    }

    fn restore(&self, state: &[u8]) -> Result<(), StrategyError> {
        self.strategy.restore(state)
    }

    fn fleet(&self, names: &FleetNames) -> Result<(), StrategyError> {
        self.strategy.fleet(names)
    }

    fn plan(&self, asked: &PlanRequest, candidates: &[Candidate]) -> Result<Plan, StrategyError> {
        self.strategy.plan(asked, candidates)
    }

    fn advise(
        &self,
        on: &Hardware,
        context_tokens: u32,
        parallel: u32,
        choices: &[Choice],
    ) -> Result<Vec<Advice>, StrategyError> {
        self.strategy.advise(on, context_tokens, parallel, choices)
    }
}

#[cfg(test)]
mod tests {
    use perfhost_strategy::Scope;
    use perfhost_strategy::observation::Summary;

    use super::*;

    #[test]
    fn points_are_the_windows_of_the_run_in_the_steps_asked_for() {
        let past = Past::default();
        for second in (5..=60).step_by(5) {
            let summary = Summary { count: 2, mean: f64::from(second), p95: f64::from(second), ..Summary::default() };
            let (name, scope) = ("in_flight".to_owned(), Scope::provider("local"));
            let metric = Metric { name, scope, unit: String::new(), window_ms: STEP_MS, summary };
            past.keep(&Observation { now_ms: second as u64 * 1_000, metrics: vec![metric], ..Observation::default() });
        }
        let ask = |from_ms, to_ms, step_ms| past.query("in_flight", "local", from_ms, to_ms, step_ms);
        // Kept at 5, 15, 25, 35, 45 and 55 s, each the ten seconds before.
        assert_eq!(ask(5_000, 25_000, 10_000).iter().map(|point| point.mean).collect::<Vec<_>>(), [15.0, 25.0]);
        let both = ask(5_000, 25_000, 20_000);
        assert_eq!((both.len(), both[0].count, both[0].mean, both[0].p95), (1, 4, 20.0, 25.0));
        assert!(past.query("in_flight", "", 0, 60_000, 10_000).is_empty());
    }
}
