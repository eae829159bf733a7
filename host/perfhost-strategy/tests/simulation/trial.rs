//! One simulated experiment, driven as a host drives it: batches of events, a look every so many requests.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use perfhost_strategy::experiment::regime::Timing;
use perfhost_strategy::experiment::spec::Objective;
use perfhost_strategy::experiment::{
    Arm, Assigned, Batch, Choice, Ending, Event, Experiment, Metric, Outcome, Phase, Ramp, Regime, Slo, Spec, Verdict,
};

use crate::rules::Watched;
use crate::traffic::{DEADLINE_MS, Fate, INTERVAL_MS, Shape, Traffic};

/// Requests of a block, and those of them that are burn-in.
pub(crate) const BLOCK: u64 = 100;
pub(crate) const BURN_IN: u64 = 25;

/// What is simulated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) shape: Shape,
    pub(crate) metric: Metric,
    pub(crate) is_switchback: bool,
    /// Whether the experiment is told what is known of each request beforehand.
    pub(crate) is_adjusted: bool,
    pub(crate) requests: u64,
    /// Requests between looks.
    pub(crate) look_every: u64,
}

/// What one run came to.
pub(crate) struct Run {
    /// Winner named by perfhost, and after how many requests it ended.
    pub(crate) winner: Option<usize>,
    pub(crate) requests: u64,
    /// Whether others named any winner, and after how many requests.
    pub(crate) peeking: Option<u64>,
    pub(crate) tensor_zero: Option<u64>,
}

/// Terms: equal shares from the start and no guardrail, so that requests compare with those of a fixed-size test.
fn spec(plan: &Plan, seed: u64) -> Spec {
    let arm = |name: &str| Arm { name: name.to_owned(), identity: String::new(), turns: Vec::new() };
    let timing = Timing { block_ms: BLOCK * INTERVAL_MS, burn_in_ms: BURN_IN * INTERVAL_MS };
    let regime = if plan.is_switchback { Regime::Switchback(timing) } else { Regime::PerRequest };
    let choice = Choice { regime, reason: String::new(), is_cache_partitioned: false };
    let objective = Objective { metric: plan.metric, minimum_effect: 0.0 };
    Spec {
        guardrails: Vec::new(),
        ramp: Ramp { shares: Vec::new(), ..Ramp::default() },
        confirmation: None,
        slo: Slo { ttft_ms: None, time_per_output_token_ms: None, response_ms: None, deadline_ms: DEADLINE_MS },
        ..Spec::new("simulated", seed, vec![arm("incumbent"), arm("challenger")], choice, objective)
    }
}

/// Runs until a verdict, or to the last request. With `to_the_end` the others' rules see all requests, whenever perfhost
/// is done.
pub(crate) fn run(plan: &Plan, seed: u64, to_the_end: bool) -> Run {
    let mut experiment = Experiment::start(spec(plan, seed), 0).expect("terms are right");
    let mut traffic = Traffic::new(plan.shape, seed.wrapping_mul(0x2545_F491_4F6C_DD1D));
    let mut ends = BinaryHeap::<Reverse<(u64, u64)>>::new();
    let mut outcomes = std::collections::HashMap::new();
    let mut watched = Watched::default();
    let (mut events, mut done) = (Vec::new(), None);
    for id in 0..plan.requests {
        let now_ms = id * INTERVAL_MS;
        if plan.is_switchback && id % BLOCK == 0 {
            experiment.tick(now_ms);
            experiment.in_effect(now_ms);
        }
        let assignment = experiment.allocation().assign(id);
        let is_challenger = if experiment.phase() == Phase::Ended { id % 2 == 1 } else { assignment.arm == 1 };
        let fate = traffic.next(is_challenger, plan.is_switchback);
        watched.observe(
            is_challenger,
            if plan.metric == Metric::Goodput { f64::from(fate.is_good) } else { fate.response_ms },
        );
        if done.is_none() {
            let covariates = [if plan.is_adjusted { fate.length } else { 0.0 }, 0.0, 0.0, 0.0];
            let (arm, epoch, block) = (assignment.arm, assignment.epoch, assignment.block);
            events.push(Event::Assigned(Assigned { id, unit: id, arm, epoch, block, at_ms: now_ms, covariates }));
            ends.push(Reverse((now_ms + fate.response_ms as u64, id)));
            outcomes.insert(id, outcome(plan, &fate));
        }
        if (id + 1) % plan.look_every > 0 {
            continue;
        }
        watched.look(id + 1);
        if done.is_none() {
            while let Some(Reverse((at_ms, id))) = ends.peek().copied().filter(|Reverse((at_ms, _))| *at_ms <= now_ms) {
                ends.pop();
                events.extend(outcomes.remove(&id).map(|outcome| Event::Finished { id, at_ms, outcome }));
            }
            experiment.apply(&Batch { source: 0, sequence: id, events: std::mem::take(&mut events) });
            experiment.tick(now_ms);
            done = experiment.verdict().is_some().then_some(id + 1);
        }
        if done.is_some() && !to_the_end {
            break;
        }
    }
    let winner = match experiment.verdict() {
        Some(Verdict::Promote { arm, .. }) => Some(*arm),
        _ => None,
    };
    let requests = done.unwrap_or(plan.requests);
    Run { winner, requests, peeking: watched.peeking, tensor_zero: watched.tensor_zero }
}

fn outcome(plan: &Plan, fate: &Fate) -> Outcome {
    let is_answered = plan.metric != Metric::Goodput || fate.is_good;
    Outcome {
        ending: if is_answered { Ending::Answered } else { Ending::Failed },
        response_ms: fate.response_ms,
        ttft_ms: None,
        output_tokens: 0,
        cost: 0.0,
        quality: None,
    }
}

/// Many runs, on all processors: seeds `first` and up.
pub(crate) fn runs(plan: &Plan, first: u64, count: u64, to_the_end: bool) -> Vec<Run> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|worker| {
                let seeds = (first..first + count).skip(worker as usize).step_by(threads as usize);
                scope.spawn(move || seeds.map(|seed| run(plan, seed, to_the_end)).collect::<Vec<_>>())
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a run does not panic")).collect()
    })
}
