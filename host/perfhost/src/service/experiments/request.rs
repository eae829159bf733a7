//! What somebody asks for who starts an experiment: the body of `POST /api/experiments`, and the flags of `perfhost ab
//! start` in the same words. Owns how terms are written; what they mean together is the experiment's own check.

use std::collections::BTreeMap;

use perfhost_strategy::Value;
use perfhost_strategy::experiment::spec::Objective;
use perfhost_strategy::experiment::{Confirmation, Guardrail, Metric, Mix, Slo, Unit};
use serde::{Deserialize, Serialize};

use super::ExperimentError;

/// Most blocks' or confirmation's length, so that no experiment is left running for ever: 30 days.
const MOST_DURATION_MS: u64 = 30 * 86_400_000;

/// Part of the present tokens per second that is worth a change, where nothing else is said.
const WORTH_OF_TOKENS: f64 = 0.05;

/// An experiment's terms as somebody wrote them. What is left out has a default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StartRequest {
    /// For people; made from the arms when absent.
    pub name: Option<String>,
    /// Strategies, the incumbent first. With one, it challenges the strategy in service.
    pub arms: Vec<ArmRequest>,
    /// `metric` or `metric:minimum effect`, such as `goodput:0.02`. Default goodput.
    pub objective: Option<String>,
    /// `metric:tolerance` each. Default `error-rate:0.01`.
    pub guardrails: Option<Vec<String>>,
    /// Weights and scales of the metric `mix`.
    pub mix: Option<Mix>,
    /// What an answer has to keep to. Parts that are left out have their defaults.
    pub slo: Option<SloRequest>,
    /// What is drawn by chance. Default each request.
    pub unit: Option<Unit>,
    /// After this long it ends without a winner. Default a day.
    pub max_duration_ms: Option<u64>,
    /// Probability of ever naming a winner that is none. Default 0.05.
    pub error_bound: Option<f64>,
    /// Shares of a challenger, rising; empty to begin with equal shares. Default 0.01, 0.05, 0.1, 0.25, 0.5.
    pub ramp: Option<Vec<f64>>,
    /// Least time on a step of the ramp. Default 30,000.
    pub ramp_step_ms: Option<u64>,
    /// Share of traffic that stays with the loser while the winner is confirmed. Default 0.1.
    pub holdout: Option<f64>,
    /// Longest time of that; 0 for no confirmation. Default an hour.
    pub confirm_ms: Option<u64>,
    /// How long figures take to settle after arms take turns. When absent: as measured after earlier changes here, and at
    /// least `TUNING_SETTLES_MS` where arms tune and as long as the slowest twentieth of answers takes.
    pub settling_ms: Option<u64>,
    /// Requests per second to expect, for blocks that hold enough of them. Measured when absent.
    pub pace: Option<f64>,
    /// Units (rounds, where arms take turns) of each arm before a winner is named.
    pub least_units: Option<u64>,
    /// All chance comes from here; drawn when absent.
    pub seed: Option<u64>,
}

/// One arm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ArmRequest {
    /// A strategy: a built-in name, a path on the host's machine, `name@version` or a digest.
    Named(String),
    /// A strategy with knobs that are set and stay so. In an experiment with such an arm no strategy turns knobs.
    Fixed(FixedArm),
}

/// A strategy and the knobs that make its arm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FixedArm {
    /// As [`ArmRequest::Named`]; the strategy in service when absent.
    #[serde(default)]
    pub strategy: Option<String>,
    /// `name` or `name@provider`, and the value.
    pub set: BTreeMap<String, Value>,
}

/// [`Slo`] with defaults; a limit of 0 is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SloRequest {
    /// Longest time to the first token.
    pub ttft_ms: Option<f64>,
    /// Longest time per output token.
    pub time_per_output_token_ms: Option<f64>,
    /// Longest response time.
    pub response_ms: Option<f64>,
    /// Whatever has not ended after this is a failure.
    pub deadline_ms: Option<u64>,
}

impl StartRequest {
    /// What is to be improved. `tokens_per_second` is the present rate, for the least change that is worth one.
    pub fn objective(&self, tokens_per_second: f64) -> Result<Objective, ExperimentError> {
        let (metric, effect) = self.metric("objective", self.objective.as_deref().unwrap_or("goodput"))?;
        let worth = match metric {
            Metric::TokensPerSecond => WORTH_OF_TOKENS * tokens_per_second,
            Metric::LatencyP95 | Metric::TimeToFirstToken => 0.05,
            Metric::Cost => 0.0,
            _ => 0.01,
        };
        Ok(Objective { metric, minimum_effect: effect.unwrap_or(worth) })
    }

    /// What must not get worse.
    pub fn guardrails(&self) -> Result<Vec<Guardrail>, ExperimentError> {
        let default = vec!["error-rate:0.01".to_owned()];
        let named = self.guardrails.as_ref().unwrap_or(&default);
        let guardrail = |text: &String| {
            let (metric, tolerance) = self.metric("guardrail", text)?;
            let tolerance = tolerance.ok_or_else(|| ExperimentError::Term {
                field: "guardrail",
                found: text.clone(),
                allowed: format!("a metric and how much worse is accepted, such as {}:0.05", metric.name()),
            })?;
            Ok(Guardrail { metric, tolerance })
        };
        named.iter().map(guardrail).collect()
    }

