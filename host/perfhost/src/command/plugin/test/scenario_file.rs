//! Where scenarios come from: the built-in ones by name, files of one's own, and traces.

use std::path::Path;

use anyhow::{Context, Result, bail};
use perfhost_simulation::Scenario;
use perfhost_simulation::scenario::{Amount, Arrivals, TraceRow, built_in};

use crate::cli::TestFlags;

/// Name that stands for every built-in scenario.
const ALL: &str = "all";

/// Most rows of a trace that are read.
const MOST_ROWS: usize = 1_000_000;

/// The scenarios that the flags name, with what the flags change in them.
pub(super) fn wanted(flags: &TestFlags) -> Result<Vec<Scenario>> {
    let mut scenarios = if flags.scenario == ALL { built_in::all() } else { vec![find(&flags.scenario)?] };
    for scenario in &mut scenarios {
        if let Some(duration_s) = flags.duration {
            scenario.duration_s = duration_s;
        }
        if let Some(count) = flags.clients {
            scenario.arrivals = Arrivals::Clients { count, think_s: Amount::Fixed(0.0), back_off_s: 1.0 };
        }
        if let Some(per_second) = flags.rate {
            scenario.arrivals = Arrivals::Poisson { per_second };
        }
        scenario.check()?;
    }
    Ok(scenarios)
}

fn find(name: &str) -> Result<Scenario> {
    let path = Path::new(name);
    if let Some(scenario) = built_in::find(name) {
        return Ok(scenario);
    }
    if !path.is_file() {
        let names: Vec<String> = built_in::all().into_iter().map(|scenario| scenario.name).collect();
        bail!("{name:?} is neither a scenario ({}, {ALL}) nor a file", names.join(", "));
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {name}"))?;
    let mut scenario: Scenario = match path.extension().and_then(|ending| ending.to_str()) {
        Some("toml") => toml::from_str(&text).with_context(|| format!("reading {name}"))?,
        Some("json") => serde_json::from_str(&text).with_context(|| format!("reading {name}"))?,
        Some("jsonl") => of_trace(name, rows(name, &text)?),
        _ => bail!("{name}: a scenario file ends in .toml or .json, a trace in .jsonl"),
    };
    if let Arrivals::Trace { file: Some(file), rows: read } = &mut scenario.arrivals
        && read.is_empty()
    {
        let trace = path.parent().unwrap_or(Path::new("")).join(&file);
        let text = std::fs::read_to_string(&trace).with_context(|| format!("reading {}", trace.display()))?;
        *read = rows(file, &text)?;
    }
    Ok(scenario)
}

/// A trace by itself: its requests, to the default engine, for as long as it lasts.
fn of_trace(name: &str, rows: Vec<TraceRow>) -> Scenario {
    let last_ms = rows.last().map_or(0, |row| row.timestamp);
    Scenario {
        name: name.to_owned(),
        about: format!("{} recorded requests", rows.len()),
        duration_s: (last_ms as f64 / 1_000.0).ceil() + 1.0,
        arrivals: Arrivals::Trace { file: None, rows },
        ..Scenario::default()
    }
}

fn rows(name: &str, text: &str) -> Result<Vec<TraceRow>> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let rows = lines.map(|(at, line)| serde_json::from_str(line).with_context(|| format!("{name}, line {}", at + 1)));
    let rows: Vec<TraceRow> = rows.take(MOST_ROWS + 1).collect::<Result<_>>()?;
    anyhow::ensure!(rows.len() <= MOST_ROWS, "{name} has more than {MOST_ROWS} rows");
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_scenario_can_be_a_file() {
        for scenario in built_in::all() {
            let text = toml::to_string(&scenario).unwrap();
            assert_eq!(toml::from_str::<Scenario>(&text).unwrap(), scenario, "{text}");
        }
    }

    #[test]
    fn a_trace_is_a_scenario_and_can_be_named_in_one() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_string_lossy().into_owned()
        };
        let row = r#"{"timestamp": 2500, "input_length": 10, "output_length": 5, "hash_ids": [1]}"#;
        let trace = write("trace.jsonl", &format!("{row}\n\n{row}\n"));
        let found = find(&trace).unwrap();
        assert_eq!((found.duration_s, found.check().is_ok()), (4.0, true));
        let named = write("mine.toml", "name = \"mine\"\narrivals = { is = \"trace\", file = \"trace.jsonl\" }\n");
        let Arrivals::Trace { rows, .. } = find(&named).unwrap().arrivals else { panic!("no trace") };
        assert_eq!(rows.len(), 2);

        let wrong = write("wrong.jsonl", &format!("{row}\n{{}}\n"));
        assert!(format!("{:#}", find(&wrong).unwrap_err()).contains("wrong.jsonl, line 2"));
        assert!(format!("{:#}", find("stedy").unwrap_err()).contains("steady, burst"));
        let misspelt = write("misspelt.toml", "duration = 3\n");
        assert!(format!("{:#}", find(&misspelt).unwrap_err()).contains("unknown field `duration`"));
    }
}
