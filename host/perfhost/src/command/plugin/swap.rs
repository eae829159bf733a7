//! `perfhost plugin swap|rollback`: which strategy a running host has in service.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::cli::ClientFlags;
use crate::command::client::Client;
use crate::command::print;

pub(super) fn swap(plugin: &str, flags: &ClientFlags) -> Result<()> {
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

pub(super) fn rollback(flags: &ClientFlags) -> Result<()> {
    let answer = Client::new(flags).post("/api/strategies/rollback", "application/json", b"{}")?;
    print::print(&answer, flags.output, in_service)
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
