//! What becomes of applied changes: kept, taken back, or left without a verdict.

use perfhost_strategy::guard::{GuardPolicy, Guardrail, Limit, Review};
use perfhost_strategy::observation::metric;
use perfhost_strategy::proposal::Measurement;
use perfhost_strategy::{DecisionUpdate, KnobId, Scope, Value, Verdict};

use crate::fixture::{Host, Traffic, limit, proposal, slots};

const STEADY: Traffic = Traffic::STEADY;

/// The end of a live change (settled and measured after 13 s) under `after`.
pub(crate) fn ended(host: &mut Host, after: Traffic) -> DecisionUpdate {
    assert_eq!(host.review_after(12, after), Review::default());
    let mut review = host.review_after(1, after);
    assert_eq!((review.updates.len(), review.outcomes.len()), (1, 1));
    assert_eq!(
        (&review.outcomes[0].detail, review.outcomes[0].verdict),
        (&review.updates[0].detail, review.updates[0].verdict)
    );
    review.updates.remove(0)
}

/// The end of a change of the concurrency limit from 256 to 300, from one traffic to another.
fn from_to(before: Traffic, after: Traffic) -> DecisionUpdate {
    let mut host = Host::new();
    assert_eq!(host.judge_seeing(before, vec![limit(300)]).decisions[0].verdict, Verdict::Applied);
    let update = ended(&mut host, after);
    let is_taken_back = update.verdict == Verdict::RolledBack;
    assert_eq!(host.settings.concurrency_limit, if is_taken_back { 256 } else { 300 });
    update
}

#[test]
fn a_change_that_does_no_harm_is_kept_with_its_measured_effect() {
    let update = from_to(STEADY, Traffic { tokens: 120.0, response_ms: 1_500.0, ..STEADY });
    assert_eq!((update.verdict, update.guardrail), (Verdict::Applied, None));
    let measured = Measurement { metric: metric::TOKENS_PER_SECOND.to_owned(), before: 80.0, after: 120.0 };
    assert_eq!(update.measured, Some(measured));
    assert_eq!(
        update.detail,
        "concurrency_limit of host from 256 to 300; kept, no guardrail got worse: \
         tokens_per_second went from 80.0 to 120, expected was 1.5 times that"
    );
}

#[test]
fn each_default_guardrail_takes_a_harmful_change_back() {
    let cases = [
        (metric::ERROR_RATE, Traffic { errors: 0.1, ..STEADY }),
        (metric::REJECTED_RATE, Traffic { rejected: 0.2, ..STEADY }),
        (metric::TIME_TO_FIRST_TOKEN, Traffic { first_token_ms: 900.0, ..STEADY }),
        (metric::RESPONSE_TIME, Traffic { response_ms: 4_100.0, ..STEADY }),
        (metric::TOKENS_PER_SECOND, Traffic { tokens: 30.0, ..STEADY }),
    ];
    for (guardrail, after) in cases {
        let update = from_to(STEADY, after);
        assert_eq!((update.verdict, update.guardrail.as_deref()), (Verdict::RolledBack, Some(guardrail)), "{update:?}");
        assert!(update.detail.contains(&format!("rolled back: {guardrail}")), "{}", update.detail);
    }
}

#[test]
fn small_differences_are_no_harm() {
    let cases = [
        (STEADY, Traffic { errors: 0.04, rejected: 0.09, first_token_ms: 790.0, tokens: 45.0, ..STEADY }),
        // One failure among twelve requests is a rise by 8 points and still only one failure.
        (Traffic { requests: 12, ..STEADY }, Traffic { requests: 12, errors: 1.0 / 12.0, ..STEADY }),
        (Traffic { first_token_ms: 10.0, ..STEADY }, Traffic { first_token_ms: 55.0, ..STEADY }),
    ];
    for (before, after) in cases {
        let update = from_to(before, after);
        assert_eq!((update.verdict, update.guardrail.is_none()), (Verdict::Applied, true), "{update:?}");
    }
}

#[test]
fn idle_or_low_traffic_neither_keeps_nor_takes_back() {
    let mut host = Host::new();
    host.judge_seeing(Traffic::IDLE, vec![limit(300)]);
    let update = ended(&mut host, Traffic { errors: 1.0, ..STEADY });
    assert!(update.detail.ends_with("kept, not enough traffic before it to measure its effect"), "{}", update.detail);

    let mut host = Host::new();
    host.judge(limit(300));
    let few = Traffic { requests: 4, errors: 1.0, load: 0.2, ..STEADY };
    assert_eq!(host.review_after(32, few), Review::default());
    let update = &host.review_after(1, few).updates[0];
    assert!(update.detail.ends_with("kept, not enough traffic after it to measure its effect"), "{}", update.detail);
    assert_eq!((update.verdict, &update.measured, host.settings.concurrency_limit), (Verdict::Applied, &None, 300));
}

