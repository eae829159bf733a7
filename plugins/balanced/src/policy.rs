//! When balanced turns which knob.
//!
//! It climbs towards the most requests per second that keep both limits: more slots while requests wait and tokens
//! still come fast enough, fewer when they do not, and tighter admission when slots cannot help. A step that did not
//! help is taken back and remembered.

use strategy_kit::engine::{self, Engine, engines};
use strategy_kit::first_token::{self, FirstToken, first_token};
use strategy_kit::parameters::{KV_BYTES_PER_TOKEN, SETTLE_S};
use strategy_kit::route::{Candidate, Plan, Request};
use strategy_kit::seen::HOST;
use strategy_kit::text::Text;
use strategy_kit::types::{Proposal, Summary};
use strategy_kit::{About, Change, ParameterInfo, Parameters, Policy, Seen, Tuning, admission};

use crate::goodput::share_within;
use crate::plan::Weights;

const TTFT: &str = "time_to_first_token_ms";
const TOKEN_TIME: &str = "time_per_output_token_ms";
const TOKENS: &str = "tokens_per_second";
/// Answers needed before a percentile is believed.
const SAMPLES_MIN: u64 = 10;
/// Share of requests within a limit below which the limit is missed.
const MISSED: f64 = 0.95;
/// Share of the first-token limit below which more requests are let in.
const HEADROOM: f64 = 0.7;
/// Share of the token-time limit that a raise may be expected to use.
const TOKEN_TIME_ROOM: f64 = 0.9;

/// Goodput under limits.
#[derive(Debug, Default)]
pub struct Balanced {
    slo_ttft_ms: f64,
    slo_tpot_ms: f64,
    settle_ms: u64,
    kv_bytes_per_token: f64,
    weights: Weights,
}

impl Policy for Balanced {
    const ABOUT: About = About {
        name: "balanced",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Goodput: as many requests as keep both limits, found by climbing in steps that are measured.",
        goal: "most requests per second that succeed with time to first token within slo_ttft_ms and time per output \
               token within slo_tpot_ms",
        reads: &[engine::READS, first_token::READS, admission::READS, &[TOKEN_TIME, TOKENS]],
        turns: &[&["engine_slots"], admission::TURNS],
        parameters: PARAMETERS,
    };

    fn configure(&mut self, parameters: &Parameters, tuning: &mut Tuning) {
        self.slo_ttft_ms = parameters.get("slo_ttft_ms");
        self.slo_tpot_ms = parameters.get("slo_tpot_ms");
        self.settle_ms = (parameters.get("settle_s") * 1000.0) as u64;
        self.kv_bytes_per_token = parameters.get("kv_bytes_per_token");
        self.weights = Weights {
            latency: parameters.get("latency_weight") as f32,
            load: parameters.get("load_weight") as f32,
            cost: parameters.get("cost_weight") as f32,
        };
        tuning.trials.gain = 0.03;
    }

    fn propose(&mut self, seen: &Seen<'_>, tuning: &mut Tuning) -> Vec<Proposal> {
        self.step(seen, tuning).into_iter().collect()
    }

    fn plan(&self, asked: &Request, candidates: &[Candidate]) -> Plan {
        crate::plan::plan(asked, candidates, self.weights)
    }
}

const PARAMETERS: &[ParameterInfo] = &[
    ParameterInfo::number(
        "slo_ttft_ms",
        "ms",
        2000.0,
        (1.0, 600_000.0),
        "a request is good only if its first token comes within this time",
    ),
    ParameterInfo::number(
        "slo_tpot_ms",
        "ms",
        100.0,
        (0.1, 60_000.0),
        "a request is good only if its output tokens take no longer than this each",
    ),
    SETTLE_S,
    KV_BYTES_PER_TOKEN,
    ParameterInfo::share("latency_weight", 0.4, "what recent latency counts for in choosing a target"),
    ParameterInfo::share("load_weight", 0.3, "what load counts for in choosing a target"),
    ParameterInfo::share("cost_weight", 0.3, "what price counts for in choosing a target"),
];

