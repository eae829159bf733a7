//! Managed engines: how loaded their slots are, what a slot costs in memory, and what more of them should bring.

use crate::knobs::Knobs;
use crate::seen::{HOST, LONG_MS, RECENT_MS, Seen};
use crate::types::Health;

/// What [`engines`] reads.
pub const READS: &[&str] =
    &["queue_length", "in_flight", "engine_requests_deferred", "response_time_ms", "process_memory_bytes"];
/// Memory is asked for with this factor on top, for what the estimate does not know (scratch buffers, allocator).
const MEMORY_MARGIN: f64 = 1.2;
/// Throughput grows with slots to this power: 79 tokens/s with one slot, 125 with four and 166 with eight on two cores.
const THROUGHPUT_EXPONENT: f64 = 0.36;
/// Waiting requests, on average, from which slots count as short.
const WAITING_THAT_COUNTS: f64 = 0.5;

/// Time in which a replaced engine must have answered what it had: twice what passes until the host has measured.
const DRAIN_MAX_MS: f64 = 30_000.0;
/// Finished requests from which an engine's load is believed; the host asks for as many before it replaces an engine.
const FINISHED_MIN: u64 = 5;

/// One engine whose slots can be turned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Engine<'a> {
    /// Its provider's name, which is the knob's scope.
    pub scope: &'a str,
    /// Requests that it generates for at once.
    pub slots: i64,
    /// Requests at the engine, generating or waiting inside it.
    pub at_engine: f64,
    /// Of these, the ones that wait for a slot.
    pub waiting_inside: f64,
    /// Requests that wait for admission at the host.
    pub waiting_outside: f64,
    /// The most requests at the engine in the recent window.
    pub most_at_engine: f64,
    /// Requests that it finished in the long window.
    pub finished: u64,
    /// Estimated memory of one slot, in bytes.
    pub slot_bytes: f64,
    /// Memory that can be had, in bytes.
    pub free_bytes: f64,
}

impl Engine<'_> {
    /// Requests that wait, wherever they do.
    pub fn waiting(&self) -> f64 {
        self.waiting_inside + self.waiting_outside
    }

    /// Whether requests wait although every slot is taken, by enough evidence.
    pub fn is_short_of_slots(&self) -> bool {
        let has_evidence = self.finished >= FINISHED_MIN;
        has_evidence
            && self.waiting() >= WAITING_THAT_COUNTS
            && self.most_at_engine + WAITING_THAT_COUNTS >= self.slots as f64
    }

    /// Whether what was measured of a change of slots can be believed, when so many requests were there: the replaced
    /// engine answers those that wait inside it, so that a long queue is measured at the old engine's speed.
    pub fn was_soon_replaced(&self, demand: f64) -> bool {
        demand * f64::from(LONG_MS) <= DRAIN_MAX_MS * self.finished as f64
    }

    /// Whether an engine with that many slots can start while this one still runs, as a replacement does.
    pub fn has_memory_for(&self, slots: i64) -> bool {
        slots as f64 * self.slot_bytes * MEMORY_MARGIN <= self.free_bytes
    }

    /// Expected tokens/s with `slots` over tokens/s now, as long as there are requests for all of them.
    pub fn throughput_ratio(&self, slots: i64) -> f64 {
        (slots as f64 / self.slots.max(1) as f64).powf(THROUGHPUT_EXPONENT)
    }

    /// Expected time per output token with `slots` over that of now.
    pub fn token_time_ratio(&self, slots: i64) -> f64 {
        (slots as f64 / self.slots.max(1) as f64).powf(1.0 - THROUGHPUT_EXPONENT)
    }
}

/// The engines whose slots are on offer and which answer. `kv_bytes_per_token` is the KV cache of one token at 16 bits;
/// an engine's own resident memory divided by its slots bounds the estimate from above, because the cache is in it.
pub fn engines<'a>(seen: &Seen<'_>, knobs: &'a Knobs, kv_bytes_per_token: f64) -> Vec<Engine<'a>> {
    let free_bytes = free_bytes(seen);
    let waiting_outside = seen.level("queue_length", HOST).unwrap_or(0.0);
    let engine = |scope: &'a str| {
        let provider = seen.provider(scope)?;
        if !provider.managed || provider.health == Health::Down {
            return None;
        }
        let slots = seen.integer("engine_slots", scope)?.max(1);
        let at_engine = seen.level("in_flight", scope).unwrap_or(f64::from(provider.in_flight));
        let unserved = (at_engine - slots as f64).max(0.0);
        let most_at_engine = seen.summary("in_flight", scope, RECENT_MS).map_or(at_engine, |summary| summary.max);
        let waiting_inside = seen.level("engine_requests_deferred", scope).unwrap_or(unserved);
        let context = seen.integer("engine_context_tokens", scope).unwrap_or(2_048) as f64;
        let kv_share = kv_share(seen.word("engine_kv_type", scope).unwrap_or("f16"));
        let estimate = context * kv_bytes_per_token * kv_share;
        let resident = seen.level("process_memory_bytes", scope).filter(|bytes| *bytes > 0.0);
        let slot_bytes = resident.map_or(estimate, |bytes| estimate.min(bytes / slots as f64));
        let finished = seen.summary("response_time_ms", scope, LONG_MS).map_or(0, |summary| summary.count);
        Some(Engine {
            scope,
            slots,
            at_engine,
            most_at_engine,
            waiting_inside,
            waiting_outside,
            finished,
            slot_bytes,
            free_bytes,
        })
    };
    knobs.scopes_of("engine_slots").filter_map(engine).collect()
}

/// Memory of a KV cache of that type over one at 16 bits, block scales included.
pub fn kv_share(kv_type: &str) -> f64 {
    match kv_type {
        "q8_0" => 34.0 / 64.0,
        "q4_0" => 18.0 / 64.0,
        _ => 1.0,
    }
}

/// Free memory: where there are graphics processors, the smaller of theirs and the host's, as the engine may use
/// either.
fn free_bytes(seen: &Seen<'_>) -> f64 {
    let hardware = &seen.observation.hardware;
    let host = hardware.memory_free_bytes as f64;
    let graphics: f64 = hardware.gpus.iter().map(|gpu| gpu.memory_free_bytes as f64).sum();
    if hardware.gpus.is_empty() { host } else { host.min(graphics) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine() -> Engine<'static> {
        Engine {
            scope: "local",
            slots: 4,
            at_engine: 8.0,
            most_at_engine: 8.0,
            waiting_inside: 4.0,
            waiting_outside: 0.0,
            finished: 20,
            slot_bytes: 100.0,
            free_bytes: 1000.0,
        }
    }

    #[test]
    fn slots_are_short_only_when_taken_and_waited_for() {
        assert!(engine().is_short_of_slots());
        assert!(!Engine { waiting_inside: 0.0, ..engine() }.is_short_of_slots());
        // Held back by the concurrency limit, not by slots.
        assert!(
            !Engine { at_engine: 2.0, most_at_engine: 2.0, waiting_inside: 0.0, waiting_outside: 6.0, ..engine() }
                .is_short_of_slots()
        );
    }

    #[test]
    fn memory_counts_the_whole_replacement() {
        assert!(engine().has_memory_for(8) && !engine().has_memory_for(9));
    }

    #[test]
    fn more_slots_bring_less_than_their_number() {
        let ratio = Engine { slots: 1, ..engine() }.throughput_ratio(8);
        assert!((2.0..2.2).contains(&ratio), "{ratio}");
        assert!((ratio * Engine { slots: 1, ..engine() }.token_time_ratio(8) - 8.0).abs() < 1e-9);
    }
}
