//! What a strategy sees: windows of measurements, the fleet, the hardware and the present settings.

use serde::{Deserialize, Serialize};

use crate::{Scope, Value};

/// Names of the metrics that observations carry, with their units. Kept here because strategies, telemetry, alerts and
/// documents must agree on them.
pub mod metric {
    /// A metric's name, unit and meaning.
    #[derive(Debug, Clone, Copy)]
    pub struct MetricInfo {
        /// Name as strategies, the API and alerts use it.
        pub name: &'static str,
        /// `ms`, `count`, `ratio`, `bytes`, `requests/s` or `tokens/s`.
        pub unit: &'static str,
        /// One sentence.
        pub meaning: &'static str,
    }

    macro_rules! metrics {
        ($($constant:ident = $name:literal, $unit:literal, $meaning:literal;)*) => {
            $(#[doc = $meaning] pub const $constant: &str = $name;)*
            /// Every metric.
            pub const ALL: &[MetricInfo] = &[$(MetricInfo { name: $name, unit: $unit, meaning: $meaning }),*];
        };
    }

    metrics! {
        RESPONSE_TIME = "response_time_ms", "ms", "Time from a request's arrival to the last byte of its answer.";
        TIME_TO_FIRST_TOKEN = "time_to_first_token_ms", "ms", "Time from a streamed request's arrival to its first token.";
        TIME_PER_OUTPUT_TOKEN = "time_per_output_token_ms", "ms", "(response time - time to first token) / (tokens - 1) of streamed answers.";
        QUEUE_WAIT = "queue_wait_ms", "ms", "Time a request waited for admission.";
        OVERHEAD = "overhead_ms", "ms", "Time spent in perfhost itself: every phase but queue and upstream.";
        UPSTREAM_TIME = "upstream_time_ms", "ms", "Time from sending a request upstream to the last byte of its answer.";
        IN_FLIGHT = "in_flight", "count", "Requests admitted and not yet finished, sampled every second.";
        QUEUE_LENGTH = "queue_length", "count", "Requests waiting for admission, sampled every second.";
        REQUESTS_PER_SECOND = "requests_per_second", "requests/s", "Finished requests per second.";
        TOKENS_PER_SECOND = "tokens_per_second", "tokens/s", "Generated tokens per second, all requests together.";
        PROMPT_TOKENS_PER_SECOND = "prompt_tokens_per_second", "tokens/s", "Prompt tokens per second, all requests together.";
        ERROR_RATE = "error_rate", "ratio", "Share of finished requests that failed, rejections not counted.";
        REJECTED_RATE = "rejected_rate", "ratio", "Share of requests turned away by admission.";
        CACHE_HIT_RATE = "cache_hit_rate", "ratio", "Share of cacheable requests answered from the cache or by a request already under way.";
        CPU_USAGE = "cpu_usage", "ratio", "Share of all cores in use on this machine.";
        MEMORY_USED = "memory_used_bytes", "bytes", "Memory in use on this machine.";
        MEMORY_USAGE = "memory_usage", "ratio", "Share of this machine's memory in use.";
        PROCESS_CPU = "process_cpu", "ratio", "Share of all cores that this process (or the engine, in its scope) uses.";
        PROCESS_MEMORY = "process_memory_bytes", "bytes", "Resident memory of this process (or of the engine, in its scope).";
        GPU_USAGE = "gpu_usage", "ratio", "Share of the time in which the busiest of this machine's graphics processors computed.";
        GPU_MEMORY_USED = "gpu_memory_used_bytes", "bytes", "Memory in use on all graphics processors of this machine together.";
        GPU_MEMORY_USAGE = "gpu_memory_usage", "ratio", "Share of memory in use on the fullest of this machine's graphics processors.";
        PROCESS_GPU_MEMORY = "process_gpu_memory_bytes", "bytes", "Memory of the engine, in its scope, on all graphics processors together.";
        ENGINE_SLOTS_BUSY = "engine_slots_busy", "count", "Engine slots that are generating.";
        ENGINE_REQUESTS_DEFERRED = "engine_requests_deferred", "count", "Requests that wait for a slot of the engine, inside it or at the host, which sends it no more than it can soon begin with.";
        ENGINE_TOKENS_PER_SECOND = "engine_tokens_per_second", "tokens/s", "Generation speed that the engine reports for single requests (its timings).";
        PROVIDER_DOWN = "provider_down", "ratio", "Share of the time in which a provider did not answer, sampled every second.";
        STRATEGY_FAILING = "strategy_failing", "ratio", "Share of the time in which a built-in strategy stood in for one that failed again and again, sampled every second.";
    }

    /// Shares of requests, so that so many stand behind them; the other shares are means over time.
    pub const OF_REQUESTS: &[&str] = &[ERROR_RATE, REJECTED_RATE, CACHE_HIT_RATE];

    /// Those that are measured only where there is a graphics processor whose driver tells them.
    pub const OF_GPUS: &[&str] = &[GPU_USAGE, GPU_MEMORY_USED, GPU_MEMORY_USAGE, PROCESS_GPU_MEMORY];
}

/// Names in the contract's `extra` lists, with their units: what the host tells besides the records' own fields. Names are
/// only ever added.
pub mod extra {
    use super::metric::MetricInfo;

    const fn named(name: &'static str, unit: &'static str, meaning: &'static str) -> MetricInfo {
        MetricInfo { name, unit, meaning }
    }

