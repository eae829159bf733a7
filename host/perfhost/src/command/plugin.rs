//! `perfhost plugin …`: the strategies of a running host, and what a plugin file is.

use anyhow::{Context, Result};
use perfhost_wasm::{Inspection, Runtime, RuntimeConfig};
use serde_json::{Value, json};

use super::client::Client;
use super::print::{self, bytes, number, table};
use crate::built_in;
use crate::cli::{ClientFlags, Output, PluginCommand};
use crate::service::strategies::read;

/// Runs one of the commands.
pub fn run(command: &PluginCommand) -> Result<()> {
    match command {
        PluginCommand::List(flags) => list(flags),
        PluginCommand::Inspect { plugin, output } => inspect(plugin, *output),
        PluginCommand::Swap { plugin, client } => swap(plugin, client),
        PluginCommand::Rollback(flags) => {
            let answer = Client::new(flags).post("/api/strategies/rollback", "application/json", b"{}")?;
            print::print(&answer, flags.output, in_service)
        }
    }
}

fn list(flags: &ClientFlags) -> Result<()> {
    let client = Client::new(flags);
    match client.get("/api/strategies") {
        Ok(answer) => print::print(&answer, flags.output, |answer| {
            let mut rows = vec![row("in service", &answer["in_service"])];
            rows.extend(answer["at_hand"].as_array().into_iter().flatten().map(|one| row("at hand", one)));
            if !answer["retired"].is_null() {
                rows.push(row("retired", &answer["retired"]["strategy"]));
            }
            table(&["STATE", "NAME", "VERSION", "WORLD", "SOURCE", "SUMMARY"], &rows)
        }),
        Err(error) if error.to_string().starts_with("no perfhost is running") => {
            let loaded = offline()?;
            print::print(&json!({ "built_in": loaded }), flags.output, |answer| {
                let rows: Vec<_> =
                    answer["built_in"].as_array().into_iter().flatten().map(|one| row("built in", one)).collect();
                table(&["STATE", "NAME", "VERSION", "WORLD", "SOURCE", "SUMMARY"], &rows)
            })
        }
        Err(error) => Err(error),
    }
}

/// The built-in strategies, each loaded and asked what it is.
fn offline() -> Result<Vec<Value>> {
    let runtime = Runtime::new(RuntimeConfig::default())?;
    let mut list = Vec::new();
    for (name, _) in built_in::BUILT_IN {
        let inspection = runtime.inspect(&read(name)?);
        let description = inspection.description.as_ref().with_context(|| format!("{name} does not load"))?;
        list.push(json!({
            "name": description.name, "version": description.version, "world": inspection.world,
            "source": "built-in", "summary": description.summary,
        }));
    }
    Ok(list)
}

fn row(state: &str, strategy: &Value) -> Vec<String> {
    let text = |name: &str| strategy[name].as_str().unwrap_or("-").to_owned();
    vec![state.to_owned(), text("name"), text("version"), text("world"), text("source"), text("summary")]
}

fn in_service(answer: &Value) -> String {
    let strategy = &answer["in_service"];
    format!(
        "in service: {} {} (generation {})",
        strategy["name"].as_str().unwrap_or("-"),
        strategy["version"].as_str().unwrap_or("-"),
        strategy["generation"]
    )
}

fn inspect(plugin: &str, output: Output) -> Result<()> {
    let runtime = Runtime::new(RuntimeConfig::default())?;
    let inspection = runtime.inspect(&read(plugin)?);
    print::print(&inspection, output, layout)?;
    anyhow::ensure!(inspection.error.is_none(), "{plugin} cannot be put in service; see the failed stage above");
    Ok(())
}

fn layout(inspection: &Inspection) -> String {
    let mut text = String::new();
    if let Some(known) = &inspection.description {
        text += &format!("{} {}: {}\ngoal: {}\n", known.name, known.version, known.summary, known.goal);
        text += &format!("reads: {}\nturns: {}\n", known.reads.join(", "), known.turns.join(", "));
        let parameters: Vec<Vec<String>> = known
            .parameters
            .iter()
            .map(|one| vec![one.name.clone(), one.default.clone(), one.unit.clone(), one.meaning.clone()])
            .collect();
        if !parameters.is_empty() {
            text += &format!("\n{}", table(&["PARAMETER", "DEFAULT", "UNIT", "MEANING"], &parameters));
        }
    }
    let form = if inspection.is_core_module { "core module, made a component" } else { "component" };
    text += &format!(
        "\n{}: {form}, {}, sha256 {}\n",
        inspection.plugin,
        bytes(inspection.file_bytes as f64),
        inspection.digest
    );
    if !inspection.imports.is_empty() {
        let names: Vec<&str> = inspection.imports.iter().map(|import| import.name.as_str()).collect();
        text += &format!("imports: {}\n", names.join(", "));
    }
    let stages: Vec<Vec<String>> = inspection
        .stages
        .iter()
        .map(|stage| {
            let verdict = if stage.is_passed { "pass" } else { "FAILED" };
            vec![
                stage.stage.name().to_owned(),
                verdict.to_owned(),
                number(stage.duration_us as f64 / 1_000.0),
                stage.detail.clone(),
            ]
        })
        .collect();
    text += &format!("\n{}", table(&["STAGE", "VERDICT", "MS", "DETAIL"], &stages));
    if let Some(error) = &inspection.error {
        text += &format!("\n{error}\n");
    }
    text
}

fn swap(plugin: &str, flags: &ClientFlags) -> Result<()> {
    let client = Client::new(flags);
    let answer = if std::path::Path::new(plugin).is_file() {
        let bytes = std::fs::read(plugin).with_context(|| format!("reading {plugin}"))?;
        let name = std::path::Path::new(plugin)
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let query: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
        client.post(&format!("/api/strategies?name={query}"), "application/wasm", &bytes)?
    } else {
        client.post("/api/strategies", "application/json", json!({ "name": plugin }).to_string().as_bytes())?
    };
    print::print(&answer, flags.output, in_service)
}
