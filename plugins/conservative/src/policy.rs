//! When conservative turns which knob.
//!
//! One small step at a time, and nothing again until the last one has settled. Slots are the only way to shorten the
//! wait without turning requests away, so they come first; then admission is tightened. Capacity comes back step by
//! step when there is headroom.

use strategy_kit::engine::{self, Engine, engines};
use strategy_kit::first_token::{self, FirstToken, first_token};
use strategy_kit::parameters::{KV_BYTES_PER_TOKEN, SETTLE_S};
use strategy_kit::route::{Candidate, Plan, Request};
use strategy_kit::seen::HOST;
use strategy_kit::text::Text;
use strategy_kit::types::{Hardware, Proposal};
use strategy_kit::{About, Change, ParameterInfo, Parameters, Policy, Seen, Tuning, admission};

const TOKENS: &str = "tokens_per_second";
/// From this multiple of the target on, slots are doubled.
const FAR_OFF: f64 = 2.0;
/// Throughput that more slots may cost, as a share. A request waits for a slot, not for tokens/s: as long as the engine
/// is about as fast, more slots shorten the wait. Measured windows of a few seconds differ by this much on their own.
const THROUGHPUT_LOSS_MAX: f64 = 0.15;
/// Recent share of failures up to which no target is unreliable: the host counts one failure as 5 %, so that two in close
/// succession are more than chance, and one of five hundred is not.
const UNRELIABLE_MIN: f32 = 0.1;
/// Answers needed before a percentile is believed.
const SAMPLES_MIN: u64 = 10;
/// The cap on slots never falls below this, so that one core does not mean one client.
const SLOTS_CAP_MIN: i64 = 4;
/// Slots that one graphics processor is trusted with.
const SLOTS_PER_GPU: i64 = 16;

/// Latency first.
#[derive(Debug, Default)]
pub struct Conservative {
    target_ttft_p95_ms: f64,
    target_error_rate: f64,
    headroom: f64,
    settle_ms: u64,
    slots_per_core: i64,
    kv_bytes_per_token: f64,
}

impl Policy for Conservative {
    const ABOUT: About = About {
        name: "conservative",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Latency first: slots where requests wait, then tighter admission, one small step at a time.",
        goal: "p95 time to first token at or under target_ttft_p95_ms and error rate at or under target_error_rate",
        reads: &[engine::READS, first_token::READS, admission::READS, &[TOKENS, "error_rate"]],
        turns: &[&["engine_slots"], admission::TURNS],
        parameters: PARAMETERS,
    };

    fn configure(&mut self, parameters: &Parameters, tuning: &mut Tuning) {
        self.target_ttft_p95_ms = parameters.get("target_ttft_p95_ms");
        self.target_error_rate = parameters.get("target_error_rate");
        self.headroom = parameters.get("headroom");
        self.settle_ms = (parameters.get("settle_s") * 1000.0) as u64;
        self.slots_per_core = parameters.get("slots_per_core") as i64;
        self.kv_bytes_per_token = parameters.get("kv_bytes_per_token");
        tuning.trials.retry_after_ms = 1_800_000;
        tuning.trials.gain = THROUGHPUT_LOSS_MAX;
    }

    fn propose(&mut self, seen: &Seen<'_>, tuning: &mut Tuning) -> Vec<Proposal> {
        self.step(seen, tuning).into_iter().collect()
    }

    fn plan(&self, asked: &Request, candidates: &[Candidate]) -> Plan {
        crate::plan::plan(asked, candidates, (2.0 * self.target_error_rate as f32).max(UNRELIABLE_MIN))
    }
}

const PARAMETERS: &[ParameterInfo] = &[
    ParameterInfo::number(
        "target_ttft_p95_ms",
        "ms",
        2000.0,
        (1.0, 600_000.0),
        "95th percentile of the time to first token to stay under",
    ),
    ParameterInfo::share("target_error_rate", 0.01, "share of failed requests above which load is taken off"),
    ParameterInfo::number(
        "headroom",
        "ratio",
        0.6,
        (0.1, 0.95),
        "share of the target below which capacity is given back",
    ),
    SETTLE_S,
    ParameterInfo::number("slots_per_core", "count", 4.0, (1.0, 64.0), "engine slots at most for one physical core"),
    KV_BYTES_PER_TOKEN,
];