#[test]
fn requests_that_no_longer_finish_are_harm() {
    let mut host = Host::new();
    host.judge(limit(300));
    let stuck = Traffic { load: 8.0, ..Traffic::IDLE };
    assert_eq!(host.review_after(32, stuck), Review::default());
    let update = &host.review_after(1, stuck).updates[0];
    assert_eq!(update.guardrail.as_deref(), Some(metric::REQUESTS_PER_SECOND));
    assert_eq!(host.settings.concurrency_limit, 256);
}

#[test]
fn slower_answers_under_more_demand_prove_nothing() {
    let busier = Traffic { requests: 90, response_ms: 9_000.0, first_token_ms: 3_000.0, load: 24.0, ..STEADY };
    let update = from_to(STEADY, busier);
    assert_eq!((update.verdict, &update.measured), (Verdict::Applied, &None));
    assert!(update.detail.ends_with("not comparable: requests under way went from 8.0 to 24.0"), "{}", update.detail);
}

#[test]
fn fewer_tokens_under_less_demand_prove_nothing() {
    let quieter = Traffic { requests: 10, tokens: 20.0, load: 1.5, ..STEADY };
    assert!(from_to(STEADY, quieter).detail.contains("not comparable"));
}

#[test]
fn a_queue_that_the_change_built_up_is_not_excused_as_demand() {
    let slower = Traffic { response_ms: 6_000.0, load: 24.0, ..STEADY };
    assert_eq!(from_to(STEADY, slower).guardrail.as_deref(), Some(metric::RESPONSE_TIME));
}

#[test]
fn failures_count_whatever_the_demand() {
    let failing = Traffic { requests: 200, errors: 0.5, load: 40.0, ..STEADY };
    assert_eq!(from_to(STEADY, failing).guardrail.as_deref(), Some(metric::ERROR_RATE));
}

#[test]
fn after_a_rollback_the_scope_rests_and_the_knob_waits_longer_each_time() {
    let mut host = Host::new();
    let harm = Traffic { errors: 0.5, ..STEADY };
    let mut waits = Vec::new();
    for _ in 0..3 {
        assert_eq!(host.judge(limit(300)).verdict, Verdict::Applied);
        ended(&mut host, harm);
        assert!(host.judge(limit(200)).detail.starts_with("host comes to rest for 13 s"));
        host.review_after(13, STEADY);
        let mut waited = 13;
        while host.judge(limit(300)).verdict == Verdict::Refused {
            host.review_after(1, STEADY);
            waited += 1;
        }
        waits.push(waited);
        // It was applied to end the loop; an operator takes it back.
        host.settings = host.settings.without(KnobId::ConcurrencyLimit, &Scope::global());
        host.review_after(13, STEADY);
        host.now_ms += 13_000;
    }
    assert_eq!(waits, [60, 120, 240]);
}

#[test]
fn the_other_direction_needs_no_cooldown() {
    let mut host = Host::new();
    host.judge(limit(300));
    ended(&mut host, Traffic { errors: 0.5, ..STEADY });
    host.review_after(13, STEADY);
    assert!(host.judge(limit(300)).detail.contains("turning it up was rolled back once, last by decision 1: not for"));
    assert_eq!(host.judge(limit(200)).verdict, Verdict::Applied);
}

#[test]
fn a_reload_settles_from_the_moment_it_took_effect() {
    let mut host = Host::new();
    let decision = host.judge(slots(2));
    assert_eq!(host.review_after(300, STEADY), Review::default());
    host.guard.took_effect(decision.id, host.now_ms);
    assert_eq!(host.review_after(14, STEADY), Review::default());
    assert_eq!(host.review_after(1, STEADY).updates[0].verdict, Verdict::Applied);
    assert_eq!(host.slots(), 2);
}

#[test]
fn a_reload_that_fails_is_taken_back_with_its_cause() {
    let mut host = Host::new();
    let decision = host.judge(slots(2));
    host.guard.failed_to_apply(decision.id, "engine \"local\" exited with code 1: out of memory");
    let review = host.review_after(0, STEADY);
    assert_eq!((review.updates[0].verdict, host.slots()), (Verdict::RolledBack, 1));
    assert!(
        review.updates[0].detail.ends_with("could not take effect: engine \"local\" exited with code 1: out of memory")
    );
    host.review_after(13, STEADY);
    assert!(host.judge(slots(2)).detail.starts_with("turning it up was rolled back once"));
}

