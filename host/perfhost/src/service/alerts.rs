//! Alerts of a running host: looks at what is measured, writes down what fires, hands notices to the channels' threads and
//! wishes to the decision loop. What fires when is decided by `perfhost_strategy::alert`.

mod channel;
mod email;
mod log;
mod mqtt;
mod postman;
mod slack;
mod webhook;
mod wording;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use perfhost_gateway::{AlertTarget, AlertsAsk, ControlError, Firing, Shutdown, Stage};
use perfhost_strategy::Observation;
use perfhost_strategy::alert::{
    AlertEngine, AlertError, AlertRecord, Announcement, Note, Occasion, Severity, Silence, statistics,
};
use perfhost_telemetry::{AlertQuery, Store, StoreError, Telemetry};
use perfhost_upstream::Fleet;
use serde_json::{Value, json};
use tracing::warn;

use self::channel::Board;
use self::postman::Postman;
use self::wording::Notice;
pub use self::wording::in_unit;
use super::now_ms;
use super::tuner::Tuner;
use crate::config::alerts::AlertsConfig;

/// Where the store keeps silences.
const SILENCES_KEY: &str = "alerts/silences";
/// The windows that conditions are read from: the same as strategies'.
const WINDOWS: [Duration; 3] = [Duration::from_secs(10), Duration::from_secs(30), Duration::from_secs(60)];
/// Longest silence.
const LONGEST_SILENCE: Duration = Duration::from_secs(30 * 86_400);

/// What alerts are made of.
pub struct Parts {
    /// Measurements.
    pub telemetry: Arc<Telemetry>,
    /// Providers.
    pub fleet: Arc<Fleet>,
    /// History of alerts, and silences.
    pub store: Store,
    /// Takes actions to the guard.
    pub tuner: Arc<Tuner>,
    /// This host's address, for notices.
    pub host: String,
}

/// The alerts of one host.
pub struct Alerts {
    parts: Parts,
    state: Mutex<State>,
}

struct State {
    engine: AlertEngine,
    postmen: Vec<Postman>,
    interval: Duration,
    board: Arc<Board>,
}

