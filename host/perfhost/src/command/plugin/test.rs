//! `perfhost plugin test`: a strategy in simulated time, beside a baseline and beside none.
//!
//! - `scenario_file`: which worlds; `contestant`: who takes part; `past`: what a strategy may ask of history
//! - [`requirement`]: what must hold; `report`: how it is told to people

mod contestant;
mod past;
mod report;
pub mod requirement;
mod scenario_file;

use std::time::Instant;

use anyhow::{Result, ensure};
use perfhost_simulation::Scenario;
use serde::Serialize;

use crate::cli::{Output, TestFlags};
use crate::command::misuse::misuse;
use crate::command::plot::Canvas;
use crate::command::print;
use crate::command::waiting::Waiting;
use contestant::{Contestant, Plugins};
use requirement::Answer;

/// One scenario's outcome.
#[derive(Debug, Serialize)]
struct Trial {
    scenario: Scenario,
    seed: u64,
    /// The strategy, the baseline, no strategy.
    contestants: [Contestant; 3],
    requirements: Vec<Answer>,
}

/// Runs the command. Fails when a call of the strategy failed or a requirement is not met.
pub fn test(flags: &TestFlags) -> Result<()> {
    let scenarios = scenario_file::wanted(flags).map_err(misuse)?;
    if flags.print_scenario {
        for scenario in &scenarios {
            print::line(&match flags.output {
                Output::Table => toml::to_string(scenario)?,
                Output::Json => serde_json::to_string_pretty(scenario)?,
            });
        }
        return Ok(());
    }
    let plugins = Plugins::read(flags)?;
    let began = Instant::now();
    let waiting = Waiting::on_stderr();
    let tried = scenarios.into_iter().map(|scenario| {
        waiting.show(&format!("simulating {}", scenario.name));
        try_in(&plugins, scenario, flags)
    });
    let trials = tried.collect::<Result<Vec<_>>>()?;
    let took = began.elapsed();
    drop(waiting);
    print::print(&trials, flags.output, |trials| report::report(trials, Canvas::of_stdout(), took))?;

    let failures: usize = trials.iter().map(|trial| trial.contestants[0].account.failures.len()).sum();
    ensure!(failures == 0, "{} failed in {failures} calls; see above", flags.plugin);
    let unmet: Vec<String> = trials
        .iter()
        .flat_map(|trial| trial.requirements.iter().map(|answer| (&trial.scenario.name, answer)))
        .filter(|(_, answer)| !answer.is_met)
        .map(|(name, answer)| format!("{} in {name}: {} against {}", answer.condition, answer.found, answer.bound))
        .collect();
    ensure!(unmet.is_empty(), "required and not so: {}", unmet.join("; "));
    Ok(())
}

fn try_in(plugins: &Plugins, scenario: Scenario, flags: &TestFlags) -> Result<Trial> {
    let contestants = plugins.compete(&scenario, flags.seed)?;
    let [strategy, baseline, nobody] = contestants.each_ref().map(|contestant| &contestant.run.whole);
    let requirements = flags.require.iter().map(|one| one.judge(strategy, baseline, nobody)).collect();
    Ok(Trial { scenario, seed: flags.seed, contestants, requirements })
}