#[test]
fn a_reload_that_nobody_reports_is_taken_back_in_the_end() {
    let mut host = Host::new();
    host.judge(slots(2));
    assert_eq!(host.review_after(599, STEADY), Review::default());
    assert_eq!(host.review_after(1, STEADY).updates[0].verdict, Verdict::RolledBack);
}

#[test]
fn taking_a_reload_back_is_a_reload_too() {
    let mut host = Host::new();
    let decision = host.judge(slots(2));
    host.guard.took_effect(decision.id, host.now_ms);
    assert_eq!(host.review_after(15, Traffic { errors: 0.5, ..STEADY }).updates[0].verdict, Verdict::RolledBack);
    let other = || proposal("engine_slots", "other", Value::Integer(2));
    assert!(host.judge(other()).detail.starts_with("local comes to rest for 25 s"));
    host.guard.took_effect(decision.id, host.now_ms + 2_000);
    assert!(
        host.judge(proposal("pool_size", "local", Value::Integer(64)))
            .detail
            .starts_with("local comes to rest for 17 s")
    );
    assert_eq!(host.judge(other()).verdict, Verdict::Applied);
}

#[test]
fn going_back_restores_an_inherited_value_as_inherited() {
    let mut host = Host::new();
    host.judge(limit(300));
    ended(&mut host, Traffic { errors: 0.5, ..STEADY });
    assert_eq!(host.settings.changed().count(), 0);
}

#[test]
fn a_change_from_outside_ends_the_watch() {
    let mut host = Host::new();
    host.judge(limit(300));
    host.settings = host.settings.with(KnobId::ConcurrencyLimit, &Scope::global(), Value::Integer(50));
    let review = host.review_after(1, STEADY);
    assert!(review.updates[0].detail.ends_with("superseded before it was measured: it was set to 50 from outside"));
    assert_eq!((review.settings, host.settings.concurrency_limit), (None, 50));
}

#[test]
fn after_a_swap_harm_is_still_taken_back_but_nobody_is_told() {
    let mut host = Host::new();
    host.judge(limit(300));
    host.guard.forget_pending();
    let review = host.review_after(13, Traffic { errors: 0.5, ..STEADY });
    assert_eq!((review.updates[0].verdict, review.outcomes.len()), (Verdict::RolledBack, 0));
    assert_eq!(host.settings.concurrency_limit, 256);
}

#[test]
fn the_users_guardrails_replace_the_defaults() {
    let watched = metric::TIME_TO_FIRST_TOKEN.to_owned();
    let limit_here = Limit::Growth { ratio: 1.1, rise: 0.0 };
    let guardrails = vec![Guardrail { metric: watched, limit: limit_here, minimum_count: 5 }];
    let mut host = Host::with_policy(GuardPolicy { guardrails, ..GuardPolicy::default() });
    host.judge(limit(300));
    let update = ended(&mut host, Traffic { errors: 0.5, ..STEADY });
    assert_eq!(update.verdict, Verdict::Applied);
    assert_eq!(host.judge(limit(400)).verdict, Verdict::Applied);
    assert_eq!(ended(&mut host, Traffic { first_token_ms: 460.0, ..STEADY }).verdict, Verdict::RolledBack);
}

#[test]
fn a_new_policy_holds_for_changes_under_way() {
    let mut host = Host::new();
    host.judge(limit(300));
    host.guard.set_policy(GuardPolicy { settle_ms: 0, measure_ms: 20_000, ..GuardPolicy::default() });
    assert_eq!(host.review_after(19, STEADY), Review::default());
    assert_eq!(host.review_after(1, STEADY).updates.len(), 1);
}

#[test]
fn what_is_settled_lacks_what_is_not_yet_measured() {
    let mut host = Host::new();
    host.judge(limit(300));
    assert_eq!(host.settings.concurrency_limit, 300);
    assert_eq!(host.guard.settled(&host.settings).changed().count(), 0);
    ended(&mut host, STEADY);
    assert_eq!(host.guard.settled(&host.settings).concurrency_limit, 300);
    host.review_after(13, STEADY);
    assert_eq!(host.judge(limit(400)).verdict, Verdict::Applied);
    assert_eq!((host.settings.concurrency_limit, host.guard.settled(&host.settings).concurrency_limit), (400, 300));
    // What somebody else has set meanwhile is not the guard's to take back.
    host.settings = host.settings.with(KnobId::ConcurrencyLimit, &Scope::global(), Value::Integer(50));
    assert_eq!(host.guard.settled(&host.settings).concurrency_limit, 50);
}
