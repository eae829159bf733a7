//! When the advisor proposes a smaller KV cache for a running engine: memory is short, requests wait, and the cache is
//! still at 16 bits. It asks once; what came of it decides whether it ever asks again.

use strategy_kit::text::Text;
use strategy_kit::types::{Effect, Fault, Proposal, Value};
use strategy_kit::{Knobs, Parameters, Seen};

use crate::bindings::control::{Outcome, Verdict};
use crate::parameters::ABOUT;

const KV_TYPE: &str = "engine_kv_type";
const DEFERRED: &str = "engine_requests_deferred";
/// The type asked for: half the memory at next to no loss.
const SMALLER: &str = "q8_0";
/// A proposal that was refused is made again after this.
const REFUSED_PAUSE_MS: u64 = 600_000;
/// Engines remembered at most.
const SCOPES_MAX: usize = 64;

/// The advisor's state.
#[derive(Debug)]
pub struct Advisor {
    /// Parameters in force.
    pub parameters: Parameters,
    knobs: Knobs,
    /// Engines for which the smaller cache was taken back.
    given_up: Vec<String>,
    asked_ms: Vec<(String, u64)>,
}

impl Default for Advisor {
    fn default() -> Self {
        Self {
            parameters: Parameters::defaults(ABOUT.parameters),
            knobs: Knobs::default(),
            given_up: Vec::new(),
            asked_ms: Vec::new(),
        }
    }
}

impl Advisor {
    /// `control.configure`.
    ///
    /// # Errors
    /// `invalid-parameter`, as [`Parameters::read`].
    pub fn configure(&mut self, given: &[(String, String)], knobs: Knobs) -> Result<(), Fault> {
        self.parameters = Parameters::read(ABOUT.parameters, given)?;
        self.knobs = knobs;
        Ok(())
    }

    /// `control.propose`: at most one engine at a time.
    pub fn propose(&mut self, seen: &Seen<'_>) -> Vec<Proposal> {
        let hardware = &seen.observation.hardware;
        let (free, total) = (hardware.memory_free_bytes as f64, hardware.memory_total_bytes as f64);
        if total <= 0.0 || free / total >= self.parameters.get("free_memory_min") {
            return Vec::new();
        }
        let now_ms = seen.now_ms();
        let is_due = |scope: &str| {
            let asked = self.asked_ms.iter().find(|(asked, _)| asked == scope);
            asked.is_none_or(|(_, at_ms)| now_ms.saturating_sub(*at_ms) >= REFUSED_PAUSE_MS)
        };
        let is_wanted = |scope: &&str| {
            seen.word(KV_TYPE, scope) == Some("f16")
                && seen.level(DEFERRED, scope).is_some_and(|waiting| waiting > 0.0)
                && self.knobs.takes_word(KV_TYPE, scope, SMALLER)
                && self.given_up.iter().all(|given_up| given_up != scope)
                && is_due(scope)
        };
        let Some(scope) = self.knobs.scopes_of(KV_TYPE).find(is_wanted).map(str::to_owned) else { return Vec::new() };
        self.asked_ms.retain(|(asked, _)| *asked != scope);
        self.asked_ms.truncate(SCOPES_MAX - 1);
        self.asked_ms.push((scope.clone(), now_ms));
        let reason = Text::new("").percent(free / total).words(" of memory is free and requests wait for slots: a KV ");
        let reason = reason.words("cache at 8 bits takes 53 % of the memory at 0.2 % loss").done();
        vec![Proposal {
            name: KV_TYPE.to_owned(),
            scope,
            value: Value::Text(SMALLER.to_owned()),
            reason,
            // It frees memory that more slots can use; by itself it should cost nothing.
            expected: Some(Effect { metric: "process_memory_bytes".to_owned(), ratio: 0.9 }),
            confidence: 0.6,
        }]
    }

    /// `control.learn`.
    pub fn learn(&mut self, outcomes: &[Outcome]) {
        for outcome in outcomes {
            let is_taken_back = outcome.name == KV_TYPE && matches!(outcome.verdict, Verdict::RolledBack);
            if is_taken_back && !self.given_up.contains(&outcome.scope) && self.given_up.len() < SCOPES_MAX {
                self.given_up.push(outcome.scope.clone());
            }
        }
    }

    /// `control.save`: the engines given up, one a line.
    pub fn save(&self) -> Vec<u8> {
        self.given_up.join("\n").into_bytes()
    }

    /// `control.restore`.
    ///
    /// # Errors
    /// `unsupported` for what is not text.
    pub fn restore(&mut self, state: Vec<u8>) -> Result<(), Fault> {
        let text =
            String::from_utf8(state).map_err(|_| Fault::Unsupported("the saved state is not text".to_owned()))?;
        self.given_up =
            text.split('\n').filter(|scope| !scope.is_empty()).take(SCOPES_MAX).map(str::to_owned).collect();
        Ok(())
    }
}
