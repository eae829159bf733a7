//! Puts together what a strategy sees: windows of measurements, the fleet, the machine and the settings.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use perfhost_strategy::generation::PlanningCounts;
use perfhost_strategy::observation::metric::MetricInfo;
use perfhost_strategy::observation::{Hardware, Health, ProviderState, extra};
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
    /// What can be seen now by a strategy whose plans have cost `planning`. `seed` is the only randomness that it gets.
    pub fn observe(&self, now_ms: u64, interval_ms: u32, seed: u64, planning: PlanningCounts) -> Observation {
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
            extra: named(&[
                (extra::PLANS_DEMOTED, f64::from(u8::from(planning.is_demoted))),
                (extra::PLAN_MEAN, planning.mean_us()),
                (extra::PLAN_OVERRUNS, planning.overruns as f64),
                (extra::PLAN_FAILURES, planning.failures as f64),
            ]),
        }
    }
}

fn named(numbers: &[(MetricInfo, f64)]) -> Vec<(String, f64)> {
    numbers.iter().map(|(info, number)| (info.name.to_owned(), *number)).collect()
}

fn state(provider: &Provider) -> ProviderState {
    let recent = provider.recent();
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
        extra: named(&[
            (extra::LATENCY, f64::from(recent.latency_p50_ms)),
            (extra::TIME_TO_FIRST_TOKEN, f64::from(recent.ttft_p50_ms)),
            (extra::ERROR_RATE, f64::from(recent.error_rate)),
            (extra::TOKENS_PER_SECOND, f64::from(recent.tokens_per_second)),
        ]),
    }
}
