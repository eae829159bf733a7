//! Once a second: samples gauges and resources, closes the second's measurements, and makes them durable.

use std::sync::Arc;

use parking_lot::Mutex;
use perfhost_gateway::Admission;
use perfhost_strategy::Scope;
use perfhost_strategy::observation::{Hardware, metric};
use perfhost_telemetry::{ResourceSampler, ResourceSnapshot, Store, Telemetry};
use perfhost_upstream::Fleet;
use perfhost_upstream::provider::Health;

use super::engine::ManagedEngine;
use super::strategies::Strategies;

/// How often the hardware is looked at anew, in seconds.
const HARDWARE_EVERY: u64 = 10;

/// Samples what is not counted as it happens.
pub struct Sampler {
    /// Takes the gauges.
    pub telemetry: Arc<Telemetry>,
    /// Makes them durable.
    pub store: Store,
    /// Requests under way and waiting.
    pub admission: Arc<Admission>,
    /// Requests under way at each provider.
    pub fleet: Arc<Fleet>,
    /// Whether one of them was retired.
    pub strategies: Arc<Strategies>,
    /// The engine's own figures.
    pub engine: Option<Arc<ManagedEngine>>,
    /// The machine, for observations.
    pub hardware: Arc<Mutex<Hardware>>,
    /// The last reading, for the API.
    pub resources: Arc<Mutex<Option<ResourceSnapshot>>>,
    /// Reads the machine.
    pub reader: ResourceSampler,
    /// Seconds since the start.
    pub seconds: u64,
}

impl Sampler {
    /// One second's work: a few hundred microseconds, and the time that graphics drivers take to answer.
    pub fn tick(&mut self, now_ms: u64) {
        let host = Scope::global();
        self.telemetry.gauge(metric::IN_FLIGHT, &host, self.admission.in_flight() as f64);
        self.telemetry.gauge(metric::QUEUE_LENGTH, &host, self.admission.queued() as f64);
        let is_failing = self.strategies.retired().is_some();
        self.telemetry.gauge(metric::STRATEGY_FAILING, &host, f64::from(u8::from(is_failing)));
        for provider in self.fleet.providers() {
            let scope = Scope::provider(provider.name());
            self.telemetry.gauge(metric::IN_FLIGHT, &scope, f64::from(provider.in_flight()));
            let is_down = provider.health() == Health::Down;
            self.telemetry.gauge(metric::PROVIDER_DOWN, &scope, f64::from(u8::from(is_down)));
        }
        if let Some(engine) = &self.engine {
            engine.report(&self.telemetry, &self.fleet);
        }
        let processes: Vec<(String, u32)> = self.engine.iter().flat_map(|engine| engine.processes()).collect();
        let snapshot = self.reader.sample(&processes);
        snapshot.report(&self.telemetry);
        *self.resources.lock() = Some(snapshot);
        if self.seconds.is_multiple_of(HARDWARE_EVERY) {
            *self.hardware.lock() = self.reader.hardware();
        }
        self.seconds += 1;
        self.telemetry.tick(now_ms);
        self.store.persist(&self.telemetry, now_ms);
    }
}
