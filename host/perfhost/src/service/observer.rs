//! Puts together what a strategy sees: windows of measurements, the fleet, the machine and the settings.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use perfhost_strategy::observation::{Hardware, Health, ProviderState};
use perfhost_strategy::{Observation, Settings, Shared};
use perfhost_telemetry::Telemetry;
use perfhost_upstream::{Fleet, Provider, provider};

/// The windows that every observation carries.
const WINDOWS: [Duration; 3] = [Duration::from_secs(10), Duration::from_secs(30), Duration::from_secs(60)];

/// Where observations come from.
pub struct Observer {
    /// Measurements.
    pub telemetry: Arc<Telemetry>,
    /// Providers.
    pub fleet: Arc<Fleet>,
    /// Present settings.
    pub settings: Arc<Shared<Settings>>,
    /// The machine, as sampled last.
    pub hardware: Arc<Mutex<Hardware>>,
}

impl Observer {
    /// What can be seen now. `seed` is the only randomness that a strategy gets.
    pub fn observe(&self, now_ms: u64, interval_ms: u32, seed: u64) -> Observation {
        let providers = self.fleet.providers();
        let names: Vec<String> = providers.iter().map(|provider| provider.name().to_owned()).collect();
        Observation {
            now_ms,
            seed,
            interval_ms,
            metrics: WINDOWS.iter().flat_map(|window| self.telemetry.window(*window)).collect(),
            providers: providers.iter().map(|provider| state(provider)).collect(),
            settings: self.settings.load().list(&names),
            hardware: self.hardware.lock().clone(),
        }
    }
}

fn state(provider: &Provider) -> ProviderState {
    ProviderState {
        name: provider.name().to_owned(),
        kind: provider.kind().name().to_owned(),
        health: match provider.health() {
            provider::Health::Up => Health::Up,
            provider::Health::Degraded => Health::Degraded,
            provider::Health::Down => Health::Down,
        },
        managed: provider.is_managed(),
        in_flight: provider.in_flight(),
        queued: provider.queued(),
        models: provider.models().to_vec(),
    }
}
