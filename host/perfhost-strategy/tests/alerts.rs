//! Alerts through their public surface: steps of ten seconds over made-up measurements.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on must fail")]

use std::time::Duration;

use perfhost_strategy::alert::{
    AlertEngine, AlertError, AlertRecord, AlertRule, Escalation, Listener, Note, Occasion, Severity, State, statistics,
};
use perfhost_strategy::observation::{Metric, Summary};
use perfhost_strategy::rule::{Action, Trigger};
use perfhost_strategy::{Observation, Scope};

const STEP_MS: u64 = 10_000;
const START_MS: u64 = 1_000_000_000;

fn rule(name: &str, when: &str) -> AlertRule {
    AlertRule { cooldown: Duration::ZERO, ..AlertRule::new(name, when, Trigger::parse(when).unwrap()) }
}

fn note(at_ms: u64) -> Note {
    Note { by: "ann".to_owned(), comment: "on it".to_owned(), at_ms }
}

/// A host whose measurements the test sets.
struct Run {
    engine: AlertEngine,
    now_ms: u64,
    values: Vec<(&'static str, &'static str, f64)>,
    providers: Vec<String>,
    said: Vec<(Occasion, String, String)>,
    changed: Vec<AlertRecord>,
    asked: Vec<String>,
    /// Whom, of each thing that was said.
    told: Vec<(Occasion, Vec<String>)>,
}

impl Run {
    fn new(rules: Vec<AlertRule>) -> Self {
        Self::going_on(AlertEngine::new(rules, Vec::new(), Vec::new(), 1))
    }

    fn going_on(engine: AlertEngine) -> Self {
        Self {
            engine,
            now_ms: START_MS,
            values: Vec::new(),
            providers: Vec::new(),
            said: Vec::new(),
            changed: Vec::new(),
            asked: Vec::new(),
            told: Vec::new(),
        }
    }

    fn set(&mut self, values: &[(&'static str, &'static str, f64)]) -> &mut Self {
        self.values = values.to_vec();
        self
    }

    /// Gives what was announced in these steps.
    fn steps(&mut self, count: usize) -> Vec<(Occasion, String, String)> {
        let before = self.said.len();
        for _ in 0..count {
            let metrics = self.values.iter().map(|(name, scope, value)| Metric {
                name: (*name).to_owned(),
                scope: Scope::parse(scope),
                unit: String::new(),
                window_ms: 10_000,
                summary: Summary { count: 20, mean: *value, p95: *value, ..Summary::default() },
            });
            let seen = Observation { metrics: metrics.collect(), ..Observation::default() };
            let step = self.engine.step(self.now_ms, &seen, &self.providers);
            self.changed.extend(step.changed);
            self.asked.extend(step.actions.iter().flat_map(|(_, actions)| actions).map(|one| one.written.clone()));
            self.told.extend(step.announcements.iter().map(|one| (one.occasion, one.channels.clone())));
            let said = step.announcements.into_iter();
            self.said.extend(said.map(|one| (one.occasion, one.alert.rule, one.alert.scope.to_string())));
            self.now_ms += STEP_MS;
        }
        self.said[before..].to_vec()
    }

    fn firing(&self) -> Vec<AlertRecord> {
        self.engine.standing(self.now_ms).into_iter().filter_map(|standing| standing.alert).collect()
    }
}

fn said(occasion: Occasion, rule: &str) -> (Occasion, String, String) {
    (occasion, rule.to_owned(), "host".to_owned())
}

const SLOW: [(&str, &str, f64); 1] = [("response_time_ms", "", 9_000.0)];
const FAST: [(&str, &str, f64); 1] = [("response_time_ms", "", 100.0)];

#[test]
fn an_alert_is_pending_then_fires_once_and_is_resolved_when_clear_for_long_enough() {
    let mut run = Run::new(vec![rule("slow", "response_time_p95 > 5000 for 3m")]);
    assert_eq!(run.set(&SLOW).steps(18), [], "three minutes begin with the first look");
    let pending = &run.engine.standing(run.now_ms)[0];
    assert_eq!((pending.state, pending.value, pending.since_ms), (State::Pending, Some(9_000.0), START_MS));
    assert_eq!(run.steps(30), [said(Occasion::Firing, "slow")], "once");
    let alert = run.firing().remove(0);
    assert_eq!((alert.id, alert.since_ms, alert.fired_ms), (1, START_MS, START_MS + 180_000));
    assert_eq!((alert.metric.as_str(), alert.unit.as_str(), alert.threshold), ("response_time_ms", "ms", 5_000.0));
    // Back over the threshold within a minute: still the same alert.
    assert_eq!(run.set(&FAST).steps(5), []);
    assert_eq!(run.set(&SLOW).steps(1), []);
    assert_eq!(run.set(&FAST).steps(6), []);
    assert_eq!(run.steps(1), [said(Occasion::Resolved, "slow")]);
    let last = run.changed.last().unwrap();
    assert_eq!((last.id, last.resolved_ms, last.announcements), (1, Some(run.now_ms - STEP_MS), 1));
    assert_eq!(run.engine.standing(run.now_ms), []);
}

