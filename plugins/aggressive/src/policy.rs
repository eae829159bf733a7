//! When aggressive turns which knob.
//!
//! Slots double while requests wait for one and the last doubling brought tokens per second; a doubling that did not is
//! taken back and not tried again until demand has doubled or time has passed. Refused requests are lost work, so the
//! queue grows before anything is turned away; a cache that pays gets more.

use strategy_kit::engine::{self, Engine, engines};
use strategy_kit::parameters::KV_BYTES_PER_TOKEN;
use strategy_kit::route::{Candidate, Plan, Request};
use strategy_kit::seen::HOST;
use strategy_kit::text::Text;
use strategy_kit::types::Proposal;
use strategy_kit::{About, Change, ParameterInfo, Parameters, Policy, Seen, Tuning, admission};

use crate::cache;

const TOKENS: &str = "tokens_per_second";
/// Share of refused requests that counts.
const REFUSED_THAT_COUNTS: f64 = 0.001;
/// Share of a limit in use from which the limit is what holds requests back.
const BINDING: f64 = 0.9;
/// Time after a step was taken back before a smaller one is tried: a window and what its change takes to settle.
const AFTER_ROLL_BACK_MS: u64 = 15_000;
/// Requests under way for each slot at most: one that generates and some that are ready to.
const REQUESTS_PER_SLOT: i64 = 4;

/// Throughput first.
#[derive(Debug, Default)]
pub struct Aggressive {
    gain_min: f64,
    slots_max: i64,
    kv_bytes_per_token: f64,
    caches_sampled: bool,
}

impl Policy for Aggressive {
    const ABOUT: About = About {
        name: "aggressive",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Throughput first: engine slots double while that brings tokens, long queues, wide caching, hedging.",
        goal: "most generated tokens per second that memory and guardrails allow",
        reads: &[engine::READS, &[TOKENS, "requests_per_second", "rejected_rate", "cache_hit_rate"]],
        turns: &[&["engine_slots"], admission::TURNS, &["cache_ttl_ms", "cache_capacity_bytes"]],
        parameters: PARAMETERS,
    };

    fn configure(&mut self, parameters: &Parameters, tuning: &mut Tuning) {
        self.gain_min = parameters.get("gain_min");
        self.slots_max = parameters.get("slots_max") as i64;
        self.kv_bytes_per_token = parameters.get("kv_bytes_per_token");
        self.caches_sampled = parameters.get("cache_sampled") > 0.0;
        tuning.trials.gain = self.gain_min;
        tuning.trials.retry_after_ms = (parameters.get("retry_after_s") * 1000.0) as u64;
    }

    fn propose(&mut self, seen: &Seen<'_>, tuning: &mut Tuning) -> Vec<Proposal> {
        let knobs = tuning.knobs.clone();
        let engines = engines(seen, &knobs, self.kv_bytes_per_token);
        let mut proposals = Vec::new();
        for engine in &engines {
            let turned = self.take_back_slots(seen, tuning, engine).or_else(|| self.double_slots(seen, tuning, engine));
            proposals.extend(turned);
        }
        // Slots and admission at once would leave open which of them brought the gain.
        if proposals.is_empty() && engines.iter().all(|engine| tuning.trials.is_open(engine.scope)) {
            proposals.extend(
                admission::fill_slots(seen, tuning, &engines)
                    .or_else(|| raise_limit(seen, tuning, &engines))
                    .or_else(|| lengthen_queue(seen, tuning))
                    .or_else(|| cache::extend(seen, tuning)),
            );
        }
        proposals
    }

    fn plan(&self, asked: &Request, candidates: &[Candidate]) -> Plan {
        crate::plan::plan(asked, candidates, self.caches_sampled)
    }
}

const PARAMETERS: &[ParameterInfo] = &[
    ParameterInfo::share("gain_min", 0.05, "relative gain in tokens/s that a doubling of slots must bring to stay"),
    ParameterInfo::number("slots_max", "count", 64.0, (1.0, 64.0), "engine slots at most"),
    ParameterInfo::number(
        "retry_after_s",
        "s",
        600.0,
        (0.0, 604_800.0),
        "time before a change that brought nothing is tried again",
    ),
    KV_BYTES_PER_TOKEN,
    ParameterInfo::number(
        "cache_sampled",
        "",
        1.0,
        (0.0, 1.0),
        "1: answers that were sampled are cached as well and given to the same request again; 0: they are not",
    ),
];

