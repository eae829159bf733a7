//! The ticks: what is sampled every second, and what a strategy sees every few.

use perfhost_strategy::observation::{Hardware, Health, ProviderState, metric};
use perfhost_strategy::{Observation, Scope};

use super::provider::{PROBE_EVERY_S, Serving};
use super::{Event, Host};
use crate::moment::Moment;
use crate::operator::{Operator, unix_ms};
use crate::random::Random;

/// Seconds between two looks at the hardware.
const HARDWARE_EVERY_S: u64 = 10;
/// Memory of perfhost itself, without its cache.
const HOST_BYTES: u64 = 32 << 20;
/// First part of the name of the stream that observations' seeds come from.
const SEEDS: u64 = 20;

impl<O: Operator> Host<'_, O> {
    /// A second has passed.
    pub(super) fn tick(&mut self, second: u64) {
        self.agenda.add(Moment::from_us((second + 1) * 1_000_000), Event::Ticks(second + 1));
        for provider in 0..self.providers.len() {
            self.hear(provider);
        }
        for call in self.calls.keys().collect::<Vec<_>>() {
            self.count_tokens(call);
        }
        if second.is_multiple_of(PROBE_EVERY_S) {
            self.providers.iter_mut().for_each(|provider| provider.probe(second));
        }
        let managed_work = self.read_engines();
        self.sample(managed_work);
        if second.is_multiple_of(HARDWARE_EVERY_S) {
            self.hardware = self.look_at_hardware();
        }
        if self.now <= self.closes {
            self.recorder.tick(self.now, self.admission.in_flight(), self.admission.queued());
        }
        if self.now >= self.next_look && self.now < self.closes {
            self.next_look = self.next_look.after_seconds(self.scenario.interval_s);
            if let Some(seen) = self.observe()
                && let Some(settings) = self.operator.look(&seen)
            {
                self.apply(settings);
            }
        }
    }

    /// Takes note of what engines say of their load, and of whether the machine swaps. Returns how busy the managed one was.
    fn read_engines(&mut self) -> f64 {
        let mut managed_work = 0.0;
        for (at, provider) in self.providers.iter_mut().enumerate() {
            let Serving::Engine(machine) = &mut provider.serving else { continue };
            let work = machine.take_busy_seconds().min(1.0);
            if Some(at) == self.managed {
                managed_work = work;
                provider.queued = machine.load_now().1 as u32;
            }
        }
        let is_swapping = self.used_bytes() > self.scenario.machine.memory_bytes;
        if let Some(managed) = self.managed
            && let Serving::Engine(machine) = &mut self.providers[managed].serving
            && machine.is_swapping != is_swapping
        {
            machine.is_swapping = is_swapping;
            self.hear(managed);
        }
        managed_work
    }

    /// Samples what is there at every moment, and ends the second's measurements.
    fn sample(&mut self, managed_work: f64) {
        let (used, total) = (self.used_bytes(), self.scenario.machine.memory_bytes);
        let Some(windows) = &mut self.windows else { return };
        let host = Scope::global();
        windows.gauge(metric::IN_FLIGHT, &host, self.admission.in_flight() as f64);
        windows.gauge(metric::QUEUE_LENGTH, &host, self.admission.queued() as f64);
        windows.gauge(metric::CPU_USAGE, &host, managed_work);
        windows.gauge(metric::MEMORY_USED, &host, used.min(total) as f64);
        if total > 0 {
            windows.gauge(metric::MEMORY_USAGE, &host, (used as f64 / total as f64).min(1.0));
        }
        windows.gauge(metric::STRATEGY_FAILING, &host, 0.0);
        windows.gauge(metric::PROCESS_CPU, &host, 0.0);
        windows.gauge(metric::PROCESS_MEMORY, &host, (HOST_BYTES + self.cache.bytes()) as f64);
        for (at, provider) in self.providers.iter().enumerate() {
            let scope = Scope::provider(&self.fleet.provider_names[at]);
            windows.gauge(metric::IN_FLIGHT, &scope, provider.under_way.len() as f64);
            let is_down = provider.health() == Health::Down;
            windows.gauge(metric::PROVIDER_DOWN, &scope, f64::from(u8::from(is_down)));
            let Serving::Engine(machine) = &provider.serving else { continue };
            if Some(at) != self.managed {
                continue;
            }
            if machine.is_serving() {
                let (slots, waiting) = machine.load_now();
                windows.gauge(metric::ENGINE_SLOTS_BUSY, &scope, slots as f64);
                windows.gauge(metric::ENGINE_REQUESTS_DEFERRED, &scope, waiting as f64);
                let speed = f64::from(provider.recent.tokens_per_second());
                if speed > 0.0 {
                    windows.gauge(metric::ENGINE_TOKENS_PER_SECOND, &scope, speed);
                }
            }
            if machine.memory_bytes() > 0 {
                windows.gauge(metric::PROCESS_CPU, &scope, managed_work);
                windows.gauge(metric::PROCESS_MEMORY, &scope, machine.memory_bytes() as f64);
            }
        }
        windows.close();
    }

    /// What a strategy sees now; `None` when nobody looks.
    fn observe(&self) -> Option<Observation> {
        let metrics = self.windows.as_ref()?.observe();
        let now_ms = unix_ms(self.now);
        let providers = self.providers.iter().zip(&self.fleet.providers).enumerate();
        Some(Observation {
            now_ms,
            seed: Random::new(self.seed, &[SEEDS, now_ms]).next(),
            interval_ms: (self.scenario.interval_s.ceil() * 1_000.0) as u32,
            metrics,
            providers: providers
                .map(|(at, (provider, spec))| ProviderState {
                    name: spec.name().to_owned(),
                    kind: spec.kind().to_owned(),
                    health: provider.health(),
                    managed: Some(at) == self.managed,
                    in_flight: provider.under_way.len() as u32,
                    queued: provider.queued,
                    models: spec.models().into_iter().map(str::to_owned).collect(),
                    extra: Vec::new(),
                })
                .collect(),
            settings: self.settings.list(&self.fleet.provider_names),
            hardware: self.hardware.clone(),
            extra: Vec::new(),
        })
    }

    pub(super) fn look_at_hardware(&self) -> Hardware {
        let machine = &self.scenario.machine;
        Hardware {
            physical_cores: machine.cores,
            logical_cores: machine.cores,
            memory_total_bytes: machine.memory_bytes,
            memory_free_bytes: machine.memory_bytes.saturating_sub(self.used_bytes()),
            gpus: Vec::new(),
        }
    }

    pub(super) fn used_bytes(&self) -> u64 {
        let engine = self.managed.map_or(0, |managed| match &self.providers[managed].serving {
            Serving::Engine(machine) => machine.memory_bytes(),
            Serving::Cloud(_) => 0,
        });
        self.other_bytes.saturating_add(engine + self.cache.bytes() + HOST_BYTES)
    }
}
