//! The loop of decisions: time passes, the guard measures, the strategy learns, proposes and is judged. Every proposal
//! is checked against what the contract demands of all of them.

use super::guard::Guard;
use super::world::World;
use crate::export::Instance;
use crate::knobs::Knobs;
use crate::types::{Observation, Proposal, Value};

/// Time between two observations, in milliseconds.
pub const CYCLE_MS: u64 = 5_000;

/// One proposal that was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// The knob.
    pub name: String,
    /// The value asked for.
    pub value: i64,
    /// Why.
    pub reason: String,
}

/// A strategy in a world.
#[derive(Debug)]
pub struct Run<I> {
    /// The strategy.
    pub strategy: I,
    /// The world.
    pub world: World,
    /// The guard between them.
    pub guard: Guard,
    /// Every proposal so far.
    pub turns: Vec<Turn>,
}

impl<I: Instance> Run<I> {
    /// A new instance of the strategy with these parameters, in a world with so many clients.
    pub fn new(clients: usize, parameters: &[(&str, &str)]) -> Self {
        let given: Vec<_> = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut strategy = I::default();
        strategy.configure(&given, World::knobs()).expect("parameters of the test");
        Self { strategy, world: World::new(clients), guard: Guard::default(), turns: Vec::new() }
    }

    /// Lets so many cycles pass.
    pub fn cycles(&mut self, count: usize) -> &mut Self {
        for _ in 0..count {
            self.world.advance(CYCLE_MS);
            let seen = self.world.observe();
            let outcomes = self.guard.review(&mut self.world, &seen);
            if !outcomes.is_empty() {
                self.strategy.learn(&outcomes);
            }
            let seen = self.world.observe();
            let proposals = self.strategy.propose(&seen);
            proposals.iter().for_each(|proposal| self.turns.push(checked(proposal, &seen)));
            let outcomes = self.guard.judge(&mut self.world, &seen, proposals);
            if !outcomes.is_empty() {
                self.strategy.learn(&outcomes);
            }
        }
        self
    }

    /// The values asked for of one knob, in order.
    pub fn values_of(&self, name: &str) -> Vec<i64> {
        self.turns.iter().filter(|turn| turn.name == name).map(|turn| turn.value).collect()
    }

    /// The mean over the last minute.
    pub fn mean(&self, metric: &str) -> f64 {
        self.last_minute(metric).mean
    }

    /// The 95th percentile over the last minute.
    pub fn p95(&self, metric: &str) -> f64 {
        self.last_minute(metric).p95
    }

    fn last_minute(&self, metric: &str) -> crate::types::Summary {
        let seen = self.world.observe();
        let of_name =
            seen.metrics.iter().find(|one| one.name == metric && one.window_ms == 60_000 && one.scope.is_empty());
        of_name.unwrap_or_else(|| panic!("{metric} is not modelled")).summary
    }
}

/// Asserts what holds for every proposal of every strategy.
fn checked(proposal: &Proposal, seen: &Observation) -> Turn {
    let Value::Integer(value) = proposal.value else { panic!("{proposal:?}") };
    let knobs = Knobs::new(World::knobs());
    assert_eq!(knobs.nearest(&proposal.name, &proposal.scope, value), Some(value), "out of bounds: {proposal:?}");
    let effect = proposal.expected.as_ref().unwrap_or_else(|| panic!("no expected effect: {proposal:?}"));
    assert!(effect.ratio.is_finite() && effect.ratio > 0.0, "{proposal:?}");
    assert!((0.0..=1.0).contains(&proposal.confidence), "{proposal:?}");
    assert!(proposal.reason.chars().any(|letter| letter.is_ascii_digit()), "a reason without numbers: {proposal:?}");
    assert!(!proposal.reason.contains("unknown"), "a reason with unknown numbers: {proposal:?}");
    let present = seen.settings.iter().find(|one| one.name == proposal.name && one.scope == proposal.scope);
    assert!(!matches!(present, Some(one) if matches!(one.value, Value::Integer(now) if now == value)), "{proposal:?}");
    Turn { name: proposal.name.clone(), value, reason: proposal.reason.clone() }
}