impl Alerts {
    /// Goes on with the alerts and silences that the store has.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn open(parts: Parts, config: &AlertsConfig) -> Result<Self, StoreError> {
        let firing = parts.store.alerts(&AlertQuery { is_firing: true, ..AlertQuery::default() })?;
        let silences: Vec<Silence> = match parts.store.state(SILENCES_KEY)? {
            None => Vec::new(),
            Some(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                warn!(%error, "the kept silences cannot be read; there are none now");
                Vec::new()
            }),
        };
        let engine = AlertEngine::new(config.rules.clone(), firing, silences, parts.store.next_alert()?);
        let postmen = config.channels.iter().map(|channel| Postman::start(channel.clone(), &parts.host)).collect();
        let state = State { engine, postmen, interval: config.interval, board: Arc::default() };
        Ok(Self { parts, state: Mutex::new(state) })
    }

    /// Looks at the measurements until the host drains.
    pub async fn run(self: Arc<Self>, mut shutdown: Shutdown) {
        loop {
            let interval = self.state.lock().interval;
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                () = shutdown.reached(Stage::Draining) => return,
            }
            let alerts = self.clone();
            let _ended = tokio::task::spawn_blocking(move || alerts.look()).await;
        }
    }

    /// Takes over other rules and channels. Channels that stay the same go on with what they have queued.
    pub fn configure(&self, config: &AlertsConfig) {
        let gone = {
            let mut state = self.state.lock();
            state.engine.set_rules(config.rules.clone());
            state.interval = config.interval;
            let mut before = std::mem::take(&mut state.postmen);
            for channel in &config.channels {
                let postman = match before.iter().position(|postman| postman.config() == channel) {
                    Some(at) => before.swap_remove(at),
                    None => Postman::start(channel.clone(), &self.parts.host),
                };
                state.postmen.push(postman);
            }
            state.board = Arc::default();
            before
        };
        // Ends what they have queued; not under the lock.
        drop(gone);
    }

    /// Ends the channels' threads: what is queued has one more attempt.
    pub fn end(&self) {
        let postmen = std::mem::take(&mut self.state.lock().postmen);
        drop(postmen);
    }

    fn look(&self) {
        let metrics = WINDOWS.iter().flat_map(|window| self.parts.telemetry.window(*window)).collect();
        let seen = Observation { metrics, ..Observation::default() };
        let providers: Vec<String> =
            self.parts.fleet.providers().iter().map(|provider| provider.name().to_owned()).collect();
        let now_ms = now_ms();
        let mut state = self.state.lock();
        let step = state.engine.step(now_ms, &seen, &providers);
        for alert in step.changed {
            self.parts.store.record_alert(alert);
        }
        for announcement in step.announcements {
            let notice = Notice { announcement, host: self.parts.host.clone(), at_ms: now_ms };
            state.postmen.iter().for_each(|postman| postman.post(&notice));
        }
        let board = Arc::new(board(&state.engine, now_ms));
        if board != state.board {
            state.postmen.iter().for_each(|postman| postman.show(&board));
            state.board = board;
        }
        drop(state);
        for (alert, actions) in step.actions {
            self.parts.tuner.ask_for(&alert, &actions);
        }
    }

    /// What fires now, counted by rule and severity; rules that do not fire count 0.
    pub fn firing(&self) -> Vec<Firing> {
        let state = self.state.lock();
        let standing = state.engine.standing(now_ms());
        let of_rule = |name: &str| standing.iter().filter(|one| one.rule == name && one.alert.is_some()).collect();
        state
            .engine
            .rules()
            .iter()
            .map(|rule| {
                let firing: Vec<_> = of_rule(&rule.name);
                let severity = firing.iter().map(|one| one.severity).max().unwrap_or(rule.severity);
                Firing { rule: rule.name.clone(), severity: severity.name(), count: firing.len() }
            })
            .collect()
    }

    /// What fires, in short, for the host's status.
    pub fn summary(&self) -> Value {
        let standing = self.state.lock().engine.standing(now_ms());
        let firing: Vec<_> = standing.iter().filter(|one| one.alert.is_some()).collect();
        let acknowledged =
            firing.iter().filter(|one| one.alert.as_ref().is_some_and(|alert| alert.acknowledged.is_some())).count();
        let of = |severity: Severity| firing.iter().filter(|one| one.severity == severity).count();
        json!({
            "firing": firing.len(), "critical": of(Severity::Critical), "warning": of(Severity::Warning),
            "info": of(Severity::Info), "acknowledged": acknowledged,
            "rules": firing.iter().map(|one| &one.rule).collect::<Vec<_>>(),
        })
    }

    /// Answers the API.
    ///
    /// # Errors
    /// When there is no such alert, rule, silence or channel, or the store fails.
    pub fn answer(&self, ask: AlertsAsk) -> Result<Value, ControlError> {
        let now_ms = now_ms();
        let failed = |error: StoreError| ControlError::Failed { message: error.to_string() };
        match ask {
            AlertsAsk::Active => {
                let state = self.state.lock();
                Ok(json!({
                    "alerts": state.engine.standing(now_ms), "silences": state.engine.silences(),
                    "channels": state.postmen.iter().map(Postman::describe).collect::<Vec<_>>(),
                }))
            }
            AlertsAsk::Rules => {
                let state = self.state.lock();
                Ok(json!({ "rules": state.engine.rules().iter().map(describe_rule).collect::<Vec<_>>() }))
            }
            AlertsAsk::History { limit, before, rule } => {
                let query = AlertQuery { limit, before_id: before, rule, ..AlertQuery::default() };
                let alerts = self.parts.store.alerts(&query).map_err(failed)?;
                let next = alerts.last().filter(|_| alerts.len() == limit).map(|last| last.id);
                Ok(json!({ "alerts": alerts, "next_before": next }))
            }
            AlertsAsk::Statistics { since_ms } => {
                let query = AlertQuery { since_ms, ..AlertQuery::default() };
                let alerts = self.parts.store.alerts(&query).map_err(failed)?;
                Ok(json!({ "since_ms": since_ms, "rules": statistics(&alerts, now_ms) }))
            }
            AlertsAsk::Acknowledge { id, by, comment } => {
                let note = Note { by, comment, at_ms: now_ms };
                let alert = self.state.lock().engine.acknowledge(id, note).map_err(refusal)?;
                self.parts.store.record_alert(alert.clone());
                Ok(json!({ "alert": alert }))
            }
            AlertsAsk::Silence { target, length, by, comment } => {
                if length.is_zero() || length > LONGEST_SILENCE {
                    let message = "a silence lasts from 1ms to 30d".to_owned();
                    return Err(ControlError::Invalid { code: "duration".to_owned(), message });
                }
                let until_ms = now_ms.saturating_add(length.as_millis() as u64);
                let note = Note { by, comment, at_ms: now_ms };
                let silence = {
                    let mut state = self.state.lock();
                    match &target {
                        AlertTarget::Alert(id) => state.engine.silence_alert(*id, note, until_ms),
                        AlertTarget::Rule(rule) => state.engine.silence_rule(rule, note, until_ms),
                    }
                };
                let silence = silence.map_err(refusal)?;
                self.keep_silences();
                Ok(json!({ "silence": silence }))
            }
            AlertsAsk::EndSilence { id } => {
                let silence = self.state.lock().engine.end_silence(id).map_err(refusal)?;
                self.keep_silences();
                Ok(json!({ "ended": silence }))
            }
            AlertsAsk::Test { channel } => self.test(&channel, now_ms),
        }
    }

    /// Tells one channel of an alert that is none.
    fn test(&self, channel: &str, now_ms: u64) -> Result<Value, ControlError> {
        let state = self.state.lock();
        let Some(postman) = state.postmen.iter().find(|postman| postman.config().name == channel) else {
            let known = state.postmen.iter().map(|postman| postman.config().name.as_str()).collect::<Vec<_>>();
            let message = format!("no channel is called {channel:?}; there are {}", known.join(", "));
            return Err(ControlError::NotFound { message });
        };
        let alert = AlertRecord {
            id: 0,
            rule: "test".to_owned(),
            scope: perfhost_strategy::Scope::global(),
            condition: "none: somebody asked for this test".to_owned(),
            summary: "a test of this channel; nothing is wrong".to_owned(),
            severity: Severity::Info,
            metric: String::new(),
            unit: "count".to_owned(),
            threshold: 0.0,
            value: None,
            worst: None,
            since_ms: now_ms,
            fired_ms: now_ms,
            resolved_ms: Some(now_ms),
            ended_because: Some("it was a test".to_owned()),
            acknowledged: None,
            escalated_ms: None,
            announced_ms: Some(now_ms),
            announcements: 1,
        };
        let announcement = Announcement { occasion: Occasion::Resolved, alert, channels: None };
        postman.post_anyway(&Notice { announcement, host: self.parts.host.clone(), at_ms: now_ms });
        Ok(json!({ "posted_to": channel }))
    }

    fn keep_silences(&self) {
        let silences = serde_json::to_vec(self.state.lock().engine.silences());
        match silences {
            Ok(bytes) => self.parts.store.put_state(SILENCES_KEY, &bytes),
            Err(error) => warn!(%error, "the silences could not be written down"),
        }
    }
}

