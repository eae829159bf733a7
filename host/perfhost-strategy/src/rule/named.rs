//! The actions that have names: abbreviations of steps that could be written out.

/// One named action.
#[derive(Debug, Clone, Copy)]
pub struct NamedAction {
    /// What is written.
    pub name: &'static str,
    /// What it stands for, in the long form.
    pub steps: &'static [&'static str],
    /// For people.
    pub meaning: &'static str,
}

macro_rules! named_actions {
    ($($name:ident = [$($step:literal),+], $meaning:literal;)*) => {
        /// Every named action. What one changed goes back when its rule has cleared.
        pub const NAMED_ACTIONS: &[NamedAction] =
            &[$(NamedAction { name: stringify!($name), steps: &[$($step),+], meaning: $meaning }),*];
    };
}

named_actions! {
    enable_aggressive_caching = ["raise cache_ttl_ms by 4x", "raise cache_capacity_bytes by 2x"],
        "keep answers longer, and more of them";
    disable_aggressive_caching = ["restore cache_ttl_ms", "restore cache_capacity_bytes"],
        "take back what rules gave the cache";
    shrink_cache = ["lower cache_capacity_bytes by 2x"],
        "give memory back";
    switch_to_lightweight_models = ["lower candidate_weight@heavier by 4x", "lower engine_kv_type to q8_0"],
        "most traffic to the lightest provider that serves the model; smaller KV caches in engines";
    compress_kv_cache = ["lower engine_kv_type to q8_0"],
        "half the memory for contexts";
    avoid_provider = ["lower candidate_weight by 4x"],
        "less traffic to one provider";
    prefer_provider = ["raise candidate_weight by 4x"],
        "more traffic to one provider";
    increase_slots = ["raise engine_slots by 2x"],
        "generate for twice as many requests at once, as far as memory allows";
    reduce_slots = ["lower engine_slots by 2x"],
        "generate for half as many requests at once";
    increase_concurrency = ["raise concurrency_limit by 2x"],
        "let twice as many requests in at once";
    reduce_concurrency = ["lower concurrency_limit to 75% of in_flight"],
        "a quarter fewer requests under way than now";
    extend_queue = ["raise queue_length by 2x", "raise queue_wait_ms by 2x"],
        "let more requests wait, and longer";
    shed_load = ["lower queue_wait_ms to 50% of queue_wait_p95", "lower queue_length to 50% of queue_length"],
        "refuse what would wait longest";
    tighten_timeouts = ["lower first_byte_timeout_ms by 2x", "lower total_timeout_ms by 2x"],
        "give up sooner on a provider that does not answer";
    relax_timeouts = ["raise first_byte_timeout_ms by 2x", "raise total_timeout_ms by 2x"],
        "wait longer for slow providers";
    disable_retries = ["lower retries to 0"],
        "no further attempts, which multiply load on what fails";
    enable_hedging = ["set hedge_after_ms = 100% of time_to_first_token_p95"],
        "ask a second provider where the first takes longer than 95 % of answers do";
    disable_hedging = ["lower hedge_after_ms to 0"],
        "never ask two providers";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::Action;

    #[test]
    fn every_named_action_stands_for_steps_that_can_be_written_out() {
        for (at, named) in NAMED_ACTIONS.iter().enumerate() {
            let written_out: Vec<_> = named
                .steps
                .iter()
                .flat_map(|step| Action::parse(step).unwrap_or_else(|error| panic!("{}: {error}", named.name)).steps)
                .collect();
            assert_eq!(Action::parse(named.name).unwrap().steps, written_out);
            assert!(NAMED_ACTIONS[..at].iter().all(|other| other.name != named.name));
        }
    }
}