#[test]
fn a_value_between_threshold_and_its_tenth_neither_fires_nor_resolves() {
    let mut run = Run::new(vec![rule("slow", "response_time_p95 > 5000")]);
    let near = [("response_time_ms", "", 4_800.0)];
    assert_eq!(run.set(&near).steps(20), []);
    assert_eq!(run.set(&SLOW).steps(1), [said(Occasion::Firing, "slow")]);
    assert_eq!(run.set(&near).steps(20), []);
    // Without traffic nothing is slow.
    assert_eq!(run.set(&[]).steps(7), [said(Occasion::Resolved, "slow")]);
}

#[test]
fn a_rule_rests_after_its_alert() {
    let resting = AlertRule { cooldown: Duration::from_secs(300), ..rule("slow", "response_time_p95 > 5000") };
    let mut run = Run::new(vec![resting]);
    run.set(&SLOW).steps(1);
    assert_eq!(run.set(&FAST).steps(7), [said(Occasion::Resolved, "slow")]);
    assert_eq!(run.set(&SLOW).steps(29), []);
    assert_eq!(run.steps(1), [said(Occasion::Firing, "slow")]);
}

#[test]
fn reminders_and_escalation_end_with_acknowledgement() {
    let escalation = Escalation {
        after: Duration::from_secs(120),
        severity: Severity::Critical,
        channels: Some(vec!["pager".to_owned()]),
    };
    let patient = AlertRule {
        repeat: Some(Duration::from_secs(60)),
        escalation: Some(escalation),
        ..rule("slow", "response_time_p95 > 5000")
    };
    let mut run = Run::new(vec![patient.clone()]);
    let all = run.set(&SLOW).steps(20);
    let occasions: Vec<Occasion> = all.iter().map(|(occasion, ..)| *occasion).collect();
    assert_eq!(occasions, [Occasion::Firing, Occasion::Reminder, Occasion::Escalated, Occasion::Reminder]);
    let alert = run.firing().remove(0);
    assert_eq!((alert.severity, alert.escalated_ms), (Severity::Critical, Some(START_MS + 120_000)));

    let taken = run.engine.acknowledge(alert.id, note(run.now_ms)).unwrap();
    assert_eq!(taken.acknowledged.unwrap().by, "ann");
    assert_eq!(run.steps(60), []);
    assert_eq!(run.set(&FAST).steps(7), [said(Occasion::Resolved, "slow")]);
    assert_eq!(run.engine.acknowledge(alert.id, note(run.now_ms)), Err(AlertError::NotFiring(alert.id)));

    let mut run = Run::new(vec![patient]);
    run.set(&SLOW).steps(1);
    run.engine.acknowledge(1, note(run.now_ms)).unwrap();
    assert_eq!(run.steps(60), [], "one who is on it is neither reminded nor passed over");
}

#[test]
fn a_silence_keeps_quiet_for_its_time_and_what_still_fires_is_told_then() {
    let mut run = Run::new(vec![rule("slow", "response_time_p95 > 5000")]);
    run.engine.silence_rule("slow", note(START_MS), START_MS + 300_000).unwrap();
    assert_eq!(run.set(&SLOW).steps(30), []);
    assert_eq!(run.firing().len(), 1, "it fires, quietly");
    assert_eq!(run.engine.standing(run.now_ms - STEP_MS)[0].silenced_until_ms, Some(START_MS + 300_000));
    assert_eq!(run.steps(1), [said(Occasion::Firing, "slow")]);

    // What begins and ends in a silence is never mentioned.
    run.set(&FAST).steps(7);
    run.set(&SLOW).steps(1);
    let id = run.firing()[0].id;
    let silence = run.engine.silence_alert(id, note(run.now_ms), run.now_ms + 3_600_000).unwrap();
    assert_eq!(run.set(&FAST).steps(10), []);
    run.engine.end_silence(silence.id).unwrap();
    assert_eq!(run.engine.end_silence(silence.id), Err(AlertError::NoSuchSilence(silence.id)));
    assert_eq!(run.set(&SLOW).steps(1), [said(Occasion::Firing, "slow")]);
    let unknown = run.engine.silence_rule("sluw", note(0), 1).unwrap_err().to_string();
    assert_eq!(unknown, "no alert rule is called \"sluw\"; there are slow");
}

