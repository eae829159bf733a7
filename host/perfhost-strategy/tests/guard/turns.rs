//! Arms of an experiment that take turns behind one guard.

use perfhost_strategy::guard::{Handover, Review};
use perfhost_strategy::{Settings, Verdict};

use crate::fixture::{Host, Traffic, limit, slots};
use crate::reviewing::ended;

const HARMFUL: Traffic = Traffic { errors: 0.5, ..Traffic::STEADY };

fn to(from: u64, to: u64, host: &Host) -> Handover {
    Handover { at_ms: host.now_ms, from, to, is_exchange: true }
}

#[test]
fn what_an_arm_turned_is_not_taken_back_in_the_turn_of_another_that_has_the_same_value() {
    let mut host = Host::new();
    let decision = host.judge(limit(300));
    let ended = host.guard.hand_over(&to(1, 2, &host), &host.settings);
    assert_eq!((ended.updates.len(), ended.updates[0].id), (1, decision.id));
    assert_eq!((ended.updates[0].verdict, ended.outcomes[0].verdict), (Verdict::Applied, Verdict::Applied));
    assert!(ended.updates[0].detail.ends_with("not measured: its turn in an experiment ended"));
    assert_eq!(ended.settings, None, "it stays with the arm's settings");
    // The other arm's settings have the same value; much as it suffers, the change is none of this turn's.
    let review = host.review_after(13, HARMFUL);
    assert_eq!((review, host.settings.concurrency_limit), (Review::default(), 300));
}

#[test]
fn what_had_not_taken_effect_when_a_turn_ends_is_taken_back() {
    let mut host = Host::new();
    host.judge(slots(2));
    let ended = host.guard.hand_over(&to(1, 2, &host), &host.settings);
    assert_eq!(ended.updates[0].verdict, Verdict::RolledBack);
    assert_eq!(ended.settings.map(|left| left.engine("local").slots), Some(1));
    // Nothing was shown to be wrong with it.
    host.guard.hand_over(&to(2, 1, &host), &host.settings);
    host.settings = Settings::default();
    let again = host.judge(slots(2));
    assert_eq!(again.verdict, Verdict::Applied, "{}", again.detail);
    // An engine that cannot start is not tried again at once.
    host.guard.failed_to_apply(again.id, "no memory");
    let ended = host.guard.hand_over(&to(1, 2, &host), &host.settings);
    assert!(ended.updates[0].detail.ends_with("rolled back, it could not take effect: no memory"));
    host.guard.hand_over(&to(2, 1, &host), &host.settings);
    host.settings = Settings::default();
    assert!(host.judge(slots(2)).detail.starts_with("turning it up was rolled back once"));
}

#[test]
fn a_change_early_in_a_turn_is_not_compared_with_the_turn_before() {
    let mut host = Host::new();
    host.guard.hand_over(&to(1, 2, &host), &host.settings);
    host.now_ms += 5_000;
    assert_eq!(host.judge(limit(300)).verdict, Verdict::Applied);
    // Far worse than under the arm before, and nobody knows whose doing that is.
    let update = ended(&mut host, HARMFUL);
    assert!(update.detail.ends_with("kept, not enough traffic before it to measure its effect"), "{}", update.detail);
    // Later in the turn there is something to compare with.
    host.now_ms += 20_000;
    assert_eq!(host.judge(limit(400)).verdict, Verdict::Applied);
    assert_eq!(ended(&mut host, HARMFUL).verdict, Verdict::RolledBack);
}

#[test]
fn what_one_arm_may_not_try_again_another_may() {
    let mut host = Host::new();
    host.judge(limit(300));
    assert_eq!(ended(&mut host, HARMFUL).verdict, Verdict::RolledBack);
    host.now_ms += 13_000;
    assert!(host.judge(limit(300)).detail.starts_with("turning it up was rolled back once"));
    host.guard.hand_over(&to(1, 2, &host), &host.settings);
    assert_eq!(host.judge(limit(300)).verdict, Verdict::Applied);
    let settings = host.settings.clone();
    host.guard.hand_over(&to(2, 1, &host), &settings);
    host.settings = Settings::default();
    assert!(host.judge(limit(300)).detail.starts_with("turning it up was rolled back once"));
}
