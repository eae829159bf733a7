//! One simulated experiment, driven as a host drives it: batches of events, a look every so many requests.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use perfhost_strategy::experiment::regime::Timing;
use perfhost_strategy::experiment::spec::Objective;
use perfhost_strategy::experiment::statistics::Level;
use perfhost_strategy::experiment::{
    Arm, Assigned, Assignment, Batch, Choice, Confirmed, Ending, Event, Experiment, Metric, Outcome, Phase, Ramp,
    Regime, Slo, Spec, Verdict,
};

use super::rules::Watched;
use super::traffic::{DEADLINE_MS, Fate, INTERVAL_MS, Server, Shape, Traffic};

/// Requests of a block, and those of them that are burn-in.
pub(crate) const BLOCK: u64 = 100;
pub(crate) const BURN_IN: u64 = 25;

/// Where requests that are not counted find cached answers.
const HOSTS_OWN: u64 = 0;

/// What is simulated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) shape: Shape,
    pub(crate) metric: Metric,
    pub(crate) is_switchback: bool,
    /// Whether the experiment is told what is known of each request beforehand.
    pub(crate) is_adjusted: bool,
    /// Ramp, guardrail and confirmation as they are by default. Without them arms have equal shares from the start and the
    /// first verdict is the end, so that requests compare with those of a fixed-size test.
    pub(crate) has_default_terms: bool,
    /// Probability of naming a winner that is none.
    pub(crate) level: Level,
    pub(crate) requests: u64,
    /// Requests between looks.
    pub(crate) look_every: u64,
}

/// What one run came to.
#[derive(Debug)]
pub(crate) struct Run {
    /// The arm that was named, if any: 0 is the incumbent.
    pub(crate) winner: Option<usize>,
    /// What became of it, where promotions are confirmed.
    pub(crate) confirmed: Option<Confirmed>,
    /// Requests whose outcomes were known and counted when it ended: in a switchback, all of whole rounds, burn-in included.
    pub(crate) counted: u64,
    /// Requests served until then.
    pub(crate) served: u64,
    /// Whether others named any winner, and after how many requests.
    pub(crate) peeking: Option<u64>,
    pub(crate) tensor_zero: Option<u64>,
}

fn spec(plan: &Plan, seed: u64) -> Spec {
    let arm = |name: &str| Arm { name: name.to_owned(), identity: String::new(), turns: Vec::new() };
    let timing = Timing { block_ms: BLOCK * INTERVAL_MS, burn_in_ms: BURN_IN * INTERVAL_MS };
    let regime = if plan.is_switchback { Regime::Switchback(timing) } else { Regime::PerRequest };
    let choice = Choice { regime, reason: String::new(), is_cache_partitioned: true };
    let objective = Objective { metric: plan.metric, minimum_effect: 0.0 };
    let slo = Slo { ttft_ms: None, time_per_output_token_ms: None, response_ms: None, deadline_ms: DEADLINE_MS };
    let spec = Spec {
        slo,
        level: plan.level,
        ..Spec::new("simulated", seed, vec![arm("incumbent"), arm("challenger")], choice, objective)
    };
    if plan.has_default_terms {
        return spec;
    }
    Spec { guardrails: Vec::new(), ramp: Ramp { shares: Vec::new(), ..Ramp::default() }, confirmation: None, ..spec }
}

/// Requests under way: (end in milliseconds, id), and what they will come to.
#[derive(Default)]
struct UnderWay {
    ends: BinaryHeap<Reverse<(u64, u64)>>,
    outcomes: HashMap<u64, Outcome>,
}

impl UnderWay {
    fn begin(&mut self, id: u64, end_ms: u64, outcome: Outcome) {
        self.ends.push(Reverse((end_ms, id)));
        self.outcomes.insert(id, outcome);
    }

