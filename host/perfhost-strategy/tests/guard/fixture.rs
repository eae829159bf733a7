//! A host in miniature: a guard, its settings, and traffic that a test describes in numbers.

use perfhost_strategy::guard::{Guard, GuardPolicy, Judgement, Review};
use perfhost_strategy::knob::{Bounds, OfferedKnob};
use perfhost_strategy::observation::{Metric, Summary, metric};
use perfhost_strategy::proposal::ExpectedEffect;
use perfhost_strategy::scope::ScopeKind;
use perfhost_strategy::strategy::{Identity, World};
use perfhost_strategy::{Decision, KnobId, Observation, Proposal, Scope, Settings, Value};

/// What one window of ten seconds holds, the same in every scope.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Traffic {
    pub(crate) requests: u64,
    pub(crate) response_ms: f64,
    pub(crate) first_token_ms: f64,
    pub(crate) errors: f64,
    pub(crate) rejected: f64,
    pub(crate) tokens: f64,
    pub(crate) load: f64,
}

impl Traffic {
    pub(crate) const IDLE: Self =
        Self { requests: 0, response_ms: 0.0, first_token_ms: 0.0, errors: 0.0, rejected: 0.0, tokens: 0.0, load: 0.0 };
    pub(crate) const STEADY: Self = Self {
        requests: 40,
        response_ms: 2_000.0,
        first_token_ms: 400.0,
        errors: 0.0,
        rejected: 0.0,
        tokens: 80.0,
        load: 8.0,
    };

    pub(crate) fn metrics(self, window_ms: u32, scopes: &[Scope]) -> Vec<Metric> {
        let per_second = self.requests as f64 * 1_000.0 / f64::from(window_ms);
        let rows = [
            (metric::RESPONSE_TIME, self.requests, self.response_ms),
            (metric::TIME_TO_FIRST_TOKEN, self.requests, self.first_token_ms),
            (metric::ERROR_RATE, self.requests, self.errors),
            (metric::REJECTED_RATE, self.requests, self.rejected),
            (metric::REQUESTS_PER_SECOND, 1, per_second),
            (metric::TOKENS_PER_SECOND, 1, self.tokens),
            (metric::IN_FLIGHT, 10, self.load),
        ];
        let entry = |scope: &Scope, (name, count, mean): (&str, u64, f64)| {
            let summary = Summary { count, mean, min: mean, max: mean, p50: mean, p95: mean, p99: mean };
            Metric { name: name.to_owned(), scope: scope.clone(), unit: String::new(), window_ms, summary }
        };
        scopes.iter().flat_map(|scope| rows.map(|row| entry(scope, row))).collect()
    }
}

/// Two managed engines behind one guard.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    pub(crate) guard: Guard,
    pub(crate) settings: Settings,
    pub(crate) now_ms: u64,
    pub(crate) cycle: u64,
}

impl Host {
    pub(crate) fn new() -> Self {
        Self::with_policy(GuardPolicy::default())
    }

    pub(crate) fn with_policy(policy: GuardPolicy) -> Self {
        let mut guard = Guard::new(policy, 1);
        guard.offer(offered());
        Self { guard, settings: Settings::default(), now_ms: 1_000_000, cycle: 0 }
    }

    pub(crate) fn seen(&self, traffic: Traffic) -> Observation {
        let scopes = [Scope::global(), Scope::provider("local"), Scope::provider("other")];
        Observation { now_ms: self.now_ms, metrics: traffic.metrics(10_000, &scopes), ..Observation::default() }
    }

    /// `seconds` pass, then the guard reviews.
    pub(crate) fn review_after(&mut self, seconds: u64, traffic: Traffic) -> Review {
        self.now_ms += seconds * 1_000;
        let review = self.guard.review(&self.seen(traffic), &self.settings);
        self.settings = review.settings.clone().unwrap_or(self.settings.clone());
        review
    }

    pub(crate) fn judge_seeing(&mut self, traffic: Traffic, proposals: Vec<Proposal>) -> Judgement {
        self.cycle += 1;
        let seen = self.seen(traffic);
        let judgement = self.guard.judge(&seen, &self.settings, self.cycle, &identity(), proposals);
        self.settings = judgement.settings.clone().unwrap_or(self.settings.clone());
        judgement
    }

    /// Judges one proposal under steady traffic.
    pub(crate) fn judge(&mut self, proposal: Proposal) -> Decision {
        self.judge_seeing(Traffic::STEADY, vec![proposal]).decisions.remove(0)
    }

    pub(crate) fn slots(&self) -> u32 {
        self.settings.engine("local").slots
    }
}

pub(crate) fn identity() -> Identity {
    Identity {
        name: "test".to_owned(),
        version: "1.2.3".to_owned(),
        digest: "d1".to_owned(),
        world: World::Tuner,
        source: "built-in".to_owned(),
    }
}

/// Every knob, on the host or on both providers; at most 16 slots.
pub(crate) fn offered() -> Vec<OfferedKnob> {
    let offer = |id: KnobId, at: Scope| {
        let knob = id.knob();
        let bounds_here = if id == KnobId::EngineSlots { Bounds::IntegerRange(1, 16) } else { knob.bounds.clone() };
        OfferedKnob { knob, at, bounds_here }
    };
    let scopes = |id: &KnobId| match id.knob().scope {
        ScopeKind::Global => vec![Scope::global()],
        ScopeKind::Provider | ScopeKind::Model => vec![Scope::provider("local"), Scope::provider("other")],
    };
    KnobId::ALL.iter().flat_map(|id| scopes(id).into_iter().map(|at| offer(*id, at))).collect()
}

pub(crate) fn proposal(name: &str, scope: &str, value: Value) -> Proposal {
    Proposal {
        name: name.to_owned(),
        scope: Scope::parse(scope),
        value,
        reason: "because".to_owned(),
        expected: Some(ExpectedEffect { metric: metric::TOKENS_PER_SECOND.to_owned(), ratio: 1.5 }),
        confidence: 0.5,
    }
}

pub(crate) fn limit(value: i64) -> Proposal {
    proposal("concurrency_limit", "", Value::Integer(value))
}

pub(crate) fn slots(value: i64) -> Proposal {
    proposal("engine_slots", "local", Value::Integer(value))
}
