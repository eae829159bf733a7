//! One rule at one place, over time.

use super::record::{AlertRecord, Announcement, Occasion};
use super::spec::{AlertRule, Listener, hearing};
use crate::Scope;
use crate::rule::{Event, Measured, Timing, Trigger, Watch};

/// One rule at one place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Instance {
    pub(super) rule: String,
    pub(super) scope: Scope,
    pub(super) watch: Watch,
    /// The first condition's value, as last measured.
    pub(super) value: Option<f64>,
    /// The alert, while it fires.
    pub(super) alert: Option<AlertRecord>,
    /// Its actions were not handed out yet.
    pub(super) is_new: bool,
}

/// What keeps an alert quiet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quiet {
    pub(super) is_silenced: bool,
    pub(super) is_inhibited: bool,
}

impl Instance {
    pub(super) fn new(rule: &str, scope: Scope) -> Self {
        Self { rule: rule.to_owned(), scope, watch: Watch::default(), value: None, alert: None, is_new: false }
    }

    /// An alert that fired before a restart goes on firing until its condition is clear.
    pub(super) fn of(alert: AlertRecord) -> Self {
        let watch = Watch { met_since_ms: Some(alert.since_ms), fired_ms: Some(alert.fired_ms), ..Watch::default() };
        Self { watch, alert: Some(alert.clone()), ..Self::new(&alert.rule, alert.scope) }
    }

    /// Reads the condition. Gives the alert that this resolved.
    pub(super) fn step(
        &mut self,
        rule: &AlertRule,
        now_ms: u64,
        seen: &dyn Measured,
        next_id: &mut u64,
    ) -> Option<AlertRecord> {
        let here;
        let trigger: &Trigger = if rule.is_for_each_provider {
            here = rule.when.at(&self.scope);
            &here
        } else {
            &rule.when
        };
        let reading = trigger.read(seen);
        self.value = reading.value;
        let timing = Timing { hold: trigger.hold, clear: rule.keep_firing, every: None, cooldown: rule.cooldown };
        match self.watch.step(now_ms, reading.is_met, reading.is_cleared, timing) {
            Some(Event::Fired) => {
                self.alert = Some(self.fired(rule, trigger, now_ms, *next_id));
                self.is_new = true;
                *next_id += 1;
                None
            }
            Some(Event::Cleared) => self.alert.take().map(|alert| AlertRecord { resolved_ms: Some(now_ms), ..alert }),
            None => {
                self.note_worst(trigger);
                None
            }
        }
    }

    fn fired(&self, rule: &AlertRule, trigger: &Trigger, now_ms: u64, id: u64) -> AlertRecord {
        let first = trigger.conditions.first();
        AlertRecord {
            id,
            rule: rule.name.clone(),
            scope: self.scope.clone(),
            condition: rule.written.clone(),
            summary: rule.summary.clone(),
            severity: rule.severity,
            metric: first.map(|condition| condition.metric.to_owned()).unwrap_or_default(),
            unit: first.map(|condition| condition.unit.to_owned()).unwrap_or_default(),
            threshold: first.map_or(0.0, |condition| condition.threshold),
            value: self.value,
            worst: self.value,
            since_ms: self.watch.met_since_ms.unwrap_or(now_ms),
            fired_ms: now_ms,
            resolved_ms: None,
            ended_because: None,
            acknowledged: None,
            escalated_ms: None,
            first_announced_ms: None,
            announced_ms: None,
            told: Vec::new(),
            announcements: 0,
        }
    }

    fn note_worst(&mut self, trigger: &Trigger) {
        let (Some(alert), Some(value), Some(first)) = (&mut self.alert, self.value, trigger.conditions.first()) else {
            return;
        };
        let is_worse = |worst: f64| if first.operator.is_upward() { value > worst } else { value < worst };
        if alert.worst.is_none_or(is_worse) {
            alert.worst = Some(value);
        }
    }

    /// What is to be said of the alert now, if it fires. Nobody is passed over who was not told: what a silence covered is
    /// announced first, and escalates from then on.
    pub(super) fn announce(
        &mut self,
        rule: &AlertRule,
        listeners: &[Listener],
        quiet: Quiet,
        now_ms: u64,
    ) -> Option<Announcement> {
        let alert = self.alert.as_mut()?;
        let has_passed =
            |since_ms: u64, long: std::time::Duration| u128::from(now_ms.saturating_sub(since_ms)) >= long.as_millis();
        if quiet.is_silenced || quiet.is_inhibited {
            return None;
        }
        // A clock that was set back would otherwise put off escalation and reminders until it is where it was.
        alert.first_announced_ms = alert.first_announced_ms.map(|at_ms| at_ms.min(now_ms));
        alert.announced_ms = alert.announced_ms.map(|at_ms| at_ms.min(now_ms));
        let is_taken = alert.acknowledged.is_some();
        let escalation = rule.escalation.as_ref().filter(|escalation| {
            let is_due = alert.first_announced_ms.is_some_and(|first_ms| has_passed(first_ms, escalation.after));
            !is_taken && alert.escalated_ms.is_none() && is_due
        });
        let (occasion, wanted) = match (alert.announced_ms, escalation) {
            (None, _) => (Occasion::Firing, &rule.channels),
            (Some(_), Some(escalation)) => {
                alert.escalated_ms = Some(now_ms);
                alert.severity = alert.severity.max(escalation.severity);
                (Occasion::Escalated, if escalation.channels.is_some() { &escalation.channels } else { &rule.channels })
            }
            (Some(last_ms), None) if !is_taken && rule.repeat.is_some_and(|repeat| has_passed(last_ms, repeat)) => {
                (Occasion::Reminder, &rule.channels)
            }
            _ => return None,
        };
        let channels = hearing(listeners, wanted.as_deref(), alert.severity);
        alert.note_announced(now_ms, &channels);
        Some(Announcement { occasion, alert: alert.clone(), channels })
    }
}
