//! One rule over time: when it fires and clears, and how often what it did helped.

use perfhost_strategy::rule::{Condition, Rule, Watch};

/// Relative change of the rule's metric, the way the rule wants it, that counts as help.
const GAIN: f64 = 0.05;

/// How often changes of one rule were measured, and how often its metric moved the right way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Changes that were measured or taken back.
    pub measured: u32,
    /// Those after which the metric was better.
    pub helped: u32,
}

impl Tally {
    /// One more result.
    pub fn count(&mut self, has_helped: bool) {
        self.measured = self.measured.saturating_add(1);
        self.helped = self.helped.saturating_add(u32::from(has_helped));
    }

    /// How likely the next change helps: Laplace's rule of succession, so a half before anything is known.
    pub fn confidence(self) -> f64 {
        (f64::from(self.helped) + 1.0) / (f64::from(self.measured) + 2.0)
    }
}

/// A rule with its state.
#[derive(Debug, Clone)]
pub struct Course {
    /// What was written.
    pub rule: Rule,
    /// When it fires.
    pub watch: Watch,
    /// What its changes came to.
    pub tally: Tally,
    /// The first condition's value, as last measured.
    pub value: Option<f64>,
}

impl Course {
    /// A rule that has not fired yet.
    pub fn new(rule: Rule) -> Self {
        Self { rule, watch: Watch::default(), tally: Tally::default(), value: None }
    }

    /// The condition that stands for the rule in reasons and expectations.
    pub fn condition(&self) -> Option<&Condition> {
        self.rule.trigger.conditions.first()
    }

    /// What the rule is there for, as a ratio: its metric at the threshold, over the metric now.
    pub fn expected_ratio(&self) -> f64 {
        let threshold = self.condition().map_or(0.0, |condition| condition.threshold);
        match self.value.filter(|value| *value > 0.0) {
            Some(value) => (threshold / value).clamp(0.1, 10.0),
            None => 1.0,
        }
    }

    /// Whether the metric moved the way the rule wants it.
    pub fn has_helped(&self, before: f64, after: f64) -> bool {
        match self.condition().is_some_and(|condition| condition.operator.is_upward()) {
            true => after <= before * (1.0 - GAIN) && after < before,
            false => after >= before * (1.0 + GAIN) && after > before,
        }
    }
}
