//! All alerts of a host: steps every rule at every place, and keeps silences.

use serde::Serialize;

use super::error::AlertError;
use super::instance::{Instance, Quiet};
use super::record::{AlertRecord, Announcement, Note, Occasion};
use super::silence::{MOST_SILENCES, Silence};
use super::spec::{AlertRule, Listener, Severity};
use crate::Scope;
use crate::rule::{Action, Measured};

/// Most places at which rules are watched, all rules together.
pub const MOST_INSTANCES: usize = 1_024;

/// All alerts of a host.
#[derive(Debug, Clone, Default)]
pub struct AlertEngine {
    rules: Vec<AlertRule>,
    listeners: Vec<Listener>,
    instances: Vec<Instance>,
    silences: Vec<Silence>,
    /// As of the last step.
    providers: Vec<String>,
    next_id: u64,
}

/// What a step brought.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Step {
    /// Alerts to write down: those that are new, over or otherwise changed.
    pub changed: Vec<AlertRecord>,
    /// What people are to be told, in order.
    pub announcements: Vec<Announcement>,
    /// What is to be proposed to the guard, each with the alert that asks for it.
    pub actions: Vec<(AlertRecord, Vec<Action>)>,
}

/// Where one rule stands at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Its condition holds, for less than its time.
    Pending,
    /// It fires.
    Firing,
}

/// One rule at one place that is not quiet.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Standing {
    /// How it stands.
    pub state: State,
    /// The rule.
    pub rule: String,
    /// The place.
    pub scope: Scope,
    /// How urgent it is.
    pub severity: Severity,
    /// The condition as written.
    pub condition: String,
    /// The first condition's value now.
    pub value: Option<f64>,
    /// Its unit.
    pub unit: &'static str,
    /// The condition holds since then, Unix time in milliseconds.
    pub since_ms: u64,
    /// Nobody is told until then, Unix time in milliseconds, because of a silence.
    pub silenced_until_ms: Option<u64>,
    /// Nobody is told, because this other rule fires.
    pub inhibited_by: Option<String>,
    /// The alert, where it fires.
    pub alert: Option<AlertRecord>,
}

impl AlertEngine {
    /// Goes on with the alerts and silences of an earlier run; new alerts are numbered from `next_id`.
    pub fn new(rules: Vec<AlertRule>, firing: Vec<AlertRecord>, silences: Vec<Silence>, next_id: u64) -> Self {
        let instances = firing.into_iter().filter(AlertRecord::is_firing).map(Instance::of).take(MOST_INSTANCES);
        Self { rules, instances: instances.collect(), silences, next_id, ..Self::default() }
    }

    /// Who is there to be told, from now on.
    pub fn set_listeners(&mut self, listeners: Vec<Listener>) {
        self.listeners = listeners;
    }

    /// Nobody looked for a while: what is pending, and what is clear and not yet over, counts from the next step on.
    pub fn interrupt(&mut self) {
        self.instances.iter_mut().for_each(|instance| instance.watch.interrupt());
    }

    /// Other rules from now on. Alerts of rules that stay go on; the next step ends the others.
    pub fn set_rules(&mut self, rules: Vec<AlertRule>) {
        self.rules = rules;
    }

    /// The rules.
    pub fn rules(&self) -> &[AlertRule] {
        &self.rules
    }

    /// The silences that last.
    pub fn silences(&self) -> &[Silence] {
        &self.silences
    }

