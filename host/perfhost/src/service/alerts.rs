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
    AlertEngine, AlertError, AlertRecord, Announcement, Note, Occasion, Severity, Silence, WINDOWS, statistics,
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
/// Longest silence.
const LONGEST_SILENCE: Duration = Duration::from_secs(30 * 86_400);
/// Time without a look, beside twice the interval, after which what was counting starts anew: a suspend, a machine that
/// was busy with something else. As the strategy `rules` has it.
const UNSEEN_MAX: Duration = Duration::from_secs(90);

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
    /// Unix time in milliseconds of the last look; `None` before the first.
    looked_ms: Option<u64>,
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
        let mut engine = AlertEngine::new(config.rules.clone(), firing, silences, parts.store.next_alert()?);
        engine.set_listeners(config.channels.iter().map(Postman::listener).collect());
        let postmen = config.channels.iter().map(|channel| Postman::start(channel.clone(), &parts.host)).collect();
        let state = State { engine, postmen, interval: config.interval, board: Arc::default(), looked_ms: None };
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
            state.engine.set_listeners(config.channels.iter().map(Postman::listener).collect());
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
        let looked_ms = state.looked_ms.replace(now_ms);
        if looked_ms.is_some_and(|before_ms| is_gap(before_ms, now_ms, state.interval)) {
            state.engine.interrupt();
        }
        let step = state.engine.step(now_ms, &seen, &providers);
        let over: Vec<u64> = step.changed.iter().filter(|alert| !alert.is_firing()).map(|alert| alert.id).collect();
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
        self.parts.tuner.withdraw(&over);
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
                let mut state = self.state.lock();
                let alert = state.engine.acknowledge(id, note).map_err(refusal)?;
                // Under the lock: written after it, this could follow the record of the alert's end.
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
            first_announced_ms: Some(now_ms),
            announced_ms: Some(now_ms),
            told: vec![channel.to_owned()],
            announcements: 1,
        };
        let announcement = Announcement { occasion: Occasion::Resolved, alert, channels: vec![channel.to_owned()] };
        postman.post(&Notice { announcement, host: self.parts.host.clone(), at_ms: now_ms });
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

/// Whether so much time lies between two looks that nobody knows what was in it.
fn is_gap(before_ms: u64, now_ms: u64, interval: Duration) -> bool {
    Duration::from_millis(now_ms.saturating_sub(before_ms)) > UNSEEN_MAX + 2 * interval
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspended_machine_leaves_a_gap_and_a_slow_look_does_not() {
        let interval = Duration::from_secs(5);
        assert!(!is_gap(1_000_000, 1_100_000, interval) && is_gap(1_000_000, 1_100_001, interval));
        assert!(!is_gap(1_000_000, 1_600_000, Duration::from_secs(300)));
        assert!(!is_gap(1_000_000, 0, interval), "a clock that was set back");
    }
}