impl Balanced {
    fn step(&self, seen: &Seen<'_>, tuning: &mut Tuning) -> Option<Proposal> {
        if tuning.trials.is_settling(self.settle_ms) {
            return None;
        }
        let knobs = tuning.knobs.clone();
        let engines = engines(seen, &knobs, self.kv_bytes_per_token);
        let wait = first_token(seen, &engines, SAMPLES_MIN);
        for engine in &engines {
            let token_time = seen.settled(TOKEN_TIME, engine.scope, SAMPLES_MIN);
            let turned = take_back_slots(seen, tuning, engine)
                .or_else(|| self.lower_slots(seen, tuning, engine, token_time?))
                .or_else(|| self.raise_slots(seen, tuning, engine, token_time));
            if turned.is_some() {
                return turned;
            }
        }
        if let Some(back) = admission::take_back(seen, tuning, &engines) {
            return Some(back);
        }
        if let Some(filled) = admission::fill_slots(seen, tuning, &engines) {
            return Some(filled);
        }
        if let Some(finished) = admission::finish(seen, tuning, &engines, self.slo_ttft_ms) {
            return Some(finished);
        }
        let wait = wait?;
        if self.share_in_time(seen, wait) < MISSED {
            admission::tighten(seen, tuning, &engines, wait, self.slo_ttft_ms)
        } else if wait.p95_ms < HEADROOM * self.slo_ttft_ms {
            admission::relax(seen, tuning, &engines, wait, self.slo_ttft_ms)
        } else {
            None
        }
    }

    /// Share of requests whose first token came in time.
    fn share_in_time(&self, seen: &Seen<'_>, wait: FirstToken) -> f64 {
        match seen.settled(TTFT, HOST, SAMPLES_MIN).filter(|_| wait.is_measured) {
            Some(summary) => share_within(summary, self.slo_ttft_ms),
            None => f64::from(u8::from(wait.p95_ms <= self.slo_ttft_ms)),
        }
    }

    /// Half as many slots again while requests wait for one and tokens are expected to stay fast enough.
    fn raise_slots(
        &self,
        seen: &Seen<'_>,
        tuning: &mut Tuning,
        engine: &Engine<'_>,
        token_time: Option<&Summary>,
    ) -> Option<Proposal> {
        let value = engine.slots + (engine.slots + 1) / 2;
        if !engine.is_short_of_slots() || !engine.has_memory_for(value) {
            return None;
        }
        let expected_ms = token_time.map(|now| now.p95 * engine.token_time_ratio(value));
        if expected_ms.is_some_and(|expected| expected > TOKEN_TIME_ROOM * self.slo_tpot_ms) {
            return None;
        }
        let reason = Text::new("").number(engine.waiting()).words(" requests wait for one of ").integer(engine.slots);
        let reason = reason.words(" slots; with ").integer(value).words(" a token is expected to take ");
        let reason = match expected_ms {
            Some(expected) => reason.number(expected).words(" ms of "),
            None => reason.words("less than the limit of "),
        };
        let reason = reason.number(self.slo_tpot_ms).words(" ms").done();
        let ratio = engine.throughput_ratio(value);
        let confidence = if expected_ms.is_some() { 0.7 } else { 0.5 };
        let change =
            Change { name: "engine_slots", scope: engine.scope, value, reason, metric: TOKENS, ratio, confidence };
        tuning.ask(seen, change)
    }

    /// A third fewer slots when tokens come too slowly.
    fn lower_slots(
        &self,
        seen: &Seen<'_>,
        tuning: &mut Tuning,
        engine: &Engine<'_>,
        token_time: &Summary,
    ) -> Option<Proposal> {
        let share = share_within(token_time, self.slo_tpot_ms);
        let is_engine_full = engine.at_engine + 0.5 >= engine.slots as f64;
        if share >= MISSED || engine.slots <= 1 || !is_engine_full {
            return None;
        }
        let value = (engine.slots * 2 / 3).max(1);
        let reason = Text::new("only ").percent(share).words(" of answers keep ").number(self.slo_tpot_ms);
        let reason =
            reason.words(" ms per token with ").integer(engine.slots).words(" slots: try ").integer(value).done();
        let ratio = engine.token_time_ratio(value);
        let metric = TOKEN_TIME;
        let change =
            Change { name: "engine_slots", scope: engine.scope, value, reason, metric, ratio, confidence: 0.7 };
        tuning.ask(seen, change)
    }
}

/// Takes back a number of slots that brought nothing.
fn take_back_slots(seen: &Seen<'_>, tuning: &mut Tuning, engine: &Engine<'_>) -> Option<Proposal> {
    let tried = tuning.trials.to_take_back("engine_slots", engine.scope, engine.slots)?;
    if !engine.was_soon_replaced(tried.demand) {
        return None;
    }
    tuning.take_back(seen, ("engine_slots", engine.scope), TOKENS, true, |present, value| {
        let text = Text::new("").integer(present).words(" slots brought less than 3 % over ").integer(value);
        text.words(", which take less memory: back to ").integer(value).done()
    })
}
