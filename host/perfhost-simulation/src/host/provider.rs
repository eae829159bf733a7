//! One provider as the host knows it, and the engine or service behind it.

use perfhost_strategy::Settings;
use perfhost_strategy::observation::Health;

use super::AttemptKey;
use super::recent::Recent;
use crate::engine::Machine;
use crate::moment::Moment;
use crate::scenario::{CloudSpec, ProviderSpec};

/// Kinds of paid services, which the host probes less often while they are up.
const PAID: [&str; 3] = ["openai", "anthropic", "groq"];

/// Seconds between two probes, and how many of them a paid service that is up is spared.
pub(super) const PROBE_EVERY_S: u64 = 5;
const PAID_INTERVALS: u64 = 12;

/// One provider.
#[derive(Debug)]
pub(super) struct Provider {
    pub(super) serving: Serving,
    pub(super) recent: Recent,
    /// Sent and not yet answered in full.
    pub(super) under_way: Vec<AttemptKey>,
    /// The `candidate_weight` knob.
    pub(super) weight: f32,
    /// Refuses connections.
    pub(super) is_down: bool,
    /// Share of requests answered with 503, beyond what the service has by itself.
    pub(super) failing: f64,
    /// How many times as long everything takes.
    pub(super) slower: f64,
    /// Rises when its next event is another.
    pub(super) version: u64,
    /// Requests that wait inside, as the engine last said.
    pub(super) queued: u32,
    is_paid: bool,
    is_managed: bool,
}

/// What is behind it.
#[derive(Debug)]
pub(super) enum Serving {
    Engine(Box<Machine>),
    Cloud(CloudSpec),
}

impl Provider {
    pub(super) fn new(spec: &ProviderSpec, settings: &Settings) -> Self {
        let serving = match spec {
            ProviderSpec::Engine(engine) => {
                Serving::Engine(Box::new(Machine::new(engine, settings.engine(&engine.name))))
            }
            ProviderSpec::Cloud(cloud) => Serving::Cloud(cloud.clone()),
        };
        Self {
            serving,
            recent: Recent::default(),
            under_way: Vec::new(),
            weight: settings.provider(spec.name()).weight,
            is_down: false,
            failing: 0.0,
            slower: 1.0,
            version: 0,
            queued: 0,
            is_paid: PAID.contains(&spec.kind()),
            is_managed: spec.is_managed(),
        }
    }

    /// Whether the host thinks it can be used. perfhost knows of its own engine what it must probe others for.
    pub(super) fn health(&self) -> Health {
        match &self.serving {
            Serving::Engine(machine) if self.is_managed => {
                if machine.is_serving() {
                    Health::Up
                } else {
                    Health::Down
                }
            }
            _ => self.recent.health(),
        }
    }

    /// Takes connections now, whatever the host thinks.
    pub(super) fn is_reachable(&self) -> bool {
        match &self.serving {
            Serving::Engine(machine) if self.is_managed => machine.is_serving(),
            _ => !self.is_down,
        }
    }

    pub(super) fn is_resident(&self, now: Moment, model: usize) -> bool {
        match &self.serving {
            Serving::Engine(machine) => machine.is_resident(now, model),
            Serving::Cloud(_) => true,
        }
    }

    /// The host's health probe, if it is time for one; called every [`PROBE_EVERY_S`].
    pub(super) fn probe(&mut self, second: u64) {
        let is_spared = self.is_paid && self.recent.health() == Health::Up;
        if is_spared && !(second / PROBE_EVERY_S).is_multiple_of(PAID_INTERVALS) {
            return;
        }
        if self.is_reachable() {
            self.recent.note_probe_success();
        } else {
            self.recent.note_unreachable();
        }
    }
}