    /// In `observation.extra`.
    pub const OBSERVATION: &[MetricInfo] = &[PLANS_DEMOTED, PLAN_MEAN, PLAN_OVERRUNS, PLAN_FAILURES];
    /// Whether this strategy is asked for plans.
    pub const PLANS_DEMOTED: MetricInfo = named(
        "plans_demoted",
        "flag",
        "1 while requests follow the host's own plan instead of this strategy's, else 0.",
    );
    /// What its plans cost.
    pub const PLAN_MEAN: MetricInfo =
        named("plan_mean_us", "us", "Mean time of this strategy's plan calls since it is in service.");
    /// How often it was too slow.
    pub const PLAN_OVERRUNS: MetricInfo =
        named("plan_overruns", "count", "Plan calls over the budget since it is in service.");
    /// How often it failed.
    pub const PLAN_FAILURES: MetricInfo =
        named("plan_failures", "count", "Plan calls that failed since it is in service.");

    /// In `provider-state.extra`.
    pub const PROVIDER: &[MetricInfo] = &[LATENCY, TIME_TO_FIRST_TOKEN, ERROR_RATE, TOKENS_PER_SECOND];
    /// As in `candidate.latency-p50-ms`.
    pub const LATENCY: MetricInfo =
        named("latency_p50_ms", "ms", "Recent median response time; 0 where nothing was measured yet.");
    /// As in `candidate.ttft-p50-ms`.
    pub const TIME_TO_FIRST_TOKEN: MetricInfo =
        named("ttft_p50_ms", "ms", "Recent median time to first token; 0 where nothing was measured yet.");
    /// As in `candidate.error-rate`.
    pub const ERROR_RATE: MetricInfo = named("error_rate", "ratio", "Recent share of failed requests.");
    /// As in `candidate.extra`.
    pub const TOKENS_PER_SECOND: MetricInfo = named(
        "tokens_per_second",
        "tokens/s",
        "Recent median generation speed of single requests; 0 where nothing was measured yet.",
    );

    /// In `candidate.extra`, in this order.
    pub const CANDIDATE: &[MetricInfo] = &[TOKENS_PER_SECOND];
}

/// The distribution of one measurement over one window. With `count` 0 the other numbers are 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Number of measurements.
    pub count: u64,
    /// Arithmetic mean.
    pub mean: f64,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
    /// Median.
    pub p50: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
}

/// One measurement over the window of `window_ms` that ends at the observation's `now_ms`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// One of [`metric::ALL`].
    pub name: String,
    /// Where it was measured.
    pub scope: Scope,
    /// Its unit.
    pub unit: String,
    /// Length of the window.
    pub window_ms: u32,
    /// Its distribution.
    pub summary: Summary,
}

/// One graphics processor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gpu {
    /// As its driver names it.
    pub name: String,
    /// Total memory.
    pub memory_total_bytes: u64,
    /// Free memory.
    pub memory_free_bytes: u64,
}

/// The machine perfhost runs on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Hardware {
    /// Physical cores.
    pub physical_cores: u32,
    /// Hardware threads.
    pub logical_cores: u32,
    /// Total memory.
    pub memory_total_bytes: u64,
    /// Memory that can be had without swapping.
    pub memory_free_bytes: u64,
    /// Graphics processors, if any were found.
    pub gpus: Vec<Gpu>,
}

/// Whether a provider can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Answers.
    Up,
    /// Answers, with failures.
    Degraded,
    /// Does not answer.
    Down,
}

/// One provider as a strategy sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProviderState {
    /// Unique name.
    pub name: String,
    /// Kind, as in the contract: `llama-cpp`, `ollama`, `vllm`, `lm-studio`, `openai`, …
    pub kind: String,
    /// Whether it can be used.
    pub health: Health,
    /// perfhost runs this engine itself and can turn its reload knobs.
    pub managed: bool,
    /// Requests sent and not yet answered in full.
    pub in_flight: u32,
    /// Requests that the engine reports as waiting.
    pub queued: u32,
    /// Models it offers.
    pub models: Vec<String>,
    /// Further numbers, by names of [`extra::PROVIDER`].
    #[serde(default)]
    pub extra: Vec<(String, f64)>,
}

/// One knob's present value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// The knob's name.
    pub name: String,
    /// Where it applies.
    pub scope: Scope,
    /// Its value.
    pub value: Value,
}

/// Everything a proposal may depend on. Time and randomness are inputs, so a decision can be replayed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Unix time in milliseconds.
    pub now_ms: u64,
    /// The only source of randomness.
    pub seed: u64,
    /// Time since the observation before.
    pub interval_ms: u32,
    /// Measurements, each with its window.
    pub metrics: Vec<Metric>,
    /// The fleet.
    pub providers: Vec<ProviderState>,
    /// Every knob's present value.
    pub settings: Vec<Setting>,
    /// The machine.
    pub hardware: Hardware,
    /// Further numbers, by names of [`extra::OBSERVATION`].
    #[serde(default)]
    pub extra: Vec<(String, f64)>,
}

impl Observation {
    /// The summary of `name` in `scope` over the window closest to `window_ms`, if it was measured.
    pub fn metric(&self, name: &str, scope: &Scope, window_ms: u32) -> Option<&Summary> {
        self.metrics
            .iter()
            .filter(|metric| metric.name == name && metric.scope == *scope)
            .min_by_key(|metric| metric.window_ms.abs_diff(window_ms))
            .map(|metric| &metric.summary)
    }
}