impl Aggressive {
    /// Twice as many slots while requests wait for one and memory allows.
    fn double_slots(&self, seen: &Seen<'_>, tuning: &mut Tuning, engine: &Engine<'_>) -> Option<Proposal> {
        let steps = [engine.slots * 2, engine.slots + (engine.slots + 1) / 2].map(|slots| slots.min(self.slots_max));
        let value = tuning.first_open("engine_slots", engine.scope, steps)?;
        // Until then windows show the engine as it was before the host took back the larger step.
        if value < steps[0] && tuning.trials.is_settling(AFTER_ROLL_BACK_MS) {
            return None;
        }
        if value <= engine.slots || !engine.is_short_of_slots() || !engine.has_memory_for(value) {
            return None;
        }
        if seen.integer("concurrency_limit", HOST).is_some_and(|limit| limit < value) {
            return admission::make_room(seen, tuning, engine, value);
        }
        let rate = seen.level(TOKENS, engine.scope).or_else(|| seen.level(TOKENS, HOST))?;
        let ratio = engine.throughput_ratio(value);
        let reason = Text::new("").number(engine.waiting()).words(" requests wait for one of ").integer(engine.slots);
        let reason = reason.words(" slots at ").number(rate).words(" tokens/s; ").integer(value);
        let reason = reason.words(" slots need ").mebibytes(value as f64 * engine.slot_bytes).words(" of ");
        let reason = reason.mebibytes(engine.free_bytes).words(" free").done();
        let change = Change {
            name: "engine_slots",
            scope: engine.scope,
            value,
            reason,
            metric: TOKENS,
            ratio,
            // Few slots are far from what the cores can do; many are near it.
            confidence: if engine.slots < 8 { 0.8 } else { 0.5 },
        };
        tuning.ask(seen, change)
    }

    /// Back to the number of slots before the last step, when that step brought less than it must.
    fn take_back_slots(&self, seen: &Seen<'_>, tuning: &mut Tuning, engine: &Engine<'_>) -> Option<Proposal> {
        let tried = tuning.trials.to_take_back("engine_slots", engine.scope, engine.slots)?;
        if !engine.was_soon_replaced(tried.demand) {
            return None;
        }
        tuning.take_back(seen, ("engine_slots", engine.scope), TOKENS, true, |present, value| {
            let text = Text::new("").integer(present).words(" slots brought less than ").percent(self.gain_min);
            text.words(" more tokens/s than ").integer(value).words(": back to ").integer(value).done()
        })
    }
}

/// Twice the concurrency limit while requests queue for it and the engines could take more.
fn raise_limit(seen: &Seen<'_>, tuning: &mut Tuning, engines: &[Engine<'_>]) -> Option<Proposal> {
    let present = seen.integer("concurrency_limit", HOST)?;
    let (queued, under_way) = (seen.level("queue_length", HOST)?, seen.level("in_flight", HOST)?);
    let slots: i64 = engines.iter().map(|engine| engine.slots).sum();
    let has_room = engines.is_empty() || present < REQUESTS_PER_SLOT * slots;
    if queued < 0.5 || under_way < BINDING * present as f64 || !has_room {
        return None;
    }
    let value = present.saturating_mul(2);
    let reason = Text::new("").number(queued).words(" requests queue at a limit of ").integer(present);
    let reason = reason.words(" with ").number(under_way).words(" under way: double it").done();
    let (metric, ratio, confidence) = (TOKENS, 1.1, 0.5);
    tuning.ask(seen, Change { name: "concurrency_limit", scope: HOST, value, reason, metric, ratio, confidence })
}

/// A longer queue, or a longer wait in it, while requests are turned away.
fn lengthen_queue(seen: &Seen<'_>, tuning: &mut Tuning) -> Option<Proposal> {
    let refused = seen.level("rejected_rate", HOST).filter(|share| *share >= REFUSED_THAT_COUNTS)?;
    let queued = seen.level("queue_length", HOST).unwrap_or(0.0);
    let length = seen.integer("queue_length", HOST)?;
    // A queue that is full turns requests away at its door; one that is not, by the clock.
    let (name, present) = match queued >= BINDING * length as f64 {
        true => ("queue_length", length),
        false => ("queue_wait_ms", seen.integer("queue_wait_ms", HOST)?),
    };
    // A queue twice as long would double the wait, which the host takes back.
    let value = present.saturating_add((present / 2).max(1));
    let reason = Text::new("").percent(refused).words(" of requests are refused with ").number(queued);
    let reason = reason.words(" queued: raise ").words(name).words(" from ").integer(present);
    let reason = reason.words(" to ").integer(value).done();
    let (metric, ratio, confidence) = ("rejected_rate", 0.5, 0.6);
    tuning.ask(seen, Change { name, scope: HOST, value, reason, metric, ratio, confidence })
}