/// A rule for the host, and one that watches each of two providers and explains it.
fn two_providers() -> Run {
    let down = AlertRule {
        is_for_each_provider: true,
        inhibits: vec!["errors".to_owned()],
        ..rule("down", "provider_down > 50%")
    };
    let mut run = Run::new(vec![rule("errors", "error_rate > 5%"), down]);
    run.providers = vec!["a".to_owned(), "b".to_owned()];
    run
}

#[test]
fn an_alert_that_another_explains_is_not_announced_until_that_is_over() {
    let mut run = two_providers();
    let down_at = |provider: &str| (Occasion::Firing, "down".to_owned(), provider.to_owned());
    let both = [("error_rate", "", 0.5), ("provider_down", "a", 1.0), ("provider_down", "b", 1.0)];
    assert_eq!(run.set(&both).steps(5), [down_at("a"), down_at("b")]);
    let errors = run.engine.standing(run.now_ms).into_iter().find(|one| one.rule == "errors").unwrap();
    assert_eq!((errors.state, errors.inhibited_by.as_deref()), (State::Firing, Some("down")));
    let only_errors = [("error_rate", "", 0.5), ("provider_down", "a", 0.0), ("provider_down", "b", 0.0)];
    let after: Vec<Occasion> = run.set(&only_errors).steps(10).into_iter().map(|(occasion, ..)| occasion).collect();
    assert_eq!(after, [Occasion::Resolved, Occasion::Resolved, Occasion::Firing]);
}

#[test]
fn one_provider_of_several_that_is_down_explains_nothing_about_the_host() {
    let mut run = two_providers();
    run.set(&[("provider_down", "a", 0.0), ("provider_down", "b", 1.0)]).steps(3);
    let one_down = [("error_rate", "", 0.5), ("provider_down", "a", 0.0), ("provider_down", "b", 1.0)];
    assert_eq!(run.set(&one_down).steps(3), [said(Occasion::Firing, "errors")]);
    // A rule for the one provider that somebody named fires wherever it can.
    let named = AlertRule { inhibits: vec!["errors".to_owned()], ..rule("a-down", "provider_down@a > 50%") };
    let mut run = Run::new(vec![rule("errors", "error_rate > 5%"), named]);
    run.providers = vec!["a".to_owned(), "b".to_owned()];
    let at_a = [("error_rate", "", 0.5), ("provider_down", "a", 1.0)];
    assert_eq!(run.set(&at_a).steps(3), [(Occasion::Firing, "a-down".to_owned(), "a".to_owned())]);
}