fn board(engine: &AlertEngine, now_ms: u64) -> Board {
    let standing = engine.standing(now_ms);
    let firing = |name: &str| standing.iter().filter(|one| one.rule == name && one.alert.is_some()).count();
    Board { rules: engine.rules().iter().map(|rule| (rule.clone(), firing(&rule.name))).collect() }
}

fn describe_rule(rule: &perfhost_strategy::alert::AlertRule) -> Value {
    json!({
        "name": rule.name, "when": rule.written, "summary": rule.summary, "severity": rule.severity,
        "each": rule.is_for_each_provider.then_some("provider"), "keep_firing_ms": rule.keep_firing.as_millis() as u64,
        "cooldown_ms": rule.cooldown.as_millis() as u64, "repeat_ms": rule.repeat.map(|repeat| repeat.as_millis() as u64),
        "escalate": rule.escalation.as_ref().map(|escalation| json!({
            "after_ms": escalation.after.as_millis() as u64, "severity": escalation.severity,
            "channels": escalation.channels,
        })),
        "inhibits": rule.inhibits, "channels": rule.channels,
        "do": rule.actions.iter().map(|action| &action.written).collect::<Vec<_>>(),
    })
}

fn refusal(error: AlertError) -> ControlError {
    let message = error.to_string();
    match error {
        AlertError::NotFiring(_) | AlertError::UnknownRule { .. } | AlertError::NoSuchSilence(_) => {
            ControlError::NotFound { message }
        }
        AlertError::TooManySilences(_) => ControlError::Conflict { code: "too_many_silences".to_owned(), message },
    }
}
