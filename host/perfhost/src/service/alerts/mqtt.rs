//! Alerts by MQTT: each as an event, each rule as a retained state, and both found by Home Assistant.
//!
//! One connection that stays, with a last will: who listens knows when this host is gone. A thread of its own keeps it
//! alive and makes it anew; what is retained is published again with each connection.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use perfhost_strategy::alert::AlertRule;
use rumqttc::{Client, Connection, Event, LastWill, MqttOptions, Packet, QoS};
use serde_json::json;

use super::channel::{Board, Channel, DeliveryError, TIMEOUT};
use super::wording::Notice;
use crate::config::alerts::MqttConfig;

/// Messages that wait for the broker at most.
const QUEUE: usize = 1_024;
/// Largest message either way.
const MOST_PACKET_BYTES: usize = 256 << 10;
/// Silence after which the broker is asked whether it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// First wait before another connection; doubles up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

pub(super) struct Mqtt {
    client: Client,
    topics: Topics,
    shared: Arc<Shared>,
    driver: Option<JoinHandle<()>>,
}

/// What the connection's thread and the channel's share.
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    is_connected: bool,
    is_over: bool,
    /// Publications that the broker has confirmed.
    confirmed: u64,
    last_error: Option<String>,
    board: Board,
}

/// Where everything goes.
#[derive(Clone)]
struct Topics {
    base: String,
    discovery: Option<String>,
    /// Tells this host from others with the same broker.
    node: String,
}

impl Mqtt {
    pub(super) fn new(config: &MqttConfig, host: &str) -> Result<Self, DeliveryError> {
        let node: String =
            host.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect();
        let topics = Topics {
            base: config.topic.clone(),
            discovery: config.discovery.clone(),
            node: format!("perfhost_{node}"),
        };
        // Two channels of one host at one broker differ in their topics, and must not take each other's connection.
        let client_id = format!("{}_{}", topics.node, topics.base.replace('/', "_"));
        let mut options = MqttOptions::new(client_id, config.server.clone(), config.port);
        options.set_max_packet_size(MOST_PACKET_BYTES, MOST_PACKET_BYTES);
        options.set_keep_alive(KEEP_ALIVE);
        options.set_last_will(LastWill::new(topics.status(), "offline", QoS::AtLeastOnce, true));
        if let Some((user, password)) = &config.login {
            options.set_credentials(user.clone(), password.reveal().to_owned());
        }
        let (client, connection) = Client::new(options, QUEUE);
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() });
        let driver = {
            let (client, topics, shared) = (client.clone(), topics.clone(), shared.clone());
            std::thread::Builder::new()
                .name("perfhost-mqtt".to_owned())
                .spawn(move || drive(connection, &client, &topics, &shared))
                .map_err(|error| DeliveryError::Permanent(format!("no thread for the connection: {error}")))?
        };
        Ok(Self { client, topics, shared, driver: Some(driver) })
    }

    fn wait_until(&self, state: &mut parking_lot::MutexGuard<'_, State>, is_so: impl Fn(&State) -> bool) -> bool {
        let deadline = Instant::now() + TIMEOUT;
        while !is_so(state) && !state.is_over {
            if self.shared.changed.wait_until(state, deadline).timed_out() {
                return is_so(state);
            }
        }
        is_so(state)
    }
}

impl Channel for Mqtt {
    fn send(&mut self, notice: &Notice) -> Result<(), DeliveryError> {
        let mut state = self.shared.state.lock();
        if !self.wait_until(&mut state, |state| state.is_connected) {
            let why = state.last_error.clone().unwrap_or_else(|| "no answer yet".to_owned());
            return Err(DeliveryError::Temporary(format!("not connected to the broker: {why}")));
        }
        let before = state.confirmed;
        let body = notice.json().to_string();
        self.client
            .try_publish(self.topics.events(), QoS::AtLeastOnce, false, body)
            .map_err(|error| DeliveryError::Temporary(error.to_string()))?;
        match self.wait_until(&mut state, |state| state.confirmed > before) {
            true => Ok(()),
            false => Err(DeliveryError::Temporary("the broker did not confirm it in time".to_owned())),
        }
    }