    /// Takes in what is measured at `now_ms`, with these providers.
    pub fn step(&mut self, now_ms: u64, seen: &dyn Measured, providers: &[String]) -> Step {
        let mut step = Step::default();
        self.silences.retain(|silence| now_ms < silence.until_ms);
        self.make_places(providers);
        providers.clone_into(&mut self.providers);
        let mut resolved = Vec::new();
        self.instances.retain_mut(|instance| {
            let Some(rule) = self.rules.iter().find(|rule| rule.name == instance.rule) else {
                let because = Some("its rule was removed".to_owned());
                let over = |alert| AlertRecord { resolved_ms: Some(now_ms), ended_because: because, ..alert };
                resolved.extend(instance.alert.take().map(over));
                return false;
            };
            resolved.extend(instance.step(rule, now_ms, seen, &mut self.next_id));
            let is_place = rule.places(providers).contains(&instance.scope);
            is_place || instance.alert.is_some()
        });
        for alert in resolved {
            // Who was never told that it fires need not be told that it is over.
            if alert.announced_ms.is_some() && self.silenced_until(&alert.rule, &alert.scope, now_ms).is_none() {
                let channels = alert.told.clone();
                let alert = AlertRecord { announcements: alert.announcements + 1, ..alert.clone() };
                step.announcements.push(Announcement { occasion: Occasion::Resolved, alert, channels });
            }
            step.changed.push(alert);
        }
        self.announce(now_ms, &mut step);
        step
    }

    fn make_places(&mut self, providers: &[String]) {
        for rule in &self.rules {
            for scope in rule.places(providers) {
                let is_there =
                    self.instances.iter().any(|instance| instance.rule == rule.name && instance.scope == scope);
                if !is_there && self.instances.len() < MOST_INSTANCES {
                    self.instances.push(Instance::new(&rule.name, scope));
                }
            }
        }
    }

    fn announce(&mut self, now_ms: u64, step: &mut Step) {
        for at in 0..self.instances.len() {
            let Instance { rule, scope, .. } = &self.instances[at];
            let quiet = Quiet {
                is_silenced: self.silenced_until(rule, scope, now_ms).is_some(),
                is_inhibited: self.inhibited_by(rule, scope).is_some(),
            };
            let Some(rule) = self.rules.iter().find(|known| known.name == *rule) else { continue };
            let instance = &mut self.instances[at];
            let announcement = instance.announce(rule, &self.listeners, quiet, now_ms);
            let is_new = std::mem::take(&mut instance.is_new);
            let Some(alert) = instance.alert.as_ref().filter(|_| is_new || announcement.is_some()) else { continue };
            step.changed.push(alert.clone());
            if is_new && !rule.actions.is_empty() {
                step.actions.push((alert.clone(), rule.actions.clone()));
            }
            step.announcements.extend(announcement);
        }
    }

    fn rule(&self, name: &str) -> Option<&AlertRule> {
        self.rules.iter().find(|rule| rule.name == name)
    }

    fn silenced_until(&self, rule: &str, scope: &Scope, now_ms: u64) -> Option<u64> {
        let covering = self.silences.iter().filter(|silence| silence.covers(rule, scope, now_ms));
        covering.map(|silence| silence.until_ms).max()
    }

    /// A firing rule that inhibits this one: at the same place, or for the whole host. What concerns the whole host is
    /// explained by a rule for places only when it fires at all of them: one provider that was shut down explains
    /// nothing that goes wrong at the others.
    fn inhibited_by(&self, rule: &str, scope: &Scope) -> Option<&str> {
        let host = Scope::global();
        let fires = |other: &AlertRule, there: &Scope| {
            let is_it = |one: &Instance| one.alert.is_some() && one.rule == other.name && one.scope == *there;
            self.instances.iter().any(is_it)
        };
        let is_near = |other: &&AlertRule| {
            let places = || other.places(&self.providers);
            let is_everywhere =
                *scope == host && !places().is_empty() && places().iter().all(|there| fires(other, there));
            fires(other, scope) || fires(other, &host) || is_everywhere
        };
        let mut inhibiting = self
            .rules
            .iter()
            .filter(|other| other.name != rule && other.inhibits.iter().any(|inhibited| inhibited == rule));
        inhibiting.find(is_near).map(|other| other.name.as_str())
    }

    /// What is pending or fires, the most urgent first.
    pub fn standing(&self, now_ms: u64) -> Vec<Standing> {
        let mut list: Vec<Standing> =
            self.instances.iter().filter_map(|instance| self.standing_of(instance, now_ms)).collect();
        let urgency = |one: &Standing| (std::cmp::Reverse((one.alert.is_some(), one.severity)), one.since_ms);
        list.sort_by_key(urgency);
        list
    }