impl Conservative {
    fn step(&self, seen: &Seen<'_>, tuning: &mut Tuning) -> Option<Proposal> {
        if tuning.trials.is_settling(self.settle_ms) {
            return None;
        }
        let knobs = tuning.knobs.clone();
        let engines = engines(seen, &knobs, self.kv_bytes_per_token);
        for engine in &engines {
            if let Some(back) = take_back_slots(seen, tuning, engine) {
                return Some(back);
            }
        }
        if let Some(back) = admission::take_back(seen, tuning, &engines) {
            return Some(back);
        }
        if let Some(relief) = self.relieve_errors(seen, tuning, &engines) {
            return Some(relief);
        }
        let target_ms = self.target_ttft_p95_ms;
        if let Some(finished) = admission::finish(seen, tuning, &engines, target_ms) {
            return Some(finished);
        }
        let wait = first_token(seen, &engines, SAMPLES_MIN)?;
        if wait.p95_ms > self.headroom * target_ms {
            let raised = engines.iter().find_map(|engine| self.raise_slots(seen, tuning, engine, wait));
            return raised.or_else(|| match wait.p95_ms > target_ms {
                true => admission::fill_slots(seen, tuning, &engines)
                    .or_else(|| admission::tighten(seen, tuning, &engines, wait, target_ms)),
                false => None,
            });
        }
        admission::fill_slots(seen, tuning, &engines)
            .or_else(|| admission::relax(seen, tuning, &engines, wait, target_ms))
    }

    /// Half as many slots again, at least one more, while requests wait for one; twice as many while the target is
    /// missed by far; fewer where that was tried and taken back.
    fn raise_slots(
        &self,
        seen: &Seen<'_>,
        tuning: &mut Tuning,
        engine: &Engine<'_>,
        wait: FirstToken,
    ) -> Option<Proposal> {
        let cap = self.slots_cap(&seen.observation.hardware);
        let is_far_off = wait.p95_ms > FAR_OFF * self.target_ttft_p95_ms;
        let half = (engine.slots / 2).max(1);
        let steps = [if is_far_off { engine.slots } else { half }, half, 1].map(|more| (engine.slots + more).min(cap));
        let value = tuning.first_open("engine_slots", engine.scope, steps)?;
        if value <= engine.slots || !engine.is_short_of_slots() || !engine.has_memory_for(value) {
            return None;
        }
        let reason = Text::new("first tokens take ").number(wait.p95_ms).words(" ms at p95 (target ");
        let reason = reason.number(self.target_ttft_p95_ms).words(" ms) and ").number(engine.waiting());
        let reason = reason.words(" requests wait for one of ").integer(engine.slots).words(" slots: try ");
        let reason = reason.integer(value).done();
        // Throughput decides how long a queue takes. It settles in seconds; a percentile of waits still shows the queue
        // that was there before, or one that is only building up.
        let (metric, ratio) = (TOKENS, engine.throughput_ratio(value));
        let change =
            Change { name: "engine_slots", scope: engine.scope, value, reason, metric, ratio, confidence: 0.7 };
        tuning.ask(seen, change)
    }

    /// A quarter less at once (half of a limit that is not even reached) while more requests fail than should.
    fn relieve_errors(&self, seen: &Seen<'_>, tuning: &mut Tuning, engines: &[Engine<'_>]) -> Option<Proposal> {
        let finished = seen.settled("error_rate", HOST, 2 * SAMPLES_MIN)?;
        if finished.mean <= self.target_error_rate {
            return None;
        }
        let present = seen.integer("concurrency_limit", HOST)?;
        let under_way = seen.level("in_flight", HOST)?.ceil() as i64;
        let value = if under_way * 2 < present { present / 2 } else { present * 3 / 4 };
        // With a request for each slot an engine has no load to take off.
        let value = value.max(admission::capacity(seen, engines)).max(1);
        if value >= present {
            return None;
        }
        let reason = Text::new("").percent(finished.mean).words(" of requests fail (target ");
        let reason = reason.percent(self.target_error_rate).words("): lower the limit from ").integer(present);
        let reason = reason.words(" to ").integer(value).done();
        let metric = "error_rate";
        let change =
            Change { name: "concurrency_limit", scope: HOST, value, reason, metric, ratio: 0.75, confidence: 0.4 };
        tuning.ask(seen, change)
    }

    fn slots_cap(&self, hardware: &Hardware) -> i64 {
        let by_cores = i64::from(hardware.physical_cores) * self.slots_per_core;
        by_cores.max(hardware.gpus.len() as i64 * SLOTS_PER_GPU).max(SLOTS_CAP_MIN)
    }
}

/// Takes back slots with which the engine got slower: whatever waits, waits longer for it.
fn take_back_slots(seen: &Seen<'_>, tuning: &mut Tuning, engine: &Engine<'_>) -> Option<Proposal> {
    tuning.take_back(seen, ("engine_slots", engine.scope), TOKENS, false, |present, value| {
        let text = Text::new("").integer(present).words(" slots brought clearly fewer tokens/s than ").integer(value);
        text.words(", so that requests wait longer: back to ").integer(value).done()
    })
}
