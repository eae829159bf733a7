//! `--require`: what must hold of a run for the command to succeed, so that an author's CI can rest on it.

use std::str::FromStr;

use perfhost_simulation::Totals;
use serde::Serialize;

/// A number of a run by its name.
type Read = fn(&Totals) -> f64;

/// What can be required, over the whole run.
const METRICS: [(&str, Read); 11] = [
    ("goodput", |totals| totals.goodput),
    ("goodput_per_second", |totals| totals.goodput_per_second),
    ("response_p50_ms", |totals| totals.response_p50_ms),
    ("response_p95_ms", |totals| totals.response_p95_ms),
    ("response_p99_ms", |totals| totals.response_p99_ms),
    ("first_token_p95_ms", |totals| totals.first_token_p95_ms),
    ("token_p95_ms", |totals| totals.token_p95_ms),
    ("tokens_per_second", |totals| totals.tokens_per_second),
    ("error_rate", |totals| totals.error_rate),
    ("rejected_rate", |totals| totals.rejected_rate),
    ("cache_hit_rate", |totals| totals.cache_hit_rate),
];

/// One condition, such as `goodput >= 0.95*baseline`.
#[derive(Debug, Clone)]
pub struct Requirement {
    text: String,
    metric: usize,
    is_at_least: bool,
    factor: f64,
    of: Option<Against>,
}

/// Whose number is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Against {
    Baseline,
    None,
}

/// How a condition came out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// The condition as it was given.
    pub condition: String,
    /// The strategy's number.
    pub found: f64,
    /// The number that it was compared with.
    pub bound: f64,
    /// Whether it holds.
    pub is_met: bool,
}

impl FromStr for Requirement {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let at = text.find(['<', '>']).ok_or("no >= or <= in it")?;
        let (name, rest) = (text[..at].trim(), &text[at..]);
        let names = || METRICS.map(|(known, _)| known).join(", ");
        let metric = METRICS.iter().position(|(known, _)| *known == name);
        let metric = metric.ok_or_else(|| format!("{name:?} is none of {}", names()))?;
        let bound = rest.strip_prefix(">=").or_else(|| rest.strip_prefix("<=")).ok_or("write >= or <=")?.trim();
        let (factor, of) = match bound.split_once('*') {
            Some((factor, of)) => (factor.trim(), of.trim()),
            None if bound.starts_with(|c: char| c.is_ascii_alphabetic()) => ("1", bound),
            None => (bound, ""),
        };
        let of = match of {
            "" => None,
            "baseline" => Some(Against::Baseline),
            "none" => Some(Against::None),
            other => return Err(format!("{other:?} is neither baseline nor none")),
        };
        let factor: f64 = factor.parse().map_err(|_| format!("{factor:?} is not a number"))?;
        Ok(Self { text: text.to_owned(), metric, is_at_least: rest.starts_with('>'), factor, of })
    }
}

impl Requirement {
    /// Whether it holds of a strategy's run, beside those of the baseline and of no strategy.
    pub fn judge(&self, strategy: &Totals, baseline: &Totals, none: &Totals) -> Answer {
        let read = METRICS[self.metric].1;
        let unit = match self.of {
            None => 1.0,
            Some(Against::Baseline) => read(baseline),
            Some(Against::None) => read(none),
        };
        let (found, bound) = (read(strategy), self.factor * unit);
        let is_met = if self.is_at_least { found >= bound } else { found <= bound };
        Answer { condition: self.text.clone(), found, bound, is_met }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_met(text: &str) -> bool {
        let totals = |goodput, response_p95_ms| Totals { goodput, response_p95_ms, ..Totals::default() };
        let requirement: Requirement = text.parse().unwrap();
        requirement.judge(&totals(0.8, 100.0), &totals(0.9, 100.0), &totals(0.5, 300.0)).is_met
    }

    #[test]
    fn conditions_compare_with_numbers_and_with_the_others() {
        assert!(is_met("goodput >= 0.8") && !is_met("goodput>=0.81") && is_met("goodput <= 0.8"));
        assert!(
            !is_met("goodput >= baseline") && is_met("goodput >= 0.85*baseline") && is_met("goodput >= 1.5 * none")
        );
        assert!(is_met("response_p95_ms <= baseline") && !is_met("response_p95_ms <= 0.3*none"));
    }

    #[test]
    fn what_is_no_condition_is_explained() {
        let error = |text: &str| text.parse::<Requirement>().unwrap_err();
        assert!(error("goodput = 1").contains("no >="));
        assert!(error("speed >= 1").contains("goodput_per_second"));
        assert!(error("goodput > 1").contains("write >="));
        assert!(error("goodput >= twice").contains("neither baseline nor none"));
        assert!(error("goodput >= x*baseline").contains("not a number"));
    }
}
