//! One managed engine, closed-loop clients, the host's admission in front, and the clock.
//!
//! Generation speed by requests generated for at once is the measured one up to eight (METHODS: 79, 125 and 166
//! tokens/s with one, four and eight slots on two cores); beyond eight it is assumed to level off. Prompts take 90 ms
//! (60 tokens at 677 tokens/s), answers have 32 to 96 tokens.

use std::collections::VecDeque;

use crate::types::{Bounds, Hardware, Health, Knob, Metric, Observation, ProviderState, Setting, Summary, Value};

const TICK_MS: u64 = 20;
const PROMPT_MS: u64 = 90;
/// A refused client comes back after this.
const BACK_OFF_MS: u64 = 1_000;
const SPEEDS: [(f64, f64); 7] =
    [(1.0, 79.0), (2.0, 101.0), (4.0, 125.0), (8.0, 166.0), (16.0, 176.0), (32.0, 179.0), (64.0, 179.0)];
/// The engine's provider name.
pub const ENGINE: &str = "local";

/// The modelled knobs: name, scope, lowest, highest, default.
const KNOBS: [(&str, &str, i64, i64, i64); 7] = [
    ("concurrency_limit", "", 1, 100_000, 256),
    ("queue_length", "", 0, 100_000, 1_024),
    ("queue_wait_ms", "", 1, 600_000, 60_000),
    ("cache_ttl_ms", "", 1_000, 604_800_000, 600_000),
    ("cache_capacity_bytes", "", 0, 1 << 40, 64 << 20),
    ("engine_slots", ENGINE, 1, 64, 1),
    ("engine_context_tokens", ENGINE, 256, 1 << 20, 2_048),
];

#[derive(Debug, Clone, Copy)]
struct Job {
    arrived_ms: u64,
    admitted_ms: u64,
    started_ms: u64,
    first_token_ms: Option<u64>,
    left: f64,
    tokens: f64,
}

/// One finished or refused request.
#[derive(Debug, Clone, Copy)]
struct Finished {
    at_ms: u64,
    first_token_ms: f64,
    token_ms: f64,
    queue_ms: f64,
    response_ms: f64,
    is_refused: bool,
}

/// What is sampled once a second.
#[derive(Debug, Clone, Copy)]
struct Second {
    at_ms: u64,
    in_flight: f64,
    queued: f64,
    deferred: f64,
    tokens: f64,
    finished: f64,
}

/// The model.
#[derive(Debug)]
pub struct World {
    /// Closed-loop clients: each sends its next request when its answer is complete.
    pub clients: usize,
    /// Answers are streamed, so times to first token are measured.
    pub is_streaming: bool,
    /// Share of failed requests that is reported.
    pub error_rate: f64,
    /// Cache hit rate that is reported, if any.
    pub cache_hit_rate: Option<f64>,
    /// Share of all cores in use that is reported, if any.
    pub cpu_usage: Option<f64>,
    /// The machine.
    pub hardware: Hardware,
    settings: Vec<Setting>,
    now_ms: u64,
    idle: Vec<u64>,
    queue: VecDeque<Job>,
    deferred: VecDeque<Job>,
    active: Vec<Job>,
    finished: VecDeque<Finished>,
    seconds: VecDeque<Second>,
    second: (f64, f64),
    draw: u64,
}

impl World {
    /// Eight GiB free on two cores, one slot, every knob at its default.
    pub fn new(clients: usize) -> Self {
        let gib = 1 << 30;
        Self {
            clients,
            is_streaming: true,
            error_rate: 0.0,
            cache_hit_rate: None,
            cpu_usage: None,
            hardware: Hardware {
                physical_cores: 2,
                logical_cores: 2,
                memory_total_bytes: 16 * gib,
                memory_free_bytes: 8 * gib,
                gpus: Vec::new(),
            },
            settings: KNOBS
                .iter()
                .map(|(name, scope, _, _, default)| Setting {
                    name: (*name).to_owned(),
                    scope: (*scope).to_owned(),
                    value: Value::Integer(*default),
                })
                .collect(),
            now_ms: 1_700_000_000_000,
            idle: Vec::new(),
            queue: VecDeque::new(),
            deferred: VecDeque::new(),
            active: Vec::new(),
            finished: VecDeque::new(),
            seconds: VecDeque::new(),
            second: (0.0, 0.0),
            draw: 42,
        }
    }

