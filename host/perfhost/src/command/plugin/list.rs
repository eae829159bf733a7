//! `perfhost plugin list`: the strategies of a running host, or the built-in ones.

use anyhow::{Context, Result};
use perfhost_wasm::{Runtime, RuntimeConfig};
use serde_json::{Value, json};

use crate::built_in;
use crate::cli::ClientFlags;
use crate::command::client::Client;
use crate::command::print::{self, table};
use crate::plugin_source::Intake;

pub(super) fn list(flags: &ClientFlags) -> Result<()> {
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
    let intake = Intake::of_command(None)?;
    let mut list = Vec::new();
    for (name, _) in built_in::BUILT_IN {
        let inspection = runtime.inspect(&intake.read(name, None)?.source);
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