    fn show(&mut self, board: &Board) {
        let is_connected = {
            let mut state = self.shared.state.lock();
            let removed =
                state.board.rules.iter().filter(|(old, _)| !board.rules.iter().any(|(new, _)| new.name == old.name));
            for (gone, _) in removed {
                forget(&self.client, &self.topics, &gone.name);
            }
            state.board = board.clone();
            state.is_connected
        };
        if is_connected {
            publish_board(&self.client, &self.topics, board);
        }
    }
}

impl Drop for Mqtt {
    fn drop(&mut self) {
        self.shared.state.lock().is_over = true;
        self.shared.changed.notify_all();
        // Said by ourselves: a broker tells a last will only of those who go without a word.
        let _unsaid = self.client.try_publish(self.topics.status(), QoS::AtMostOnce, true, "offline");
        let _ended = self.client.try_disconnect();
        if let Some(driver) = self.driver.take() {
            let _panicked = driver.join();
        }
    }
}

/// Keeps the connection until the channel is over.
fn drive(mut connection: Connection, client: &Client, topics: &Topics, shared: &Shared) {
    let mut wait = FIRST_WAIT;
    for event in connection.iter() {
        let mut state = shared.state.lock();
        match event {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                (state.is_connected, state.last_error) = (true, None);
                wait = FIRST_WAIT;
                let _full = client.try_publish(topics.status(), QoS::AtMostOnce, true, "online");
                publish_board(client, topics, &state.board);
            }
            Ok(Event::Incoming(Packet::PubAck(_))) => state.confirmed += 1,
            Ok(_) => continue,
            Err(error) => {
                state.is_connected = false;
                state.last_error = Some(error.to_string());
                shared.changed.notify_all();
                if state.is_over {
                    return;
                }
                shared.changed.wait_for(&mut state, wait);
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        }
        if state.is_over && !state.is_connected {
            return;
        }
        shared.changed.notify_all();
    }
}

/// Every rule as a retained state, and as an entity of Home Assistant.
fn publish_board(client: &Client, topics: &Topics, board: &Board) {
    for (rule, firing) in &board.rules {
        let name = rule.name.as_str();
        let retain = |topic: String, body: String| {
            // What does not fit now comes with the next connection or change.
            let _full = client.try_publish(topic, QoS::AtMostOnce, true, body);
        };
        if let Some(topic) = topics.config(name) {
            retain(topic, topics.entity(rule).to_string());
        }
        let attributes = json!({
            "firing": firing, "severity": rule.severity, "condition": rule.written, "summary": rule.summary,
        });
        retain(topics.attributes(name), attributes.to_string());
        retain(topics.state(name), if *firing > 0 { "ON" } else { "OFF" }.to_owned());
    }
}

/// An empty retained message takes the one before away, and with it the entity.
fn forget(client: &Client, topics: &Topics, rule: &str) {
    for topic in topics.config(rule).into_iter().chain([topics.attributes(rule), topics.state(rule)]) {
        let _full = client.try_publish(topic, QoS::AtMostOnce, true, "");
    }
}

impl Topics {
    fn status(&self) -> String {
        format!("{}/status", self.base)
    }

    fn events(&self) -> String {
        format!("{}/alerts", self.base)
    }

    fn state(&self, rule: &str) -> String {
        format!("{}/alerts/{rule}/state", self.base)
    }

    fn attributes(&self, rule: &str) -> String {
        format!("{}/alerts/{rule}/attributes", self.base)
    }

    fn config(&self, rule: &str) -> Option<String> {
        self.discovery.as_ref().map(|prefix| format!("{prefix}/binary_sensor/{}/{rule}/config", self.node))
    }

    /// What Home Assistant's MQTT discovery wants to know of a binary sensor.
    fn entity(&self, rule: &AlertRule) -> serde_json::Value {
        json!({
            "name": rule.name,
            "unique_id": format!("{}_{}", self.node, rule.name),
            "device_class": "problem",
            "state_topic": self.state(&rule.name),
            "json_attributes_topic": self.attributes(&rule.name),
            "availability_topic": self.status(),
            "device": {
                "identifiers": [self.node], "name": "perfhost", "manufacturer": "perfhost",
                "sw_version": env!("CARGO_PKG_VERSION"),
            },
        })
    }
}