    fn ended(&mut self, now_ms: u64) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(Reverse((at_ms, id))) = self.ends.peek().copied().filter(|Reverse((at_ms, _))| *at_ms <= now_ms)
        {
            self.ends.pop();
            events.extend(self.outcomes.remove(&id).map(|outcome| Event::Finished { id, at_ms, outcome }));
        }
        events
    }
}

/// Runs until the end, or to the last request. With `others_go_on` the others' rules see all requests, whenever perfhost is
/// done.
pub(crate) fn run(plan: &Plan, seed: u64, others_go_on: bool) -> Run {
    let mut experiment = Experiment::start(spec(plan, seed), 0).expect("terms are right");
    let mut traffic = Traffic::new(plan.shape, seed.wrapping_mul(0x2545_F491_4F6C_DD1D));
    let (mut under_way, mut watched, mut events) = (UnderWay::default(), Watched::default(), Vec::new());
    let mut decided = None;
    for id in 0..plan.requests {
        let now_ms = id * INTERVAL_MS;
        if plan.is_switchback && id % BLOCK == 0 {
            experiment.tick(now_ms);
            experiment.in_effect(now_ms);
        }
        let (allocation, is_over) = (experiment.allocation(), experiment.phase() == Phase::Ended);
        let assignment = allocation.assign(id);
        let is_challenger = if is_over { id % 2 == 1 } else { assignment.arm == 1 };
        let arm = usize::from(is_challenger);
        let partition = Assignment { arm, is_counted: assignment.is_counted || is_over, ..assignment };
        let partition = allocation.cache_partition(&partition).unwrap_or(HOSTS_OWN);
        let fate = traffic.next(Server { is_challenger, is_shared: plan.is_switchback, partition });
        if assignment.is_counted || is_over {
            watched.observe(is_challenger, value(plan, &fate));
        }
        if assignment.is_counted {
            let (arm, epoch, block) = (assignment.arm, assignment.epoch, assignment.block);
            let [prompt, answer] = if plan.is_adjusted { fate.lengths } else { [0.0; 2] };
            let covariates = [prompt, answer, 0.0, 0.0];
            events.push(Event::Assigned(Assigned { id, unit: id, arm, epoch, block, at_ms: now_ms, covariates }));
            under_way.begin(id, now_ms + fate.response_ms as u64, outcome(plan, &fate));
        }
        if (id + 1) % plan.look_every > 0 {
            continue;
        }
        watched.look(id + 1);
        if !is_over {
            events.append(&mut under_way.ended(now_ms));
            experiment.apply(&Batch { source: 0, sequence: id, events: std::mem::take(&mut events) });
            experiment.tick(now_ms);
        }
        if decided.is_none() && experiment.verdict().is_some() {
            decided = Some((counted(plan, &experiment), id + 1));
        }
        if experiment.phase() == Phase::Ended && !others_go_on {
            break;
        }
    }
    let winner = match experiment.verdict() {
        Some(Verdict::Promote { arm, .. }) => Some(*arm),
        _ => None,
    };
    let (counted, served) = decided.unwrap_or_else(|| (counted(plan, &experiment), plan.requests));
    let confirmed = experiment.confirmed().cloned();
    Run { winner, confirmed, counted, served, peeking: watched.peeking, tensor_zero: watched.tensor_zero }
}

fn counted(plan: &Plan, experiment: &Experiment) -> u64 {
    let samples = experiment.status().effects.first().map_or(0, |effect| effect.samples);
    if plan.is_switchback { samples * 2 * BLOCK } else { samples }
}

fn value(plan: &Plan, fate: &Fate) -> f64 {
    if plan.metric == Metric::Goodput { f64::from(fate.is_good) } else { fate.response_ms }
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

/// Many runs, on all processors: seeds 1 and up.
pub(crate) fn runs(plan: &Plan, count: u64, others_go_on: bool) -> Vec<Run> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|worker| {
                let seeds = (1..=count).skip(worker as usize).step_by(threads as usize);
                scope.spawn(move || seeds.map(|seed| run(plan, seed, others_go_on)).collect::<Vec<_>>())
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a run does not panic")).collect()
    })
}