#[test]
fn what_a_silence_covered_is_told_to_its_own_people_first_and_its_end_to_those_who_were_told() {
    let listener = |name: &str, least| Listener { name: name.to_owned(), least };
    let escalation = Escalation {
        after: Duration::from_secs(900),
        severity: Severity::Critical,
        channels: Some(vec!["pager".to_owned()]),
    };
    let covered = || AlertRule {
        channels: Some(vec!["ops".to_owned(), "critical-only".to_owned()]),
        escalation: Some(escalation.clone()),
        ..rule("slow", "response_time_p95 > 5000")
    };
    let begin = || {
        let mut run = Run::new(vec![covered()]);
        let channels = [("ops", Severity::Warning), ("pager", Severity::Info), ("critical-only", Severity::Critical)];
        run.engine.set_listeners(channels.map(|(name, least)| listener(name, least)).to_vec());
        run.engine.silence_rule("slow", note(START_MS), START_MS + 7_200_000).unwrap();
        run.set(&SLOW).steps(721);
        run
    };
    let to = |occasion, names: &[&str]| (occasion, names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    let mut run = begin();
    assert_eq!(run.told, [to(Occasion::Firing, &["ops"])]);
    run.set(&FAST).steps(7);
    assert_eq!(run.told[1..], [to(Occasion::Resolved, &["ops"])], "nobody hears the end of what he never heard of");

    let mut run = begin();
    run.steps(89);
    assert_eq!(run.told.len(), 1, "fifteen minutes count from the first announcement");
    run.steps(1);
    assert_eq!(run.told[1..], [to(Occasion::Escalated, &["pager"])]);
    run.set(&FAST).steps(7);
    assert_eq!(run.told[2..], [to(Occasion::Resolved, &["ops", "pager"])]);
}

#[test]
fn a_clock_that_is_set_back_does_not_put_off_reminders() {
    let reminding = AlertRule { repeat: Some(Duration::from_secs(60)), ..rule("slow", "response_time_p95 > 5000") };
    let mut run = Run::new(vec![reminding]);
    run.set(&SLOW).steps(1);
    run.now_ms -= 3_600_000;
    let occasions: Vec<Occasion> = run.steps(7).into_iter().map(|(occasion, ..)| occasion).collect();
    assert_eq!(occasions, [Occasion::Reminder]);
}

#[test]
fn what_is_pending_counts_anew_when_nobody_looked_for_a_while() {
    let mut run = Run::new(vec![rule("slow", "response_time_p95 > 5000 for 30s")]);
    run.set(&SLOW).steps(2);
    run.now_ms += 3_600_000;
    run.engine.interrupt();
    assert_eq!(run.steps(3), []);
    assert_eq!(run.steps(1), [said(Occasion::Firing, "slow")]);
}

#[test]
fn each_provider_has_alerts_of_its_own_and_one_that_goes_takes_its_alert_along() {
    let down = AlertRule { is_for_each_provider: true, ..rule("down", "provider_down > 50%") };
    let mut run = Run::new(vec![down]);
    run.providers = vec!["a".to_owned(), "b".to_owned()];
    run.set(&[("provider_down", "a", 1.0), ("provider_down", "b", 1.0)]).steps(1);
    assert_eq!(run.firing().len(), 2);
    run.providers.pop();
    run.set(&[("provider_down", "a", 1.0)]).steps(7);
    assert_eq!(run.firing().iter().map(|one| one.scope.to_string()).collect::<Vec<_>>(), ["a"]);
}

#[test]
fn alerts_and_silences_go_on_after_a_restart_and_are_not_told_twice() {
    let rules = || vec![rule("slow", "response_time_p95 > 5000"), rule("errors", "error_rate > 5%")];
    let mut run = Run::new(rules());
    run.set(&[SLOW[0], ("error_rate", "", 0.5)]).steps(1);
    run.engine.acknowledge(1, note(run.now_ms)).unwrap();
    let silence = run.engine.silence_rule("errors", note(run.now_ms), run.now_ms + 60_000).unwrap();

    let mut again = Run::going_on(AlertEngine::new(rules(), run.firing(), vec![silence], 3));
    again.now_ms = run.now_ms;
    assert_eq!(again.set(&[SLOW[0], ("error_rate", "", 0.5)]).steps(20), []);
    assert_eq!(again.firing().iter().map(|one| one.id).collect::<Vec<_>>(), [1, 2]);
    assert!(again.firing()[0].acknowledged.is_some());

    // A rule that is gone ends its alert, and says why.
    again.engine.set_rules(rules().into_iter().take(1).collect());
    again.steps(1);
    let ended = again.changed.last().unwrap();
    assert_eq!((ended.id, ended.ended_because.as_deref()), (2, Some("its rule was removed")));
}

#[test]
fn actions_are_asked_for_once_for_each_alert_also_in_a_silence() {
    let acting =
        AlertRule { actions: vec![Action::parse("disable_retries").unwrap()], ..rule("errors", "error_rate > 5%") };
    let mut run = Run::new(vec![acting]);
    run.engine.silence_rule("errors", note(START_MS), START_MS + 3_600_000).unwrap();
    run.set(&[("error_rate", "", 0.5)]).steps(20);
    assert_eq!(run.asked, ["disable_retries"]);
}

#[test]
fn statistics_count_times_and_people() {
    let mut run = Run::new(vec![rule("slow", "response_time_p95 > 5000")]);
    run.set(&SLOW).steps(1);
    run.set(&FAST).steps(7);
    let resolved = run.changed.last().unwrap().clone();
    run.set(&SLOW).steps(1);
    let firing = AlertRecord { acknowledged: Some(note(run.firing()[0].fired_ms + 5_000)), ..run.firing().remove(0) };
    let all = statistics(&[firing, resolved], run.now_ms);
    assert_eq!(all.len(), 1);
    let of_slow = &all[0];
    assert_eq!((of_slow.fired, of_slow.firing, of_slow.acknowledged, of_slow.escalated), (2, 1, 1, 0));
    assert_eq!((of_slow.mean_to_resolve_ms, of_slow.mean_to_acknowledge_ms), (Some(70_000), Some(5_000)));
    assert_eq!(of_slow.firing_ms, 70_000 + STEP_MS);
}