    /// The knobs a host would offer for it.
    pub fn knobs() -> Vec<Knob> {
        let knob = |(name, scope, lowest, highest, default): &(&str, &str, i64, i64, i64)| Knob {
            name: (*name).to_owned(),
            scope: (*scope).to_owned(),
            unit: String::new(),
            bounds: Bounds::IntegerRange((*lowest, *highest)),
            default: Value::Integer(*default),
            reload: !scope.is_empty(),
        };
        KNOBS.iter().map(knob).collect()
    }

    /// A knob's present value.
    pub fn setting(&self, name: &str) -> i64 {
        match self.settings.iter().find(|setting| setting.name == name).map(|setting| &setting.value) {
            Some(Value::Integer(value)) => *value,
            other => panic!("{name}: {other:?}"),
        }
    }

    /// Sets a knob.
    pub fn set(&mut self, name: &str, value: i64) {
        let setting = self.settings.iter_mut().find(|setting| setting.name == name).expect("a modelled knob");
        setting.value = Value::Integer(value);
    }

    /// Lets time pass.
    pub fn advance(&mut self, milliseconds: u64) {
        for _ in 0..milliseconds / TICK_MS {
            self.tick();
        }
    }

    fn tick(&mut self) {
        self.now_ms += TICK_MS;
        let now = self.now_ms;
        let under_way = self.queue.len() + self.deferred.len() + self.active.len() + self.idle.len();
        for _ in under_way..self.clients {
            self.idle.push(now);
        }
        // Clients that are too many leave when they would send their next request.
        let leaving = under_way.saturating_sub(self.clients).min(self.idle.len());
        self.idle.truncate(self.idle.len() - leaving);
        let due = self.idle.iter().filter(|at| **at <= now).count();
        self.idle.retain(|at| *at > now);
        for _ in 0..due {
            self.arrive();
        }
        let longest_ms = self.setting("queue_wait_ms") as u64;
        while self.queue.front().is_some_and(|job| now - job.arrived_ms > longest_ms) {
            let job = self.queue.pop_front().expect("just seen");
            self.refuse(job);
        }
        let limit = self.setting("concurrency_limit") as usize;
        while self.deferred.len() + self.active.len() < limit {
            let Some(job) = self.queue.pop_front() else { break };
            self.deferred.push_back(Job { admitted_ms: now, ..job });
        }
        while self.active.len() < self.setting("engine_slots") as usize {
            let Some(job) = self.deferred.pop_front() else { break };
            self.active.push(Job { started_ms: now, ..job });
        }
        self.generate();
        if now.is_multiple_of(1_000) {
            let (tokens, finished) = std::mem::take(&mut self.second);
            self.seconds.push_back(Second {
                at_ms: now,
                in_flight: (self.deferred.len() + self.active.len()) as f64,
                queued: self.queue.len() as f64,
                deferred: self.deferred.len() as f64,
                tokens,
                finished,
            });
            let oldest = now.saturating_sub(60_000);
            self.seconds.retain(|second| second.at_ms > oldest);
            self.finished.retain(|finished| finished.at_ms > oldest);
        }
    }

    fn arrive(&mut self) {
        self.draw = self.draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let tokens = 32.0 + (self.draw >> 33) as f64 % 65.0;
        let now = self.now_ms;
        let job =
            Job { arrived_ms: now, admitted_ms: now, started_ms: now, first_token_ms: None, left: tokens, tokens };
        match self.queue.len() < self.setting("queue_length") as usize {
            true => self.queue.push_back(job),
            false => self.refuse(job),
        }
    }

    fn refuse(&mut self, job: Job) {
        self.idle.push(self.now_ms + BACK_OFF_MS);
        let waited_ms = (self.now_ms - job.arrived_ms) as f64;
        self.finished.push_back(Finished {
            at_ms: self.now_ms,
            first_token_ms: 0.0,
            token_ms: 0.0,
            queue_ms: waited_ms,
            response_ms: waited_ms,
            is_refused: true,
        });
    }

