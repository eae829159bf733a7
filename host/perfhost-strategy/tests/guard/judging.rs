//! Which proposals are taken, with which value, and why the others are not.

use perfhost_strategy::knob::{Bounds, OfferedKnob};
use perfhost_strategy::{KnobId, Proposal, Scope, Value, Verdict};

use crate::fixture::{Host, Traffic, limit, offered, proposal, slots};

fn refusal(proposal: Proposal) -> String {
    let mut host = Host::new();
    let decision = host.judge(proposal);
    assert_eq!((decision.verdict, decision.applied), (Verdict::Refused, None));
    assert_eq!(host.settings.version, 1);
    decision.detail
}

#[test]
fn a_proposal_within_bounds_and_step_is_applied_and_recorded() {
    let mut host = Host::new();
    let judgement = host.judge_seeing(Traffic::STEADY, vec![limit(200)]);
    assert_eq!(host.settings.concurrency_limit, 200);
    let decision = &judgement.decisions[0];
    assert_eq!((decision.id, decision.cycle, decision.at_ms), (1, 1, 1_000_000));
    assert_eq!((decision.strategy.as_str(), decision.digest.as_str()), ("test@1.2.3", "d1"));
    assert_eq!((&decision.before, &decision.applied), (&Value::Integer(256), &Some(Value::Integer(200))));
    assert_eq!(decision.detail, "concurrency_limit of host from 256 to 200");
    assert_eq!((judgement.outcomes.len(), judgement.outcomes[0].verdict), (1, Verdict::Applied));
}

#[test]
fn a_step_too_far_is_shortened_and_says_so() {
    let decision = Host::new().judge(slots(8));
    assert_eq!((decision.verdict, decision.applied), (Verdict::Clamped, Some(Value::Integer(2))));
    assert_eq!(
        decision.detail,
        "engine_slots of local from 1 to 2, not 8: one change may at most multiply or divide it by 2"
    );
}

#[test]
fn a_value_out_of_bounds_becomes_the_bound_and_names_it() {
    let mut host = Host::new();
    host.settings = host.settings.with(KnobId::EngineSlots, &Scope::provider("local"), Value::Integer(12));
    let decision = host.judge(slots(99));
    assert_eq!((decision.verdict, decision.applied), (Verdict::Clamped, Some(Value::Integer(16))));
    assert!(decision.detail.ends_with("not 99: the highest allowed here is 16"), "{}", decision.detail);
    let again = Host { settings: host.settings.clone(), ..Host::new() }.judge(slots(99));
    assert_eq!(
        (again.verdict, again.detail.as_str()),
        (Verdict::Refused, "already 16: the highest allowed here is 16")
    );
}

#[test]
fn bounds_hold_even_where_the_present_value_lies_far_outside() {
    let mut host = Host::new();
    host.settings = host.settings.with(KnobId::EngineSlots, &Scope::provider("local"), Value::Integer(64));
    assert_eq!(host.judge(slots(60)).applied, Some(Value::Integer(16)));
}

#[test]
fn what_is_not_offered_is_refused_with_what_is() {
    assert!(
        refusal(proposal("warp", "", Value::Integer(1)))
            .starts_with("no knob is called \"warp\"; offered for host: con")
    );
    assert_eq!(
        refusal(proposal("engine_slots", "nobody", Value::Integer(2))),
        "engine_slots is not offered for \"nobody\"; it is for: local, other"
    );
}

#[test]
fn wrong_types_and_numbers_that_are_not_finite_are_refused() {
    assert_eq!(
        refusal(proposal("engine_slots", "local", Value::Number(2.0))),
        "a number where a whole number from 1 to 16 is expected"
    );
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let detail = refusal(proposal("candidate_weight", "local", Value::Number(number)));
        assert_eq!(detail, format!("{number} is not a finite number; allowed is a number from 0 to 100"));
        assert!(refusal(Proposal { confidence: number, ..limit(300) }).starts_with("confidence is"));
        let mut strange = limit(300);
        strange.expected.as_mut().unwrap().ratio = number;
        assert!(refusal(strange).starts_with("expected ratio is"));
    }
    assert_eq!(refusal(Proposal { confidence: 1.1, ..limit(300) }), "confidence is 1.1, allowed is 0 to 1");
    let word = Value::Text("fp4".to_owned());
    assert_eq!(refusal(proposal("engine_kv_type", "local", word)), "\"fp4\" is none of f16, q8_0, q4_0");
}

#[test]
fn no_change_is_refused() {
    assert_eq!(refusal(limit(256)), "already 256");
}

#[test]
fn the_first_acceptable_proposal_of_a_scope_wins_and_others_wait_for_it() {
    let mut host = Host::new();
    let proposals = vec![limit(256), limit(300), proposal("retries", "", Value::Integer(2)), slots(2)];
    let judgement = host.judge_seeing(Traffic::STEADY, proposals);
    let verdicts: Vec<Verdict> = judgement.decisions.iter().map(|decision| decision.verdict).collect();
    assert_eq!(verdicts, [Verdict::Refused, Verdict::Applied, Verdict::Refused, Verdict::Refused]);
    let waits = "settling for 0 s because of decision 2 (concurrency_limit of host from 256 to 300)";
    assert_eq!((&*judgement.decisions[2].detail, &*judgement.decisions[3].detail), (waits, waits));
}

#[test]
fn two_providers_change_at_once_but_only_one_engine_is_replaced() {
    let mut host = Host::new();
    let weight = proposal("candidate_weight", "other", Value::Number(1.5));
    let other_slots = proposal("engine_slots", "other", Value::Integer(2));
    let judgement = host.judge_seeing(Traffic::STEADY, vec![slots(2), other_slots, weight]);
    let verdicts: Vec<Verdict> = judgement.decisions.iter().map(|decision| decision.verdict).collect();
    assert_eq!(verdicts, [Verdict::Applied, Verdict::Refused, Verdict::Applied]);
    assert!(judgement.decisions[1].detail.starts_with("only one engine at a time is replaced: settling"));
}

#[test]
fn high_risk_needs_evidence_and_low_risk_does_not() {
    let mut host = Host::new();
    let retries = proposal("retries", "", Value::Integer(2));
    let judgement = host.judge_seeing(Traffic::IDLE, vec![slots(2), retries]);
    let detail = "too little evidence for a knob of high risk: 0 requests seen, 5 needed";
    assert_eq!(judgement.decisions[0].detail, detail);
    assert_eq!(judgement.decisions[1].verdict, Verdict::Applied);
}

#[test]
fn a_knob_whose_bounds_allow_nothing_is_not_offered() {
    let mut host = Host::new();
    let mut knobs = offered();
    knobs.retain(|offered: &OfferedKnob| offered.knob.id != KnobId::ConcurrencyLimit);
    let knob = KnobId::ConcurrencyLimit.knob();
    knobs.push(OfferedKnob { knob, at: Scope::global(), bounds_here: Bounds::IntegerRange(9, 1) });
    host.guard.offer(knobs);
    assert_eq!(host.judge(limit(5)).verdict, Verdict::Refused);
}
