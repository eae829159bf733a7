//! `perfhost model …`: what can be pulled, what is here, and which variant to run.

use anyhow::{Context, Result, anyhow};
use perfhost_strategy::advice::Choice;
use perfhost_telemetry::ResourceSampler;
use perfhost_upstream::model::{self, LocalModel};
use perfhost_wasm::{NoHistory, Runtime, RuntimeConfig};
use serde_json::{Value, json};

use super::library::{Bar, Folders, folders, index_url, pull_options};
use super::print::{self, bytes, number, table};
use crate::cli::{LibraryFlags, ModelCommand};
use crate::command::plugin_file::read;

/// The built-in strategy that gives advice.
const ADVISOR: &str = "quantization-advisor";

/// Runs one of the commands.
pub fn run(command: &ModelCommand) -> Result<()> {
    match command {
        ModelCommand::List(flags) => list(flags),
        ModelCommand::Pull { model, sha256, library } => pull(model, sha256.as_deref(), library),
        ModelCommand::Show { model, library } => show(model, library),
        ModelCommand::Advise { context, parallel, library } => advise(*context, *parallel, library),
    }
}

fn list(flags: &LibraryFlags) -> Result<()> {
    let folders = folders(flags)?;
    let here = model::list(&folders.models)?;
    let known = model::catalogue();
    let mut models: Vec<Value> = known
        .iter()
        .map(|entry| {
            let local = here.iter().find(|local| local.name == entry.name);
            json!({
                "name": entry.name, "quantization": entry.quantization, "is_here": local.is_some(),
                "size_bytes": local.map(|local| local.size_bytes).or(entry.size_bytes), "description": entry.description,
            })
        })
        .collect();
    models.extend(here.iter().filter(|local| known.iter().all(|entry| entry.name != local.name)).map(|local| {
        json!({
            "name": local.name, "quantization": local.header.as_ref().and_then(|header| header.quantization),
            "is_here": true, "size_bytes": local.size_bytes, "description": "",
        })
    }));
    print::print(&json!({ "models": models, "folder": folders.models }), flags.output, |answer| {
        let rows: Vec<Vec<String>> = answer["models"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| {
                vec![
                    one["name"].as_str().unwrap_or("-").to_owned(),
                    if one["is_here"] == true { "here" } else { "can be pulled" }.to_owned(),
                    one["quantization"].as_str().unwrap_or("-").to_owned(),
                    one["size_bytes"].as_f64().map_or("-".to_owned(), bytes),
                    one["description"].as_str().unwrap_or("").to_owned(),
                ]
            })
            .collect();
        table(&["MODEL", "STATE", "QUANTIZATION", "SIZE", "DESCRIPTION"], &rows)
    })
}

fn pull(name: &str, sha256: Option<&str>, flags: &LibraryFlags) -> Result<()> {
    let folders = folders(flags)?;
    let mut bar = Bar::default();
    let index = index_url();
    let path =
        model::pull_with(name, &folders.models, pull_options(&index, sha256), &mut |progress| bar.show(&progress))
            .with_context(|| format!("pulling {name}"))?;
    bar.done();
    print::print(&json!({ "model": name, "path": path }), flags.output, |_| format!("{name} is at {}", path.display()))
}

fn show(name: &str, flags: &LibraryFlags) -> Result<()> {
    let folders = folders(flags)?;
    let details = model::show(name, &folders.models).ok_or_else(|| unknown(name, &folders))?;
    let value = serde_json::to_value(&details)?;
    print::print(&value, flags.output, |value| {
        let mut rows = Vec::new();
        for (part, inner) in value.as_object().into_iter().flatten() {
            for (key, figure) in inner.as_object().into_iter().flatten() {
                match figure {
                    Value::Object(header) => {
                        rows.extend(header.iter().map(|(name, figure)| vec![format!("{part}.{name}"), plain(figure)]));
                    }
                    other => rows.push(vec![format!("{part}.{key}"), plain(other)]),
                }
            }
        }
        table(&["FACT", "VALUE"], &rows)
    })
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn unknown(name: &str, folders: &Folders) -> anyhow::Error {
    anyhow!(
        "{name:?} is neither in the catalogue nor in {}; `perfhost model list` shows both",
        folders.models.display()
    )
}

fn advise(context: u32, parallel: u32, flags: &LibraryFlags) -> Result<()> {
    let folders = folders(flags)?;
    let choices: Vec<Choice> = model::list(&folders.models)?.iter().filter_map(choice).collect();
    anyhow::ensure!(
        !choices.is_empty(),
        "no model is in {}; fetch one with `perfhost model pull NAME`",
        folders.models.display()
    );
    let hardware = ResourceSampler::new().hardware();
    let advisor =
        Runtime::new(RuntimeConfig::default())?.load(&read(ADVISOR, None)?, std::sync::Arc::new(NoHistory))?;
    let advice = advisor.advise(&hardware, context, parallel, &choices).context("asking the advisor")?;
    let value = json!({ "context_tokens": context, "parallel": parallel, "advice": advice });
    print::print(&value, flags.output, |_| {
        let rows: Vec<Vec<String>> = advice
            .iter()
            .map(|one| {
                vec![
                    one.model.clone(),
                    one.variant_name.clone(),
                    one.kv_type.clone(),
                    number(one.confidence),
                    one.reason.clone(),
                ]
            })
            .collect();
        table(&["MODEL", "VARIANT", "KV CACHE", "CONFIDENCE", "WHY"], &rows)
    })
}

/// What the advisor can be told of a model file. Files without a readable header are left out.
fn choice(local: &LocalModel) -> Option<Choice> {
    let header = local.header.as_ref()?;
    let quantization = header.quantization?;
    Some(Choice {
        model: header.name.clone().unwrap_or_else(|| local.name.clone()),
        variant_name: quantization.to_owned(),
        bits_per_weight: model::bits_per_weight(quantization)?,
        size_bytes: local.size_bytes,
        kv_bytes_per_token: header.kv_numbers_per_token * 2,
        tokens_per_second: None,
        quality_loss: None,
        is_loaded: false,
    })
}
