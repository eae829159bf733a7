//! What a guest answers, checked: sizes within their limits, numbers finite, a plan's indexes real, names fit for
//! headers and logs. Whether a knob's value is within its bounds is the guard's business.

use perfhost_strategy::advice::Advice;
use perfhost_strategy::proposal::ExpectedEffect;
use perfhost_strategy::strategy::{Description, Parameter};
use perfhost_strategy::{Plan, Proposal, Scope, StrategyError, Value};

use crate::bindings::exports::perfhost::strategy::{advise, control, route};
use crate::bindings::perfhost::strategy::types;
use crate::limits::Limits;

/// Longest name and version: they are sent in a response header.
const MAX_NAME_BYTES: usize = 64;

/// Checks the parts of one call's answer.
struct Check<'a> {
    call: &'static str,
    limits: &'a Limits,
}

impl Check<'_> {
    fn size(&self, what: &'static str, size: usize, limit: usize) -> Result<(), StrategyError> {
        if size <= limit {
            return Ok(());
        }
        Err(StrategyError::OutputTooLarge { call: self.call, what, size: size as u64, limit: limit as u64 })
    }

    fn text(&self, what: &'static str, text: String) -> Result<String, StrategyError> {
        self.size(what, text.len(), self.limits.max_text_bytes)?;
        Ok(tame(text))
    }

    fn finite(&self, what: &str, number: f64) -> Result<f64, StrategyError> {
        if number.is_finite() {
            return Ok(number);
        }
        self.invalid(format!("{what} is {number}; numbers must be finite"))
    }

    fn invalid<T>(&self, message: String) -> Result<T, StrategyError> {
        Err(StrategyError::InvalidAnswer { call: self.call, message })
    }
}

/// Text without what steers a terminal: it is shown to operators and written to logs. Ends of lines and tabs stay; other
/// control characters become spaces.
fn tame(text: String) -> String {
    let is_wild = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\t');
    if text.contains(is_wild) { text.replace(is_wild, " ") } else { text }
}

/// A fault in the guest's own words.
pub(crate) fn fault(call: &'static str, fault: types::Fault, limits: &Limits) -> StrategyError {
    let (kind, mut message) = match fault {
        types::Fault::InvalidParameter(message) => ("invalid parameter", message),
        types::Fault::Unsupported(message) => ("unsupported", message),
        types::Fault::Failed(message) => ("failed", message),
    };
    message.truncate(message.floor_char_boundary(limits.max_text_bytes));
    StrategyError::Fault { call, message: format!("{kind}: {}", tame(message)) }
}

/// What the strategy says of itself. Its name and version must be words that fit in a header.
pub(crate) fn description(given: control::Description, limits: &Limits) -> Result<Description, StrategyError> {
    let check = Check { call: "describe", limits };
    for (what, word, others) in [("name", &given.name, "._-"), ("version", &given.version, ".+-")] {
        let is_fit = |letter: char| letter.is_ascii_alphanumeric() || others.contains(letter);
        if word.is_empty() || word.len() > MAX_NAME_BYTES || !word.chars().all(is_fit) {
            let word: String = word.chars().take(MAX_NAME_BYTES).collect();
            return check.invalid(format!(
                "{what} is {word:?}; it must be 1 to {MAX_NAME_BYTES} ASCII letters, digits and any of {others}"
            ));
        }
    }
    for (what, count) in
        [("reads", given.reads.len()), ("turns", given.turns.len()), ("parameters", given.parameters.len())]
    {
        check.size(what, count, limits.max_description_items)?;
    }
    let texts = |what, texts: Vec<String>| -> Result<Vec<String>, StrategyError> {
        texts.into_iter().map(|text| check.text(what, text)).collect()
    };
    Ok(Description {
        summary: check.text("summary", given.summary)?,
        goal: check.text("goal", given.goal)?,
        reads: texts("an entry of reads", given.reads)?,
        turns: texts("an entry of turns", given.turns)?,
        parameters: given
            .parameters
            .into_iter()
            .map(|parameter| {
                Ok(Parameter {
                    name: check.text("a parameter's name", parameter.name)?,
                    unit: check.text("a parameter's unit", parameter.unit)?,
                    default: check.text("a parameter's default", parameter.default)?,
                    meaning: check.text("a parameter's meaning", parameter.meaning)?,
                })
            })
            .collect::<Result<_, StrategyError>>()?,
        name: given.name,
        version: given.version,
    })
}

