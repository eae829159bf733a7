//! `perfhost plugin list`: the strategies of a running host, or the built-in ones.

use anyhow::{Context, Result};
use perfhost_wasm::{Runtime, RuntimeConfig};
use serde_json::{Value, json};

use crate::built_in;
use crate::cli::ClientFlags;
use crate::command::client::Client;
use crate::command::plugin_file::read;
use crate::command::print::{self, digest, moment, table};

const HEADER: &[&str] = &["STATE", "NAME", "VERSION", "DIGEST", "WORLD", "SOURCE", "SUMMARY"];

/// The column of the digest.
const DIGEST: usize = 3;

pub(super) fn list(flags: &ClientFlags) -> Result<()> {
    let client = Client::new(flags);
    match client.get("/api/strategies") {
        Ok(answer) => print::print(&answer, flags.output, layout),
        Err(error) if error.to_string().starts_with("no perfhost is running") => {
            let loaded = offline()?;
            print::print(&json!({ "built_in": loaded }), flags.output, |answer| {
                let rows: Vec<_> =
                    answer["built_in"].as_array().into_iter().flatten().map(|one| row("built in", one)).collect();
                table(HEADER, &rows)
            })
        }
        Err(error) => Err(error),
    }
}

/// What a running host has: in service, at hand, kept as a file only, and what it refused last.
fn layout(answer: &Value) -> String {
    let list = |name: &str| answer[name].as_array().into_iter().flatten();
    let demoted = &answer["in_service"]["planning"]["demoted_because"];
    let state = if demoted.is_null() { "in service" } else { "in service, tuning only" };
    let mut rows = vec![row(state, &answer["in_service"])];
    rows.extend(list("at_hand").map(|one| row("at hand", one)));
    if !answer["retired"].is_null() {
        rows.push(row("retired", &answer["retired"]["strategy"]));
    }
    let shown: Vec<String> = rows.iter().map(|row| row[DIGEST].clone()).collect();
    let is_kept_only = |one: &&Value| !shown.contains(&digest(one["digest"].as_str().unwrap_or("-")).to_owned());
    rows.extend(list("kept").filter(is_kept_only).map(|one| row("kept", one)));
    let mut text = table(HEADER, &rows);
    if let Some(why) = demoted.as_str() {
        text += &format!("tuning only: {why}\n");
    }
    for file in list("watched").filter_map(Value::as_str) {
        text += &format!("watching {file}\n");
    }
    let refused = &answer["last_refused"];
    if let (Some(at_ms), Some(reason)) = (refused["at_ms"].as_u64(), refused["reason"].as_str()) {
        text += &format!("last refused, {}: {reason}\n", moment(at_ms));
    }
    if let Some(cause) = answer["retired"]["cause"].as_str() {
        let retry_at_ms = answer["retired"]["retry_at_ms"].as_u64().unwrap_or(0);
        text += &format!("retired: {cause}; tried again at {}\n", moment(retry_at_ms));
    }
    text
}

/// The built-in strategies, each loaded and asked what it is.
fn offline() -> Result<Vec<Value>> {
    let runtime = Runtime::new(RuntimeConfig::default())?;
    let mut list = Vec::new();
    for (name, _) in built_in::BUILT_IN {
        let inspection = runtime.inspect(&read(name, None)?);
        let description = inspection.description.as_ref().with_context(|| format!("{name} does not load"))?;
        list.push(json!({
            "name": description.name, "version": description.version, "world": inspection.world,
            "digest": inspection.digest, "source": "built-in", "summary": description.summary,
        }));
    }
    Ok(list)
}

fn row(state: &str, strategy: &Value) -> Vec<String> {
    let text = |name: &str| strategy[name].as_str().unwrap_or("-").to_owned();
    let digits = digest(strategy["digest"].as_str().unwrap_or("-")).to_owned();
    vec![state.to_owned(), text("name"), text("version"), digits, text("world"), text("source"), text("summary")]
}
