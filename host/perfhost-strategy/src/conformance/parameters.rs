//! Parameters: those given are taken, defaults are what the description says, and what is wrong is refused by name and
//! leaves everything as it was.

use std::sync::Arc;

use super::cases::{Case, ordinary};
use super::finding::Severity::{Error, Warning};
use super::trial::Trial;
use crate::strategy::Parameter;
use crate::{Strategy, StrategyError};

/// A name that no strategy gives a parameter.
const UNKNOWN: &str = "no_such_parameter";

/// A value that is no number.
const WRONG: &str = "certainly not a number";

/// Whether the strategy can be configured at all, so that there is something to go on with.
pub(super) fn check<E>(trial: &mut Trial<'_, E>) -> Result<bool, E> {
    let case = ordinary(&mut trial.numbers, 0);
    let given = trial.options.parameters.clone();
    let strategy = trial.bare()?;
    if let Err(error) = strategy.configure(&given, &case.knobs) {
        match &error {
            StrategyError::Fault { message, .. } => {
                let with = if given.is_empty() { "without parameters" } else { "with the parameters that were given" };
                let says = format!("it cannot be configured {with}: {message}");
                let fix = "give the parameters that it needs with --param name=value, or give each of them a default";
                trial.findings.add(Error, "not-configured", "configure", ("configure", says, fix));
            }
            _ => trial.failed(&error, "with the parameters that were given"),
        }
        return Ok(false);
    }
    let again = strategy.configure(&given, &[]);
    trial.passed(again, "with no knobs on offer");

    let parameters = strategy.description().parameters.clone();
    for parameter in &parameters {
        default_is_taken(trial, &case, parameter)?;
    }
    let mut refused = vec![(UNKNOWN.to_owned(), "1".to_owned())];
    let is_number = |parameter: &&Parameter| parameter.default.trim().parse::<f64>().is_ok();
    refused.extend(parameters.iter().filter(is_number).map(|parameter| (parameter.name.clone(), WRONG.to_owned())));
    for (name, value) in refused {
        if trial.is_given_up() {
            break;
        }
        wrong_is_refused(trial, &case, &name, &value)?;
    }
    Ok(true)
}

fn default_is_taken<E>(trial: &mut Trial<'_, E>, case: &Case, parameter: &Parameter) -> Result<(), E> {
    if parameter.default.is_empty() {
        return Ok(());
    }
    let strategy = trial.bare()?;
    let mut given = trial.options.parameters.clone();
    given.retain(|(name, _)| *name != parameter.name);
    given.push((parameter.name.clone(), parameter.default.clone()));
    match strategy.configure(&given, &case.knobs) {
        Err(StrategyError::Fault { message, .. }) => {
            let says = format!("its default {:?} for {} is refused: {message}", parameter.default, parameter.name);
            let fix = "describe a default that `configure` takes, written as a user would write it";
            trial.findings.add(Error, "default-refused", &parameter.name, ("configure, its own defaults", says, fix));
        }
        other => {
            trial.passed(other, "its own defaults");
        }
    }
    Ok(())
}

/// Configures with one wrong parameter, and looks whether that changed what it answers.
fn wrong_is_refused<E>(trial: &mut Trial<'_, E>, case: &Case, name: &str, value: &str) -> Result<(), E> {
    let strategy = trial.told(case)?;
    let mut given = trial.options.parameters.clone();
    given.retain(|(known, _)| known != name);
    given.push((name.to_owned(), value.to_owned()));
    let place = format!("configure, {name} = {value:?}");
    let fix = format!("answer invalid-parameter with the name and what is allowed, as in \"{name}: allowed are …\"");
    match strategy.configure(&given, &case.knobs) {
        Ok(()) if name == UNKNOWN => {
            let says = "it takes a parameter that it does not know, so a misspelt one goes unnoticed";
            trial.findings.add(Error, "unknown-parameter-taken", name, (place, says, fix));
            return Ok(());
        }
        Ok(()) => {
            let says = format!("it takes {value:?} for {name}, whose default is a number");
            trial.findings.add(Warning, "wrong-value-taken", name, (place, says, fix));
            return Ok(());
        }
        Err(StrategyError::Fault { message, .. }) => {
            if !message.contains(name) {
                let says = format!("it refuses a wrong parameter without naming it: {message}");
                trial.findings.add(Warning, "unnamed-parameter", name, (place.clone(), says, fix));
            }
        }
        Err(error) => {
            trial.failed(&error, &place);
            return Ok(());
        }
    }
    let untouched = trial.told(case)?;
    if !answers_alike(trial, &strategy, &untouched) {
        let says = "after a configuration that it refused it answers otherwise than before";
        let fix = "check all parameters before any of them is taken";
        trial.findings.add(Warning, "half-configured", name, (place, says, fix));
    }
    Ok(())
}

fn answers_alike<E>(trial: &mut Trial<'_, E>, one: &Arc<dyn Strategy>, other: &Arc<dyn Strategy>) -> bool {
    let mut numbers = trial.numbers.clone();
    (0..5).all(|at| {
        let case = ordinary(&mut numbers, at);
        let (one, other) = (trial.propose(one.as_ref(), &case), trial.propose(other.as_ref(), &case));
        super::tuning::is_same_answer(&one, &other)
    })
}
