//! The ticks: what is sampled every second, what a strategy sees every few, and what the settings it asks for do.

use std::sync::Arc;

use perfhost_strategy::knob::{Bounds, OfferedKnob};
use perfhost_strategy::observation::{Hardware, ProviderState, metric};
use perfhost_strategy::scope::ScopeKind;
use perfhost_strategy::{KnobId, Observation, Scope, Settings, Value};
use serde::Serialize;

use super::provider::{PROBE_EVERY_S, Serving};
use super::{Event, Host};
use crate::engine::Reload;
use crate::moment::Moment;
use crate::operator::{Operator, unix_ms};
use crate::random::Random;
use crate::scenario::{Effect, Scenario};

/// Seconds between two looks at the hardware.
const HARDWARE_EVERY_S: u64 = 10;
/// Memory of perfhost itself, without its cache.
const HOST_BYTES: u64 = 32 << 20;
/// First part of the name of the stream that observations' seeds come from.
const SEEDS: u64 = 20;

/// A knob that was turned, and when.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KnobTrack {
    /// Its name.
    pub name: &'static str,
    /// Where.
    pub scope: Scope,
    /// Seconds from the start, and the value from then on; the first is the start's.
    pub values: Vec<(f64, Value)>,
}

/// The knobs on offer in a scenario: global ones, those of each provider, and reload knobs of the managed engine.
pub(crate) fn offered(scenario: &Scenario) -> Vec<OfferedKnob> {
    let mut names: Vec<(&str, bool)> =
        scenario.providers.iter().map(|provider| (provider.name(), provider.is_managed())).collect();
    names.sort_unstable();
    let mut offered = Vec::new();
    for id in KnobId::ALL.iter().copied() {
        let knob = id.knob();
        let mut bounds_here = knob.bounds.clone();
        if id == KnobId::EngineThreads
            && let Bounds::IntegerRange(_, highest) = &mut bounds_here
        {
            *highest = (*highest).min(i64::from(scenario.machine.cores));
        }
        let scopes: Vec<Scope> = match knob.scope {
            ScopeKind::Global => vec![Scope::global()],
            _ => {
                let able = names.iter().filter(|(_, is_managed)| !knob.reload || *is_managed);
                able.map(|(name, _)| Scope::provider(name)).collect()
            }
        };
        let offer = |at| OfferedKnob { knob: knob.clone(), at, bounds_here: bounds_here.clone() };
        offered.extend(scopes.into_iter().map(offer));
    }
    offered
}

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
        self.sample();
        self.windows.close();
        if second.is_multiple_of(HARDWARE_EVERY_S) {
            self.hardware = self.look_at_hardware();
        }
        if self.now <= self.closes {
            self.recorder.tick(self.now, self.admission.in_flight(), self.admission.queued());
        }
        if self.now >= self.next_look && self.now < self.closes {
            self.next_look = self.next_look.after_seconds(self.scenario.interval_s);
            if self.operator.is_looking() {
                let seen = self.observe();
                if let Some(settings) = self.operator.look(&seen) {
                    self.apply(settings);
                }
            }
        }
    }

    /// Samples what is there at every moment.
    fn sample(&mut self) {
        let host = Scope::global();
        self.windows.gauge(metric::IN_FLIGHT, &host, self.admission.in_flight() as f64);
        self.windows.gauge(metric::QUEUE_LENGTH, &host, self.admission.queued() as f64);
        let mut busy = 0.0;
        for (at, provider) in self.providers.iter_mut().enumerate() {
            let scope = Scope::provider(&self.fleet.provider_names[at]);
            self.windows.gauge(metric::IN_FLIGHT, &scope, provider.under_way.len() as f64);
            let Serving::Engine(machine) = &mut provider.serving else { continue };
            let work = machine.take_busy_seconds().min(1.0);
            if Some(at) != self.managed {
                continue;
            }
            busy = work;
            if machine.is_serving() {
                let (slots, waiting) = machine.load_now();
                provider.queued = waiting as u32;
                self.windows.gauge(metric::ENGINE_SLOTS_BUSY, &scope, slots as f64);
                self.windows.gauge(metric::ENGINE_REQUESTS_DEFERRED, &scope, waiting as f64);
                let speed = f64::from(provider.recent.tokens_per_second());
                if speed > 0.0 {
                    self.windows.gauge(metric::ENGINE_TOKENS_PER_SECOND, &scope, speed);
                }
            }
            if machine.memory_bytes() > 0 {
                self.windows.gauge(metric::PROCESS_CPU, &scope, work);
                self.windows.gauge(metric::PROCESS_MEMORY, &scope, machine.memory_bytes() as f64);
            }
        }
        let used = self.used_bytes();
        let total = self.scenario.machine.memory_bytes;
        self.windows.gauge(metric::CPU_USAGE, &host, busy);
        self.windows.gauge(metric::MEMORY_USED, &host, used.min(total) as f64);
        self.windows.gauge(metric::PROCESS_CPU, &host, 0.0);
        self.windows.gauge(metric::PROCESS_MEMORY, &host, (HOST_BYTES + self.cache.bytes()) as f64);
        if let Some(managed) = self.managed
            && let Serving::Engine(machine) = &mut self.providers[managed].serving
            && machine.is_swapping != (used > total)
        {
            machine.is_swapping = used > total;
            self.hear(managed);
        }
    }

    /// What a strategy sees now.
    fn observe(&self) -> Observation {
        let now_ms = unix_ms(self.now);
        let providers = self.providers.iter().zip(&self.fleet.providers).enumerate();
        Observation {
            now_ms,
            seed: Random::new(self.seed, &[SEEDS, now_ms]).next(),
            interval_ms: (self.scenario.interval_s.ceil() * 1_000.0) as u32,
            metrics: self.windows.observe(),
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
        }
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

    fn used_bytes(&self) -> u64 {
        let engine = self.managed.map_or(0, |managed| match &self.providers[managed].serving {
            Serving::Engine(machine) => machine.memory_bytes(),
            Serving::Cloud(_) => 0,
        });
        self.other_bytes.saturating_add(engine + self.cache.bytes() + HOST_BYTES)
    }

    /// Other settings hold from now on.
    fn apply(&mut self, settings: Arc<Settings>) {
        let before = std::mem::replace(&mut self.settings, settings.clone());
        self.track(&before);
        self.admission.set_limit(settings.concurrency_limit);
        self.cache.set_capacity(settings.cache_capacity_bytes);
        for (name, provider) in self.fleet.provider_names.iter().zip(&mut self.providers) {
            provider.weight = settings.provider(name).weight;
        }
        self.admit();
        let Some(managed) = self.managed else { return };
        let name = &self.fleet.provider_names[managed];
        let wanted = settings.engine(name);
        if wanted == before.engine(name) {
            return;
        }
        let free = self.scenario.machine.memory_bytes.saturating_sub(self.used_bytes());
        let Serving::Engine(machine) = &mut self.providers[managed].serving else { return };
        machine.advance(self.now);
        match machine.reload(self.now, &wanted, free) {
            Reload::Same => self.operator.engine_changed(self.now, Ok(())),
            Reload::Loading => {}
            Reload::Refused(why) => self.operator.engine_changed(self.now, Err(&why)),
        }
        self.hear(managed);
    }

    /// Keeps the values of knobs that have changed.
    fn track(&mut self, before: &Settings) {
        let now_s = self.now.as_seconds();
        let places = |settings: &Settings| -> Vec<(KnobId, Scope)> {
            settings.changed().map(|(id, scope, _)| (id, scope.clone())).collect()
        };
        let mut changed = places(before);
        changed.extend(places(&self.settings));
        changed.sort_unstable();
        changed.dedup();
        for (id, scope) in changed {
            let (old, new) = (before.value(id, &scope), self.settings.value(id, &scope));
            if old == new {
                continue;
            }
            match self.knobs.iter_mut().find(|track| track.name == id.name() && track.scope == scope) {
                Some(track) => track.values.push((now_s, new)),
                None => self.knobs.push(KnobTrack { name: id.name(), scope, values: vec![(0.0, old), (now_s, new)] }),
            }
        }
    }

    /// A disturbance begins or ends: what holds is worked out anew.
    pub(super) fn disturb(&mut self) {
        let now = self.now;
        let holding =
            self.scenario.disturbances.iter().filter(|one| {
                Moment::from_seconds(one.at_s) <= now && now < Moment::from_seconds(one.at_s + one.for_s)
            });
        let effects: Vec<&Effect> = holding.map(|one| &one.effect).collect();
        let more = effects.iter().map(|effect| if let Effect::Memory { bytes } = effect { *bytes } else { 0 });
        self.other_bytes = self.scenario.machine.other_bytes.saturating_add(more.sum());
        for at in 0..self.providers.len() {
            let name = &self.fleet.provider_names[at];
            let (mut slower, mut failing, mut is_down) = (1.0, 0.0_f64, false);
            for effect in &effects {
                match effect {
                    Effect::Slower { provider, factor } if provider == name => slower *= factor,
                    Effect::Failing { provider, share } if provider == name => failing = failing.max(*share),
                    Effect::Down { provider } if provider == name => is_down = true,
                    _ => {}
                }
            }
            self.disturb_provider(at, slower, failing, is_down);
        }
    }

    fn disturb_provider(&mut self, at: usize, slower: f64, failing: f64, is_down: bool) {
        let provider = &mut self.providers[at];
        let was_down = std::mem::replace(&mut provider.is_down, is_down);
        (provider.slower, provider.failing) = (slower, failing);
        if let Serving::Engine(machine) = &mut provider.serving {
            machine.advance(self.now);
            machine.slower = slower;
            if is_down && !was_down {
                machine.fail();
            } else if was_down && !is_down {
                machine.recover(self.now);
            }
        }
        if is_down && !was_down {
            for attempt in provider.under_way.clone() {
                self.count_tokens(attempt.call);
                self.broke(attempt);
            }
        }
        self.hear(at);
    }
}
