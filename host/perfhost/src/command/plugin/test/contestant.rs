//! Who takes part in a test: the strategy, the baseline, and nobody. Loads them as the host does and runs them.

use std::sync::Arc;

use anyhow::{Context, Result};
use perfhost_simulation::{Account, Run, Scenario, StrategyOperator, Unattended, simulate};
use perfhost_strategy::strategy::{Identity, World};
use perfhost_strategy::{GuardPolicy, Strategy};
use perfhost_wasm::{PluginSource, Runtime, RuntimeConfig};
use serde::Serialize;

use super::past::Past;
use crate::cli::{LibraryFlags, TestFlags};
use crate::command::library;
use crate::command::plugin_file::read;

/// A contestant and how it did in one scenario.
#[derive(Debug, Serialize)]
pub(super) struct Contestant {
    /// As the columns are headed.
    pub(super) name: String,
    /// `None`: no strategy at all.
    pub(super) strategy: Option<Identity>,
    pub(super) run: Run,
    /// What the strategy did.
    pub(super) account: Account,
}

/// The plugins of a test, read once and loaded afresh for every run: nothing learned in one scenario shows in another.
pub(super) struct Plugins {
    runtime: Arc<Runtime>,
    strategy: PluginSource,
    baseline: PluginSource,
    parameters: Vec<(String, String)>,
}

impl Plugins {
    pub(super) fn read(flags: &TestFlags) -> Result<Self> {
        let of_library = LibraryFlags { library_dir: flags.library_dir.clone(), output: flags.output };
        // Compiling some languages takes many seconds; where the folder cannot be had, it is done each time.
        let cache_dir = library::folders(&of_library).ok().map(|folders| folders.library.join("compiled"));
        let library_dir = flags.library_dir.as_deref();
        Ok(Self {
            runtime: Runtime::new(RuntimeConfig { cache_dir, ..RuntimeConfig::default() })?,
            strategy: read(&flags.plugin, library_dir)?,
            baseline: read(&flags.baseline, library_dir)?,
            parameters: flags.param.clone(),
        })
    }

    /// How the strategy, the baseline and no strategy do in a scenario.
    pub(super) fn compete(&self, scenario: &Scenario, seed: u64) -> Result<[Contestant; 3]> {
        let strategy = self.run(&self.strategy, self.parameters.clone(), scenario, seed)?;
        let baseline = self.run(&self.baseline, Vec::new(), scenario, seed)?;
        let (run, _) = simulate(scenario, seed, Unattended::default())?;
        let nobody = Contestant { name: "no strategy".to_owned(), strategy: None, run, account: Account::default() };
        Ok([strategy, baseline, nobody])
    }

    fn run(
        &self,
        source: &PluginSource,
        parameters: Vec<(String, String)>,
        scenario: &Scenario,
        seed: u64,
    ) -> Result<Contestant> {
        let past = Arc::new(Past::default());
        let strategy = self.runtime.load(source, past.clone())?;
        let identity = strategy.identity().clone();
        anyhow::ensure!(
            identity.world != World::Advisor,
            "{} is an advisor: it tunes nothing, so there is nothing to simulate; see `perfhost model advise`",
            identity.name
        );
        let remembering: Arc<dyn Strategy> = past.of(strategy);
        let operator = StrategyOperator::new(remembering, parameters, GuardPolicy::default());
        let (run, operator) = simulate(scenario, seed, operator).with_context(|| source.name.clone())?;
        let account = operator.into_account();
        Ok(Contestant { name: identity.name.clone(), strategy: Some(identity), run, account })
    }
}