    fn standing_of(&self, instance: &Instance, now_ms: u64) -> Option<Standing> {
        let rule = self.rule(&instance.rule)?;
        let since_ms = instance.alert.as_ref().map(|alert| alert.since_ms).or(instance.watch.met_since_ms)?;
        Some(Standing {
            state: if instance.alert.is_some() { State::Firing } else { State::Pending },
            rule: rule.name.clone(),
            scope: instance.scope.clone(),
            severity: instance.alert.as_ref().map_or(rule.severity, |alert| alert.severity),
            condition: rule.written.clone(),
            value: instance.value,
            unit: rule.when.conditions.first().map_or("", |condition| condition.unit),
            since_ms,
            silenced_until_ms: self.silenced_until(&rule.name, &instance.scope, now_ms),
            inhibited_by: self.inhibited_by(&rule.name, &instance.scope).map(str::to_owned),
            alert: instance.alert.clone(),
        })
    }

    /// Somebody takes a firing alert on: no reminders and no escalation from now on.
    ///
    /// # Errors
    /// When no alert of that number fires.
    pub fn acknowledge(&mut self, id: u64, note: Note) -> Result<AlertRecord, AlertError> {
        let alert = self.instances.iter_mut().filter_map(|instance| instance.alert.as_mut()).find(|one| one.id == id);
        let alert = alert.ok_or(AlertError::NotFiring(id))?;
        alert.acknowledged = Some(note);
        Ok(alert.clone())
    }

    /// A firing alert is not announced for a time, nor are others of its rule at its place.
    ///
    /// # Errors
    /// When no alert of that number fires, or there are too many silences.
    pub fn silence_alert(&mut self, id: u64, note: Note, until_ms: u64) -> Result<Silence, AlertError> {
        let alert = self.instances.iter().filter_map(|instance| instance.alert.as_ref()).find(|one| one.id == id);
        let (rule, scope) =
            alert.map(|alert| (alert.rule.clone(), alert.scope.clone())).ok_or(AlertError::NotFiring(id))?;
        self.silence(rule, Some(scope), note, until_ms)
    }

    /// A rule's alerts are not announced for a time, wherever they fire.
    ///
    /// # Errors
    /// When there is no such rule, or there are too many silences.
    pub fn silence_rule(&mut self, rule: &str, note: Note, until_ms: u64) -> Result<Silence, AlertError> {
        if self.rule(rule).is_none() {
            let known = self.rules.iter().map(|rule| rule.name.as_str()).collect::<Vec<_>>().join(", ");
            return Err(AlertError::UnknownRule { found: rule.to_owned(), known });
        }
        self.silence(rule.to_owned(), None, note, until_ms)
    }

    fn silence(
        &mut self,
        rule: String,
        scope: Option<Scope>,
        note: Note,
        until_ms: u64,
    ) -> Result<Silence, AlertError> {
        // A second one for the same takes the place of the first.
        self.silences.retain(|silence| silence.rule != rule || silence.scope != scope);
        if self.silences.len() >= MOST_SILENCES {
            return Err(AlertError::TooManySilences(MOST_SILENCES));
        }
        let id = self.silences.iter().map(|silence| silence.id).max().unwrap_or(0) + 1;
        let Note { by, comment, at_ms } = note;
        let silence = Silence { id, rule, scope, from_ms: at_ms, until_ms, by, comment };
        self.silences.push(silence.clone());
        Ok(silence)
    }

    /// Ends a silence before its time.
    ///
    /// # Errors
    /// When there is no silence of that number.
    pub fn end_silence(&mut self, id: u64) -> Result<Silence, AlertError> {
        let at = self.silences.iter().position(|silence| silence.id == id).ok_or(AlertError::NoSuchSilence(id))?;
        Ok(self.silences.remove(at))
    }
}
