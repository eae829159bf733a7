//! Strategies that take part in an experiment: instances of their own, told what the one in service is told, and held
//! ready as long as the experiment lasts.
//!
//! An arm has an instance of its own even where the same plugin is in service: what one learns must not be the other's.

use std::sync::Arc;

use perfhost_gateway::StrategySource;
use perfhost_strategy::Generation;
use perfhost_strategy::generation::Arrival;
use perfhost_strategy::strategy::World;
use tracing::info;

use super::desk::Held;
use super::loader::read_digest;
use super::{Strategies, SwapError, find, now_ms};
use crate::plugin_source::Plugin;
use crate::plugin_source::address::Address;
use crate::plugin_source::error::SourceError;

/// A strategy that takes part in an experiment.
#[derive(Clone)]
pub struct EnlistedArm {
    /// What requests of the arm are planned by.
    pub generation: Arc<Generation>,
    held: Held,
}

impl Strategies {
    /// The strategy in service, as an arm.
    pub fn enlist_serving(&self) -> EnlistedArm {
        let mut desk = self.desk.lock();
        let arm = EnlistedArm { generation: self.in_service().load(), held: desk.serving.clone() };
        desk.arms.push(arm.held.clone());
        self.generations.hold(&arm.held.strategy);
        arm
    }

    /// Loads a strategy, tells it what the one in service was told, and makes it ready to plan.
    pub fn enlist(&self, source: &StrategySource) -> Result<EnlistedArm, SwapError> {
        let plugin = self.plugin_of(source)?;
        let held = {
            let _one_at_a_time = self.loading.lock();
            self.loader.load(&plugin)?
        };
        let strategy = held.strategy.clone();
        if let Some(shelf) = &self.shelf {
            let needed = self.desk.lock().needed();
            shelf.keep(strategy.identity(), &plugin, &needed);
        }
        let mut desk = self.desk.lock();
        desk.prepare(strategy.as_ref(), || self.learned.hand_on(strategy.as_ref(), None))?;
        let number = self.generations.reserve(&strategy);
        desk.arms.push(held.clone());
        Ok(EnlistedArm { generation: Arc::new(Generation::new(number, strategy)), held })
    }

    /// An arm's strategy takes the place of the one in service, with all that it learned as an arm. The one before stays
    /// at hand. Nothing happens when the arm's plugin is in service.
    pub fn promote(&self, arm: &EnlistedArm, detail: &str) -> EnlistedArm {
        let mut desk = self.desk.lock();
        if desk.serving.digest() != arm.held.digest() {
            let strategy = arm.held.strategy.clone();
            let record =
                self.generations.replace(strategy, Arrival::Experiment, None, Some(detail.to_owned()), now_ms());
            desk.serve(arm.held.clone());
            desk.retired = None;
            info!(
                to = record.name,
                version = record.version,
                generation = record.number,
                detail,
                "strategy in service"
            );
            return EnlistedArm { generation: self.in_service().load(), held: arm.held.clone() };
        }
        arm.clone()
    }

    /// The experiment is over: its arms give back what they hold.
    pub fn dismiss(&self) {
        let mut desk = self.desk.lock();
        let serving = desk.serving.strategy.clone();
        for arm in std::mem::take(&mut desk.arms) {
            if !Arc::ptr_eq(&arm.strategy, &serving) {
                arm.strategy.rest();
            }
        }
        self.generations.release();
    }

    /// SHA-256 of the plugin that is meant by this name or address now, in hexadecimal; `None` where it cannot be had.
    pub fn digest_of(&self, name: &str) -> Option<String> {
        let source = StrategySource::Named { name: name.to_owned(), digest: None };
        self.plugin_of(&source).ok().map(|plugin| plugin.provenance.digest.hex())
    }

    /// The plugin that is meant, if it is let in: from the shelf, or read and fetched anew.
    fn plugin_of(&self, source: &StrategySource) -> Result<Plugin, SwapError> {
        let StrategySource::Named { name, digest: expected } = source else { return self.loader.read(source) };
        let Err(SourceError::Unknown { .. }) = Address::parse(name) else { return self.loader.read(source) };
        let digest = find::find(&self.known(), name)?.ok_or_else(|| SwapError::Unknown(name.clone()))?;
        let kept = self.shelf.as_ref().and_then(|shelf| shelf.read(&digest));
        let plugin =
            kept.ok_or_else(|| SwapError::NotKept { strategy: name.clone(), digest, source_name: name.clone() })?;
        self.intake().check_kept(&plugin.source.name, &plugin.provenance)?;
        plugin.provenance.check(name, read_digest(expected)?)?;
        Ok(plugin)
    }

    /// Tells the arms what the strategy in service is told.
    pub(super) fn tell_arms(&self, arms: &[Held], tell: impl Fn(&Held)) {
        let serving = self.generations.in_service().load();
        arms.iter().filter(|arm| !Arc::ptr_eq(&arm.strategy, &serving.strategy)).for_each(tell);
    }
}

impl EnlistedArm {
    /// `name@version`.
    pub fn label(&self) -> String {
        let identity = self.generation.strategy.identity();
        format!("{}@{}", identity.name, identity.version)
    }

    /// SHA-256 of its plugin.
    pub fn digest(&self) -> &str {
        self.held.digest()
    }
}

/// Whether a strategy plans requests.
pub(super) fn plans(held: &Held) -> bool {
    held.strategy.identity().world == World::Strategy
}
