//! What must be measured for a rule to fire: a metric beside a threshold, and for how long.

use std::time::Duration;

use super::error::Problem;
use crate::Scope;
use crate::observation::Summary;

/// Beyond its threshold by this share a value has cleared, where no `until` says otherwise.
const BAND: f64 = 0.1;

/// Which number of a distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistic {
    /// Arithmetic mean.
    Mean,
    /// Smallest.
    Min,
    /// Largest.
    Max,
    /// Median.
    P50,
    /// 95th percentile.
    P95,
    /// 99th percentile.
    P99,
}

impl Statistic {
    /// That number.
    pub fn of(self, summary: &Summary) -> f64 {
        match self {
            Statistic::Mean => summary.mean,
            Statistic::Min => summary.min,
            Statistic::Max => summary.max,
            Statistic::P50 => summary.p50,
            Statistic::P95 => summary.p95,
            Statistic::P99 => summary.p99,
        }
    }
}

/// How a value stands to a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `>`
    Above,
    /// `>=`
    AtLeast,
    /// `<`
    Below,
    /// `<=`
    AtMost,
}

impl Operator {
    /// Large values meet it.
    pub fn is_upward(self) -> bool {
        matches!(self, Operator::Above | Operator::AtLeast)
    }
}

/// One metric beside a threshold.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// As it was written, without operator and threshold.
    pub written: String,
    /// One of [`crate::observation::metric::ALL`].
    pub metric: &'static str,
    /// The metric's unit.
    pub unit: &'static str,
    /// Which number of its distribution.
    pub statistic: Statistic,
    /// Where; `None` for the whole host, and for the worst provider where only providers are measured.
    pub scope: Option<Scope>,
    /// How.
    pub operator: Operator,
    /// In the metric's unit; from 0.
    pub threshold: f64,
}

impl Condition {
    /// Whether `value` meets it.
    pub fn is_met(&self, value: f64) -> bool {
        match self.operator {
            Operator::Above => value > self.threshold,
            Operator::AtLeast => value >= self.threshold,
            Operator::Below => value < self.threshold,
            Operator::AtMost => value <= self.threshold,
        }
    }

    /// Whether `value` is clear of the threshold by a tenth of it.
    pub fn is_cleared(&self, value: f64) -> bool {
        let is_beyond = match self.operator.is_upward() {
            true => value <= self.threshold * (1.0 - BAND),
            // A share has an end: with 95 % as its threshold, 104.5 % would never be reached.
            false if self.unit == "ratio" => value >= (self.threshold * (1.0 + BAND)).min((1.0 + self.threshold) / 2.0),
            false => value >= self.threshold * (1.0 + BAND),
        };
        is_beyond && !self.is_met(value)
    }

    /// That a value can meet it. No metric is ever negative, no share above 1.
    pub(super) fn check(&self) -> Result<(), Problem> {
        let is_share = self.unit == "ratio";
        let why = match self.operator {
            Operator::Above if is_share && self.threshold >= 1.0 => "is a share, so never above 1, which is 100 %",
            Operator::AtLeast if is_share && self.threshold > 1.0 => "is a share, so at most 1, which is 100 %",
            Operator::Below if self.threshold <= 0.0 => "is never below 0",
            _ => return Ok(()),
        };
        Err(Problem::NeverHolds { why: format!("{} {why}", self.written) })
    }

    /// Whether both are about the same number.
    fn is_alike(&self, other: &Self) -> bool {
        (self.metric, self.statistic, &self.scope) == (other.metric, other.statistic, &other.scope)
    }
}

/// Conditions that must all hold, for a time.
#[derive(Debug, Clone, PartialEq)]
pub struct Trigger {
    /// At least one.
    pub conditions: Vec<Condition>,
    /// For how long.
    pub hold: Duration,
}

impl Trigger {
    /// The provider that it looks at, if it looks at one.
    pub fn provider(&self) -> Option<&str> {
        self.conditions.iter().find_map(|condition| condition.scope.as_ref()?.provider_name())
    }

    /// The same conditions at one place, as far as they name none.
    pub fn at(&self, scope: &Scope) -> Self {
        let here = |condition: &Condition| Condition {
            scope: condition.scope.clone().or_else(|| Some(scope.clone())),
            ..condition.clone()
        };
        Self { conditions: self.conditions.iter().map(here).collect(), hold: self.hold }
    }

    /// That `until` does not hold for values for which this trigger does: the rule would end and begin without end.
    pub(super) fn check_apart(&self, until: &Self) -> Result<(), Problem> {
        for (starts, ends) in
            self.conditions.iter().flat_map(|one| until.conditions.iter().map(move |other| (one, other)))
        {
            let is_apart = match (starts.operator.is_upward(), ends.operator.is_upward()) {
                (true, false) => ends.threshold <= starts.threshold,
                (false, true) => ends.threshold >= starts.threshold,
                _ => false,
            };
            // With further conditions on either side the two may still exclude one another.
            let is_alone = self.conditions.len() == 1 && until.conditions.len() == 1;
            if is_alone && starts.is_alike(ends) && !is_apart {
                let allowed = match starts.operator.is_upward() {
                    true => "allowed is `<` with a threshold that is not above the trigger's",
                    false => "allowed is `>` with a threshold that is not below the trigger's",
                };
                return Err(Problem::Overlap { allowed: allowed.to_owned() });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(text: &str) -> Condition {
        Trigger::parse(text).unwrap().conditions.remove(0)
    }

    #[test]
    fn a_value_clears_a_tenth_beyond_its_threshold() {
        let slow = condition("response_time_p95 > 5000");
        assert!(slow.is_met(5_001.0) && !slow.is_met(5_000.0) && slow.is_cleared(4_500.0) && !slow.is_cleared(4_600.0));
        let hits = condition("cache_hit_rate < 95%");
        assert!(hits.is_met(0.9) && !hits.is_cleared(0.96) && hits.is_cleared(0.976));
        for at_zero in ["queue_length > 0", "queue_length <= 0"] {
            let condition = condition(at_zero);
            for value in [0.0, 0.5] {
                assert_ne!(condition.is_met(value), condition.is_cleared(value), "{at_zero} with {value}");
            }
        }
    }

    #[test]
    fn no_value_both_meets_and_clears() {
        for operator in [">", ">=", "<", "<="] {
            for threshold in ["0.01", "30%", "0.999"] {
                let condition = condition(&format!("error_rate {operator} {threshold}"));
                let both = |value: &f64| condition.is_met(*value) && condition.is_cleared(*value);
                assert_eq!((0..=1000).map(|step| f64::from(step) / 1000.0).find(both), None);
            }
        }
    }

    #[test]
    fn what_can_never_hold_is_refused() {
        for never in ["error_rate > 1", "cpu_usage >= 150%", "queue_length < 0", "cpu_usage > 100"] {
            let error = Trigger::parse(never).unwrap_err();
            assert!(matches!(*error.problem, Problem::NeverHolds { .. }), "{never}: {error}");
        }
        assert!(Trigger::parse("cpu_usage >= 100%").is_ok() && Trigger::parse("queue_length <= 0").is_ok());
    }
}