    /// What an answer has to keep to.
    pub fn slo(&self) -> Slo {
        let (asked, default) = (self.slo.unwrap_or_default(), Slo::default());
        let limit = |asked: Option<f64>, default: Option<f64>| asked.or(default).filter(|limit| *limit > 0.0);
        Slo {
            ttft_ms: limit(asked.ttft_ms, default.ttft_ms),
            time_per_output_token_ms: limit(asked.time_per_output_token_ms, default.time_per_output_token_ms),
            response_ms: limit(asked.response_ms, default.response_ms),
            deadline_ms: asked.deadline_ms.unwrap_or(default.deadline_ms),
        }
    }

    /// Whether and how a promotion is confirmed.
    pub fn confirmation(&self) -> Option<Confirmation> {
        let default = Confirmation::default();
        let at_most_ms = self.confirm_ms.unwrap_or(default.at_most_ms).min(MOST_DURATION_MS);
        (at_most_ms > 0).then(|| Confirmation { holdout: self.holdout.unwrap_or(default.holdout), at_most_ms })
    }

    /// After this long it ends.
    pub fn at_most_ms(&self) -> u64 {
        self.max_duration_ms.unwrap_or(86_400_000).clamp(1_000, MOST_DURATION_MS)
    }

    fn metric(&self, field: &'static str, text: &str) -> Result<(Metric, Option<f64>), ExperimentError> {
        let (name, number) = text.split_once(':').map_or((text, None), |(name, number)| (name, Some(number)));
        let metric = match name {
            "goodput" => Metric::Goodput,
            "error-rate" | "errors" => Metric::ErrorRate,
            "latency-p95" | "p95" | "latency" => Metric::LatencyP95,
            "time-to-first-token" | "ttft" => Metric::TimeToFirstToken,
            "tokens-per-second" | "tokens/s" | "throughput" => Metric::TokensPerSecond,
            "cost" => Metric::Cost,
            "feedback" => Metric::Feedback,
            "mix" => Metric::Mix(self.mix.unwrap_or_default()),
            _ => {
                let allowed = "goodput, error-rate, latency-p95, time-to-first-token, tokens-per-second, cost, feedback \
                               or mix, with a number after a colon";
                return Err(ExperimentError::Term { field, found: text.to_owned(), allowed: allowed.to_owned() });
            }
        };
        let parsed = number.map(|number| number.trim().parse::<f64>().ok().filter(|number| number.is_finite()));
        match parsed {
            Some(None) => Err(ExperimentError::Term {
                field,
                found: text.to_owned(),
                allowed: format!("{name} and a number after a colon, such as {name}:0.02"),
            }),
            number => Ok((metric, number.flatten())),
        }
    }
}

impl ArmRequest {
    /// The strategy that is meant; `None` for the one in service.
    pub fn strategy(&self) -> Option<&str> {
        match self {
            ArmRequest::Named(name) => Some(name),
            ArmRequest::Fixed(fixed) => fixed.strategy.as_deref(),
        }
    }

    /// The knobs that are set and stay so.
    pub fn fixed(&self) -> Option<&BTreeMap<String, Value>> {
        match self {
            ArmRequest::Named(_) => None,
            ArmRequest::Fixed(fixed) => Some(&fixed.set),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(value: serde_json::Value) -> StartRequest {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn metrics_are_named_with_their_numbers() {
        let asked = request(json!({ "arms": ["a"], "objective": "p95:0.1", "guardrails": ["error-rate:0.02"] }));
        assert_eq!(asked.objective(0.0).unwrap(), Objective { metric: Metric::LatencyP95, minimum_effect: 0.1 });
        assert_eq!(asked.guardrails().unwrap(), [Guardrail { metric: Metric::ErrorRate, tolerance: 0.02 }]);
        let rate = request(json!({ "objective": "tokens-per-second" })).objective(80.0).unwrap();
        assert_eq!(rate.minimum_effect, 4.0);
    }

    #[test]
    fn what_is_wrong_is_named_with_what_is_allowed() {
        for (objective, part) in [("speed", "goodput, error-rate"), ("goodput:much", "goodput:0.02")] {
            let error = request(json!({ "objective": objective })).objective(0.0).unwrap_err().to_string();
            assert!(error.contains(objective) && error.contains(part), "{error}");
        }
        let error = request(json!({ "guardrails": ["cost"] })).guardrails().unwrap_err().to_string();
        assert!(error.contains("cost:0.05"), "{error}");
        assert!(serde_json::from_value::<StartRequest>(json!({ "arm": [] })).is_err());
    }

    #[test]
    fn limits_of_zero_are_none_and_others_have_defaults() {
        let slo = request(json!({ "slo": { "ttft_ms": 0, "response_ms": 900.0 } })).slo();
        assert_eq!((slo.ttft_ms, slo.response_ms, slo.deadline_ms), (None, Some(900.0), 60_000));
        assert_eq!(slo.time_per_output_token_ms, Slo::default().time_per_output_token_ms);
        assert_eq!(request(json!({ "confirm_ms": 0 })).confirmation(), None);
    }
}
