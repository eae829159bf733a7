//! What a user can set about the guard: how long it waits, how much it needs to see, and what counts as worse.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::observation::metric;

/// How cautious the guard is. Every field has a default, so a configuration names only what it changes.
///
/// A strategy may trade one metric for another; what it may not do is the host's choice and stated here. The default
/// guardrails let an engine go from one slot to eight, where each answer's tokens come more slowly while all answers
/// together come sooner: time per output token is not among them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GuardPolicy {
    /// Time in milliseconds that a live knob's change is left alone before it is measured. Default 3,000.
    pub settle_ms: u64,
    /// The same for a reload knob, from the moment the new engine took over; answers that began on the old engine
    /// should have ended by then. Default 5,000.
    pub reload_settle_ms: u64,
    /// Longest time in milliseconds for a reload to take effect; after it the change is taken back. Default 600,000:
    /// large models load slowly, and an engine that cannot start says so itself.
    pub reload_timeout_ms: u64,
    /// Length in milliseconds of the windows before and after a change that are compared. Observations should offer a
    /// window of this length; a longer one is used when only that holds enough requests. Default 10,000.
    pub measure_ms: u64,
    /// Longest time in milliseconds after settling to wait for enough requests. Default 30,000.
    pub measure_at_most_ms: u64,
    /// Requests that must have finished in each of the two windows for any comparison. Default 5.
    pub minimum_count: u64,
    /// From this many measurements on the 95th percentiles are compared; below it a percentile is little more than the
    /// largest value, and the medians are compared. Default 20.
    pub tail_count: u64,
    /// Windows are not compared when the requests under way and the requests finished per second both rose, or both
    /// fell, one of them by more than this factor. Default 1.5.
    pub load_factor: f64,
    /// Requests that must have finished in a recent window before a knob of high risk is turned. Default 5.
    pub evidence_count: u64,
    /// Time in milliseconds that a knob is not turned in a direction again after a rollback of that. Doubles with each
    /// repetition. Default 60,000.
    pub cooldown_ms: u64,
    /// Longest such time in milliseconds; twice this long after a cooldown ends its repetitions are forgotten.
    /// Default 3,600,000.
    pub cooldown_at_most_ms: u64,
    /// What must not get worse. Default: [`Guardrail::defaults`].
    pub guardrails: Vec<Guardrail>,
}

/// One metric that a change must not make worse.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guardrail {
    /// One of [`metric::ALL`]. Measured in the change's scope; what is
    /// measured only on the whole host (rejections, say) is read there.
    pub metric: String,
    /// How much worse is too much.
    pub limit: Limit,
    /// Measurements that each of the two windows must hold. Default 5.
    #[serde(default = "five")]
    pub minimum_count: u64,
}

/// How much worse is too much.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Limit {
    /// For shares of requests (0 to 1): the mean may rise by at most `rise`, and no verdict rests on fewer than
    /// `requests` requests more than before.
    Share {
        /// Largest rise allowed, a ratio from 0 to 1.
        rise: f64,
        /// Smallest number of requests that the rise must amount to.
        requests: f64,
    },
    /// For times: the 95th percentile (the median of few measurements) may grow to at most `ratio` times what it was;
    /// growth by less than `rise` in the metric's own unit never counts.
    Growth {
        /// Largest allowed value after over value before.
        ratio: f64,
        /// Smallest rise that counts.
        rise: f64,
    },
    /// For rates: the mean may fall to no less than `ratio` times what it was, after allowing for load that fell.
    Drop {
        /// Smallest allowed value after over value before, from 0 to 1.
        ratio: f64,
    },
}

/// What is wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PolicyError {
    /// A guardrail watches something that is not measured.
    #[error("guard policy: guardrail {0:?} is not a metric")]
    UnknownMetric(String),
    /// A number is outside its range.
    #[error("guard policy: {field} is {found}, allowed is {allowed}")]
    OutOfRange {
        /// Which field.
        field: String,
        /// Its value.
        found: String,
        /// What is allowed.
        allowed: &'static str,
    },
}

impl Default for GuardPolicy {
    fn default() -> Self {
        Self {
            settle_ms: 3_000,
            reload_settle_ms: 5_000,
            reload_timeout_ms: 600_000,
            measure_ms: 10_000,
            measure_at_most_ms: 30_000,
            minimum_count: 5,
            tail_count: 20,
            load_factor: 1.5,
            evidence_count: 5,
            cooldown_ms: 60_000,
            cooldown_at_most_ms: 3_600_000,
            guardrails: Guardrail::defaults(),
        }
    }
}

