//! Arms of an experiment that take turns behind one guard.

use perfhost_strategy::guard::{Handover, Occasion, Review};
use perfhost_strategy::{Settings, Verdict};

use crate::fixture::{Host, Traffic, limit, slots};
use crate::reviewing::ended;

const HARMFUL: Traffic = Traffic { errors: 0.5, ..Traffic::STEADY };

fn turn_of(arm: u32, host: &Host) -> Handover {
    Handover { at_ms: host.now_ms, occasion: Occasion::Turn, to: arm, is_exchange: true }
}

#[test]
fn what_an_arm_turned_is_not_taken_back_in_the_turn_of_another_that_has_the_same_value() {
    let mut host = Host::new();
    let decision = host.judge(limit(300));
    let ended = host.guard.hand_over(&turn_of(1, &host), &host.settings);
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
    let ended = host.guard.hand_over(&turn_of(1, &host), &host.settings);
    assert_eq!(ended.updates[0].verdict, Verdict::RolledBack);
    assert_eq!(ended.settings.map(|left| left.engine("local").slots), Some(1));
    // Nothing was shown to be wrong with it.
    host.guard.hand_over(&turn_of(0, &host), &host.settings);
    host.settings = Settings::default();
    let again = host.judge(slots(2));
    assert_eq!(again.verdict, Verdict::Applied, "{}", again.detail);
    // An engine that cannot start is not tried again at once.
    host.guard.failed_to_apply(again.id, "no memory");
    let ended = host.guard.hand_over(&turn_of(1, &host), &host.settings);
    assert!(ended.updates[0].detail.ends_with("rolled back, it could not take effect: no memory"));
    host.guard.hand_over(&turn_of(0, &host), &host.settings);
    host.settings = Settings::default();
    assert!(host.judge(slots(2)).detail.starts_with("turning it up was rolled back once"));
}

#[test]
fn a_change_early_in_a_turn_is_not_compared_with_the_turn_before() {
    let mut host = Host::new();
    host.guard.hand_over(&turn_of(1, &host), &host.settings);
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
    host.guard.hand_over(&turn_of(1, &host), &host.settings);
    assert_eq!(host.judge(limit(300)).verdict, Verdict::Applied);
    let settings = host.settings.clone();
    host.guard.hand_over(&turn_of(0, &host), &settings);
    host.settings = Settings::default();
    assert!(host.judge(limit(300)).detail.starts_with("turning it up was rolled back once"));
}

#[test]
fn an_experiment_begins_with_what_is_settled() {
    let mut host = Host::new();
    host.judge(limit(300));
    let begins = Handover { occasion: Occasion::Begins, is_exchange: false, ..turn_of(0, &host) };
    let ended = host.guard.hand_over(&begins, &host.settings);
    assert_eq!((ended.updates[0].verdict, ended.outcomes.len()), (Verdict::RolledBack, 1));
    assert!(ended.updates[0].detail.ends_with("rolled back: an experiment began before it was measured"));
    assert_eq!(ended.settings.map(|settings| settings.changed().count()), Some(0));
}

#[test]
fn the_arm_that_stays_goes_on_as_it_was_if_the_turn_is_its_own() {
    for (stays, is_still_watched) in [(1, true), (0, false)] {
        let mut host = Host::new();
        host.guard.hand_over(&turn_of(1, &host), &host.settings);
        host.now_ms += 20_000;
        host.judge(limit(300));
        let ends = Handover { occasion: Occasion::Ends, is_exchange: false, ..turn_of(stays, &host) };
        assert_eq!(host.guard.hand_over(&ends, &host.settings).updates.is_empty(), is_still_watched);
        assert_eq!(host.review_after(13, HARMFUL).updates.len(), usize::from(is_still_watched));
    }
}

#[test]
fn where_arms_serve_together_what_one_turned_is_not_held_against_the_others_next_change() {
    let mut host = Host::new();
    host.judge(limit(300));
    host.now_ms += 1_000;
    let together = Handover { is_exchange: false, ..turn_of(1, &host) };
    host.guard.hand_over(&together, &host.settings);
    assert_eq!(host.judge(limit(400)).verdict, Verdict::Applied);
    // The harm is the first arm's doing, whose change is as old as this one.
    let update = ended(&mut host, HARMFUL);
    assert!(update.detail.ends_with("kept, not enough traffic before it to measure its effect"), "{}", update.detail);
}

#[test]
fn a_turn_that_an_engine_starts_anew_for_begins_when_it_serves() {
    let mut host = Host::new();
    host.guard.hand_over(&turn_of(1, &host), &host.settings);
    host.now_ms += 20_000;
    host.guard.turn_took_effect(host.now_ms);
    host.now_ms += 10_000;
    assert_eq!(host.judge(limit(300)).verdict, Verdict::Applied);
    let update = ended(&mut host, HARMFUL);
    assert!(update.detail.ends_with("kept, not enough traffic before it to measure its effect"), "{}", update.detail);
}
