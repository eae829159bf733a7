//! The judgement of proposals: what the guard would have to cut back, refuse or wonder about, and what is no answer at all.

use super::cases::Case;
use super::description::nearest;
use super::finding::Severity::{Error, Note, Warning};
use super::finding::{Findings, shortened};
use crate::knob::Bounds;
use crate::observation::metric;
use crate::{KnobId, Proposal, Value};

/// Judges the proposals of one answer.
pub(super) fn judge(findings: &mut Findings, case: &Case, turns: &[String], proposals: &[Proposal]) {
    for (at, proposal) in proposals.iter().enumerate() {
        let place = || format!("propose, case {:?}", case.name);
        judge_claims(findings, proposal, &place());
        judge_value(findings, case, turns, proposal, &place());
        let is_twice = proposals[..at].iter().any(|other| other.name == proposal.name && other.scope == proposal.scope);
        if is_twice {
            let says = format!("{} of {} is proposed twice in one answer", proposal.name, proposal.scope);
            let fix = "propose each knob once: the guard takes the first and refuses the rest";
            findings.add(Note, "twice", &proposal.name, (place(), says, fix));
        }
    }
}

fn judge_value(findings: &mut Findings, case: &Case, turns: &[String], proposal: &Proposal, place: &str) {
    let name = shortened(&proposal.name);
    let scope = shortened(&proposal.scope.to_string());
    if KnobId::by_name(&proposal.name).is_none() {
        let names: Vec<&str> = KnobId::ALL.iter().map(|id| id.name()).collect();
        let fix = match nearest(&name, &names) {
            Some(near) => format!("propose {near:?}"),
            None => format!("propose one of the knobs that `configure` offers: {}", names.join(", ")),
        };
        findings.add(
            Error,
            "unknown-knob",
            &name,
            (place, format!("it proposes {name:?}, and no knob is called that"), fix),
        );
        return;
    }
    if !turns.contains(&proposal.name) {
        let says = format!("it proposes {name}, which `turns` of its description does not list");
        findings.add(Warning, "not-in-turns", &name, (place, says, "list it in `turns`, or do not propose it"));
    }
    let is_it =
        |offered: &&crate::knob::OfferedKnob| offered.knob.name == proposal.name && offered.at == proposal.scope;
    let Some(offered) = case.knobs.iter().find(is_it) else {
        let says = format!("it proposes {name} for {scope:?}, where it is not offered");
        let fix = "propose only knobs and scopes from the last `configure`; the guard refuses all others";
        findings.add(Warning, "not-offered", &name, (place, says, fix));
        return;
    };
    let is_finite = !matches!(proposal.value, Value::Number(number) if !number.is_finite());
    if let Err(why) = offered.bounds_here.check(&proposal.value)
        && is_finite
    {
        let is_of_type = is_of_type(&offered.bounds_here, &proposal.value);
        let (severity, code) = if is_of_type { (Warning, "out-of-bounds") } else { (Error, "wrong-type") };
        let fix = match is_of_type {
            true => "keep to the bounds that `configure` gives for this scope; the guard cuts back what is outside"
                .to_owned(),
            false => format!("propose {}; the guard refuses anything else", offered.bounds_here.expected()),
        };
        findings.add(severity, code, &name, (place, format!("{name} of {scope}: {}", shortened(&why)), fix));
    }
    let present = case.observation.settings.iter().find(|one| one.name == proposal.name && one.scope == proposal.scope);
    if present.is_some_and(|setting| setting.value == proposal.value) {
        let says = format!("it proposes {name} = {}, which it is already", proposal.value);
        let fix = "compare with `settings` first: the guard refuses a change that is none";
        findings.add(Note, "no-change", &name, (place, says, fix));
    }
}

fn judge_claims(findings: &mut Findings, proposal: &Proposal, place: &str) {
    let name = shortened(&proposal.name);
    let numbers = [
        ("value", if let Value::Number(number) = proposal.value { number } else { 0.0 }),
        ("confidence", proposal.confidence),
        ("expected ratio", proposal.expected.as_ref().map_or(0.0, |expected| expected.ratio)),
    ];
    for (what, number) in numbers.iter().filter(|(_, number)| !number.is_finite()) {
        let says = format!("the {what} of its proposal for {name} is {number}");
        let fix = "answer finite numbers only: look for divisions by counts and windows that are empty";
        findings.add(Error, "not-finite", &format!("{name} {what}"), (place, says, fix));
    }
    if proposal.confidence.is_finite() && !(0.0..=1.0).contains(&proposal.confidence) {
        let says = format!("its confidence in {name} is {}", proposal.confidence);
        findings.add(
            Error,
            "confidence",
            &name,
            (place, says, "give a number from 0 to 1; the guard refuses the proposal otherwise"),
        );
    }
    if let Some(expected) = &proposal.expected {
        if expected.ratio < 0.0 {
            let says = format!(
                "it expects {} of {name} to become {} times what it is",
                shortened(&expected.metric),
                expected.ratio
            );
            findings.add(
                Error,
                "expected-effect",
                &name,
                (place, says, "give value after over value before, which is never negative"),
            );
        }
        let known: Vec<&str> = metric::ALL.iter().map(|info| info.name).collect();
        if !known.contains(&expected.metric.as_str()) {
            let metric = shortened(&expected.metric);
            let says = format!("it expects {name} to move {metric:?}, and no metric is called that");
            let fix = match nearest(&metric, &known) {
                Some(near) => format!("write {near:?}"),
                None => format!("name one of: {}", known.join(", ")),
            };
            findings.add(Warning, "unknown-metric", &metric, (place, says, fix));
        }
    }
    if proposal.reason.trim().is_empty() {
        let says = format!("its proposal for {name} has no reason");
        findings.add(
            Warning,
            "no-reason",
            &name,
            (place, says, "say in one sentence what was seen and why this follows"),
        );
    }
}

fn is_of_type(bounds: &Bounds, value: &Value) -> bool {
    matches!(
        (bounds, value),
        (Bounds::AnyFlag, Value::Flag(_))
            | (Bounds::IntegerRange(..), Value::Integer(_))
            | (Bounds::NumberRange(..), Value::Number(_))
            | (Bounds::OneOf(_), Value::Text(_))
    )
}