impl Guardrail {
    /// Failed requests may rise by 5 points (and 2 requests), rejected ones by 10 points (and 3 requests); response time
    /// and time to first token may double (rises under 100 and 50 ms never count); tokens per second may halve.
    pub fn defaults() -> Vec<Self> {
        let guardrail = |metric: &str, limit| Self { metric: metric.to_owned(), limit, minimum_count: five() };
        vec![
            guardrail(metric::ERROR_RATE, Limit::Share { rise: 0.05, requests: 2.0 }),
            guardrail(metric::REJECTED_RATE, Limit::Share { rise: 0.1, requests: 3.0 }),
            guardrail(metric::TIME_TO_FIRST_TOKEN, Limit::Growth { ratio: 2.0, rise: 50.0 }),
            guardrail(metric::RESPONSE_TIME, Limit::Growth { ratio: 2.0, rise: 100.0 }),
            guardrail(metric::TOKENS_PER_SECOND, Limit::Drop { ratio: 0.5 }),
        ]
    }
}

impl GuardPolicy {
    /// Whether the policy makes sense. Configuration asks before it makes a guard; the guard itself takes any policy
    /// without failing.
    pub fn check(&self) -> Result<(), PolicyError> {
        let range = |field: &str, found: f64, is_allowed: bool, allowed| {
            let error = || PolicyError::OutOfRange { field: field.to_owned(), found: found.to_string(), allowed };
            if is_allowed { Ok(()) } else { Err(error()) }
        };
        let factor = self.load_factor;
        range("load_factor", factor, factor.is_finite() && factor >= 1.0, "a number from 1")?;
        range("measure_ms", self.measure_ms as f64, self.measure_ms >= 1_000, "a whole number from 1000")?;
        for guardrail in &self.guardrails {
            if !metric::ALL.iter().any(|known| known.name == guardrail.metric) {
                return Err(PolicyError::UnknownMetric(guardrail.metric.clone()));
            }
            let field = |part: &str| format!("{} {part}", guardrail.metric);
            let is_count = |number: f64| number.is_finite() && number >= 0.0;
            let is_share = |number: f64| (0.0..=1.0).contains(&number);
            match guardrail.limit {
                Limit::Share { rise, requests } => {
                    range(&field("rise"), rise, is_share(rise), "a number from 0 to 1")?;
                    range(&field("requests"), requests, is_count(requests), "a number from 0")?;
                }
                Limit::Growth { ratio, rise } => {
                    range(&field("ratio"), ratio, ratio.is_finite() && ratio >= 1.0, "a number from 1")?;
                    range(&field("rise"), rise, is_count(rise), "a number from 0")?;
                }
                Limit::Drop { ratio } => range(&field("ratio"), ratio, is_share(ratio), "a number from 0 to 1")?,
            }
        }
        Ok(())
    }
}

fn five() -> u64 {
    5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_names_only_what_it_changes() {
        let text = r#"{"settle_ms": 1000, "guardrails": [
            {"metric": "error_rate", "limit": {"share": {"rise": 0.01, "requests": 1}}},
            {"metric": "tokens_per_second", "limit": {"drop": {"ratio": 0.9}}, "minimum_count": 50}]}"#;
        let policy: GuardPolicy = serde_json::from_str(text).unwrap();
        assert_eq!((policy.settle_ms, policy.measure_ms, policy.check()), (1_000, 10_000, Ok(())));
        assert_eq!(policy.guardrails[0].limit, Limit::Share { rise: 0.01, requests: 1.0 });
        let counts: Vec<u64> = policy.guardrails.iter().map(|guardrail| guardrail.minimum_count).collect();
        assert_eq!(counts, [5, 50]);
    }

    #[test]
    fn unknown_fields_are_refused_by_name() {
        let error = |text: &str| serde_json::from_str::<GuardPolicy>(text).unwrap_err().to_string();
        assert!(error(r#"{"setle_ms": 1}"#).contains("unknown field `setle_ms`"));
        let text = r#"{"guardrails": [{"metric": "error_rate", "limit": {"share": {"rise": 0.1, "request": 1}}}]}"#;
        assert!(error(text).contains("unknown field `request`"));
    }

    #[test]
    fn a_policy_that_makes_no_sense_is_named() {
        assert_eq!(GuardPolicy::default().check(), Ok(()));
        let factor = GuardPolicy { load_factor: f64::NAN, ..GuardPolicy::default() };
        let message = "guard policy: load_factor is NaN, allowed is a number from 1";
        assert_eq!(factor.check().map_err(|error| error.to_string()), Err(message.to_owned()));
        let limit = Limit::Drop { ratio: 1.5 };
        let wrong = |metric: &str| {
            let guardrails = vec![Guardrail { metric: metric.to_owned(), limit, minimum_count: 5 }];
            GuardPolicy { guardrails, ..GuardPolicy::default() }.check().map_err(|error| error.to_string())
        };
        assert_eq!(wrong("speed"), Err("guard policy: guardrail \"speed\" is not a metric".to_owned()));
        let message = "guard policy: tokens_per_second ratio is 1.5, allowed is a number from 0 to 1";
        assert_eq!(wrong(metric::TOKENS_PER_SECOND), Err(message.to_owned()));
    }
}