/// Proposals.
pub(crate) fn proposals(given: Vec<types::Proposal>, limits: &Limits) -> Result<Vec<Proposal>, StrategyError> {
    let check = Check { call: "propose", limits };
    check.size("proposals", given.len(), limits.max_proposals)?;
    given.into_iter().map(|proposal| one_proposal(proposal, &check)).collect()
}

fn one_proposal(given: types::Proposal, check: &Check<'_>) -> Result<Proposal, StrategyError> {
    let name = check.text("a proposal's name", given.name)?;
    let value = match given.value {
        types::ValueResult::Flag(flag) => Value::Flag(flag),
        types::ValueResult::Integer(integer) => Value::Integer(integer),
        types::ValueResult::Number(number) => {
            Value::Number(check.finite(&format!("the value proposed for {name}"), number)?)
        }
        types::ValueResult::Text(text) => Value::Text(check.text("a proposal's value", text)?),
    };
    let expected = given
        .expected
        .map(|effect| {
            Ok(ExpectedEffect {
                ratio: check.finite(&format!("the effect expected of {name}"), effect.ratio)?,
                metric: check.text("an expected effect's metric", effect.metric)?,
            })
        })
        .transpose()?;
    Ok(Proposal {
        scope: Scope::parse(&check.text("a proposal's scope", given.scope)?),
        value,
        reason: check.text("a proposal's reason", given.reason)?,
        expected,
        confidence: check.finite(&format!("the confidence in {name}"), given.confidence)?,
        name,
    })
}

/// A plan for a call with `candidates` candidates. Takes the order as it is: nothing is copied.
#[inline]
pub(crate) fn plan(given: route::Plan, candidates: usize, limits: &Limits) -> Result<Plan, StrategyError> {
    let check = Check { call: "plan-request", limits };
    check.size("order", given.order.len(), limits.max_order)?;
    let plan = Plan {
        order: given.order,
        cache_read: given.cache_read,
        cache_write: given.cache_write,
        cache_ttl_ms: given.cache_ttl_ms,
        first_byte_timeout_ms: given.first_byte_timeout_ms,
        hedge_after_ms: given.hedge_after_ms,
        priority: given.priority,
    };
    match plan.defect(candidates) {
        None => Ok(plan),
        Some(defect) => check.invalid(defect),
    }
}

/// Saved state.
pub(crate) fn state(given: Vec<u8>, limits: &Limits) -> Result<Vec<u8>, StrategyError> {
    Check { call: "save", limits }.size("state in bytes", given.len(), limits.max_state_bytes)?;
    Ok(given)
}

/// Advice.
pub(crate) fn advice(given: Vec<advise::Advice>, limits: &Limits) -> Result<Vec<Advice>, StrategyError> {
    let check = Check { call: "recommend", limits };
    check.size("advice", given.len(), limits.max_advice)?;
    given
        .into_iter()
        .map(|advice| {
            Ok(Advice {
                confidence: check.finite("confidence", advice.confidence)?,
                model: check.text("model", advice.model)?,
                variant_name: check.text("variant name", advice.variant_name)?,
                kv_type: check.text("KV type", advice.kv_type)?,
                reason: check.text("reason", advice.reason)?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "ok\u{1b}]0;owned\u{7}\u{9b}2J\r\n\tmore";

    #[test]
    fn no_text_of_a_guest_steers_a_terminal() {
        let limits = Limits::default();
        let proposal = types::Proposal {
            name: "queue_length".to_owned(),
            scope: String::new(),
            value: types::ValueResult::Text(HOSTILE.to_owned()),
            reason: HOSTILE.to_owned(),
            expected: None,
            confidence: 0.5,
        };
        let tame = "ok ]0;owned  2J \n\tmore";
        let answer = proposals(vec![proposal], &limits).unwrap().remove(0);
        assert_eq!((answer.reason.as_str(), answer.value), (tame, Value::Text(tame.to_owned())));
        let error = fault("propose", types::Fault::Failed(HOSTILE.to_owned()), &limits);
        assert!(matches!(error, StrategyError::Fault { message, .. } if message == format!("failed: {tame}")));
    }
}