    fn generate(&mut self) {
        let now = self.now_ms;
        let each = speed(self.active.len() as f64) / self.active.len().max(1) as f64 * TICK_MS as f64 / 1_000.0;
        for job in self.active.iter_mut().filter(|job| now - job.started_ms >= PROMPT_MS) {
            job.first_token_ms.get_or_insert(now);
            job.left -= each;
            self.second.0 += each;
        }
        for job in self.active.iter().filter(|job| job.left <= 0.0) {
            let first = job.first_token_ms.expect("tokens were generated");
            self.second.1 += 1.0;
            self.finished.push_back(Finished {
                at_ms: now,
                first_token_ms: (first - job.arrived_ms) as f64,
                token_ms: (now - first) as f64 / (job.tokens - 1.0),
                queue_ms: (job.admitted_ms - job.arrived_ms) as f64,
                response_ms: (now - job.arrived_ms) as f64,
                is_refused: false,
            });
        }
        let done = self.active.iter().filter(|job| job.left <= 0.0).count();
        self.active.retain(|job| job.left > 0.0);
        self.idle.extend(std::iter::repeat_n(now + TICK_MS, done));
    }

    /// What a strategy would see now.
    pub fn observe(&self) -> Observation {
        let mut metrics = Vec::new();
        for window_ms in [10_000, 60_000] {
            for scope in ["", ENGINE] {
                self.measure(window_ms, scope, &mut metrics);
            }
        }
        Observation {
            now_ms: self.now_ms,
            seed: self.draw,
            interval_ms: 5_000,
            metrics,
            providers: vec![ProviderState {
                name: ENGINE.to_owned(),
                kind: "llama.cpp".to_owned(),
                health: Health::Up,
                managed: true,
                in_flight: (self.deferred.len() + self.active.len()) as u32,
                queued: self.deferred.len() as u32,
                models: vec!["gemma-3-270m".to_owned()],
                extra: Vec::new(),
            }],
            settings: self.settings.clone(),
            hardware: self.hardware.clone(),
            extra: Vec::new(),
        }
    }

    fn measure(&self, window_ms: u32, scope: &str, metrics: &mut Vec<Metric>) {
        let since = self.now_ms.saturating_sub(u64::from(window_ms));
        let mut add = |name: &str, samples: Vec<f64>| {
            let (name, scope, unit) = (name.to_owned(), scope.to_owned(), String::new());
            metrics.push(Metric { name, scope, unit, window_ms, summary: summary(samples) });
        };
        let seconds = || self.seconds.iter().filter(|second| second.at_ms > since);
        let all: Vec<&Finished> = self.finished.iter().filter(|finished| finished.at_ms > since).collect();
        let served = || all.iter().filter(|finished| !finished.is_refused);
        add("in_flight", seconds().map(|second| second.in_flight).collect());
        add("tokens_per_second", seconds().map(|second| second.tokens).collect());
        add("requests_per_second", seconds().map(|second| second.finished).collect());
        if scope.is_empty() {
            add("queue_length", seconds().map(|second| second.queued).collect());
            add("queue_wait_ms", served().map(|finished| finished.queue_ms).collect());
            add("rejected_rate", all.iter().map(|finished| f64::from(u8::from(finished.is_refused))).collect());
            add("error_rate", served().map(|_| self.error_rate).collect());
            add("cache_hit_rate", served().filter_map(|_| self.cache_hit_rate).collect());
            add("cpu_usage", seconds().filter_map(|_| self.cpu_usage).collect());
        } else {
            add("engine_requests_deferred", seconds().map(|second| second.deferred).collect());
        }
        add("response_time_ms", served().map(|finished| finished.response_ms).collect());
        if self.is_streaming {
            add("time_to_first_token_ms", served().map(|finished| finished.first_token_ms).collect());
            add("time_per_output_token_ms", served().map(|finished| finished.token_ms).collect());
        }
    }
}

/// Tokens per second that the engine makes for `active` requests at once.
fn speed(active: f64) -> f64 {
    let above = SPEEDS.iter().position(|(at, _)| *at >= active).unwrap_or(SPEEDS.len() - 1);
    let (high, fast) = SPEEDS[above];
    let (low, slow) = if above == 0 { (0.0, 0.0) } else { SPEEDS[above - 1] };
    slow + (fast - slow) * ((active - low) / (high - low)).min(1.0)
}

fn summary(mut samples: Vec<f64>) -> Summary {
    let count = samples.len();
    if count == 0 {
        return Summary { count: 0, mean: 0.0, min: 0.0, max: 0.0, p50: 0.0, p95: 0.0, p99: 0.0 };
    }
    samples.sort_by(f64::total_cmp);
    let at = |share: f64| samples[((count - 1) as f64 * share).round() as usize];
    let mean = samples.iter().sum::<f64>() / count as f64;
    Summary { count: count as u64, mean, min: at(0.0), max: at(1.0), p50: at(0.5), p95: at(0.95), p99: at(0.99) }
}
