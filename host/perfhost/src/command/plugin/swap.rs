//! `perfhost plugin load|swap|rollback`: which strategies a running host has, and which of them is in service.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::cli::ClientFlags;
use crate::command::client::Client;
use crate::command::print;

const JSON: &str = "application/json";

pub(super) fn swap(plugin: &str, flags: &ClientFlags) -> Result<()> {
    print::print(&send(plugin, "", flags)?, flags.output, in_service)
}

pub(super) fn load(plugin: &str, flags: &ClientFlags) -> Result<()> {
    print::print(&send(plugin, "in_service=false", flags)?, flags.output, |answer| {
        let strategy = &answer["at_hand"];
        format!("at hand: {}; put it in service with `perfhost plugin swap {}`", name(strategy), digits(strategy))
    })
}

pub(super) fn rollback(to: Option<u64>, flags: &ClientFlags) -> Result<()> {
    let body = to.map_or(json!({}), |generation| json!({ "to": generation }));
    let answer = Client::new(flags).post("/api/strategies/rollback", JSON, body.to_string().as_bytes())?;
    print::print(&answer, flags.output, in_service)
}

/// Makes sure that the host has a strategy; what it is called there. A file that is here is sent.
pub(super) fn offer(plugin: &str, flags: &ClientFlags) -> Result<String> {
    if !Path::new(plugin).is_file() {
        return Ok(plugin.to_owned());
    }
    let answer = send(plugin, "in_service=false", flags)?;
    let digest = answer["at_hand"]["digest"].as_str().context("the host did not say what it took")?;
    Ok(digest.to_owned())
}

/// Sends a file that is here, or the name of something that the host has.
fn send(plugin: &str, query: &str, flags: &ClientFlags) -> Result<Value> {
    let client = Client::new(flags);
    let path = Path::new(plugin);
    if !path.is_file() {
        return client.post(
            &format!("/api/strategies?{query}"),
            JSON,
            json!({ "name": plugin }).to_string().as_bytes(),
        );
    }
    let bytes = std::fs::read(path).with_context(|| format!("reading {plugin}"))?;
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name: String =
        file.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
    client.post(&format!("/api/strategies?name={name}&{query}"), "application/wasm", &bytes)
}

fn in_service(answer: &Value) -> String {
    let strategy = &answer["in_service"];
    format!("in service: {} (generation {}, digest {})", name(strategy), strategy["generation"], digits(strategy))
}

fn name(strategy: &Value) -> String {
    let text = |name: &str| strategy[name].as_str().unwrap_or("-").to_owned();
    format!("{} {}", text("name"), text("version"))
}

fn digits(strategy: &Value) -> String {
    print::digest(strategy["digest"].as_str().unwrap_or("-")).to_owned()
}
