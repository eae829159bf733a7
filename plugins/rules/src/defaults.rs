//! What is done where the user gives no rules, and what the user can set.

use strategy_kit::parameters::KV_BYTES_PER_TOKEN;
use strategy_kit::{About, ParameterInfo};

/// The name of the parameter that holds the rules.
pub const RULES: &str = "rules";

/// Rules for a host with an engine of its own, on the cautious side.
pub const DEFAULT_RULES: &str = "\
slots: engine_requests_deferred > 1 for 30s -> increase_slots every 1m keep
overload: queue_wait_p95 > 10s for 1m -> shed_load until queue_wait_p95 < 2s for 2m
errors: error_rate > 5% for 1m -> reduce_concurrency, disable_retries until error_rate < 1% for 3m
memory: memory_usage > 90% for 1m -> shrink_cache until memory_usage < 80% for 5m
cache: cache_hit_rate > 30% for 5m -> enable_aggressive_caching until cache_hit_rate < 10% for 10m
";

/// The constant part of the strategy's description; metrics and knobs are all that there are.
pub const ABOUT: About = About {
    name: "rules",
    version: env!("CARGO_PKG_VERSION"),
    summary: "Does what is written as rules: a measurement beyond a threshold for a time turns knobs until it is back.",
    goal: "every rule's metric on the right side of its threshold",
    reads: &[],
    turns: &[],
    parameters: &[
        ParameterInfo::text(RULES, DEFAULT_RULES, "one rule a line: `cpu_usage > 7.0 for 5m -> reduce_concurrency`"),
        KV_BYTES_PER_TOKEN,
    ],
};
