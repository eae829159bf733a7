//! The model of an engine: how fast it generates for how many at once, and what becomes of requests sent to it.
//!
//! - `speed`: tokens per second by requests at once
//! - `process`: one model in memory, with its slots and queues
//! - `machine`: the processes that share a machine's cores; loading, replacing and unloading them

mod machine;
mod process;
mod speed;

pub(crate) use machine::{Machine, Reload, Signal};

use crate::host::AttemptKey;

/// One request as an engine sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job {
    pub(crate) attempt: AttemptKey,
    pub(crate) prompt_tokens: u32,
    pub(crate) output_tokens: u32,
}

/// Compute buffers and the program itself, in bytes: what perfhost counts for them before it starts an engine.
const PROGRAM_BYTES: u64 = 256 << 20;

/// Bytes that a process with these numbers takes: weights, KV cache, compute buffers.
fn memory_bytes(weights: u64, kv_per_token: u64, kv_type: &str, slots: u32, context: u32) -> u64 {
    let tokens = u64::from(slots) * u64::from(context);
    // Blocks of 32 numbers with a two-byte scale: 34 bytes at 8 bits, 18 at 4 bits, where 16 bits take 64.
    let share_of_64 = match kv_type {
        "q8_0" => 34,
        "q4_0" => 18,
        _ => 64,
    };
    let kv = kv_per_token.saturating_mul(tokens) / 64 * share_of_64;
    weights.saturating_add(kv).saturating_add(PROGRAM_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_grows_with_slots_and_context_and_shrinks_with_the_cache_type() {
        let of = |kv_type, slots, context| memory_bytes(1_000, 64, kv_type, slots, context) - PROGRAM_BYTES - 1_000;
        assert_eq!((of("f16", 1, 2_048), of("f16", 4, 1_024)), (64 * 2_048, 2 * 64 * 2_048));
        assert_eq!((of("q8_0", 1, 2_048), of("q4_0", 1, 2_048)), (34 * 2_048, 18 * 2_048));
    }
}
