//! `perfhost plugin swap|rollback`: which strategy a running host has in service.

use anyhow::Result;
use serde_json::Value;

use super::send::send;
use crate::cli::ClientFlags;
use crate::command::client::Client;
use crate::command::print;

pub(super) fn swap(plugin: &str, is_upload: bool, flags: &ClientFlags) -> Result<()> {
    print::print(&send(plugin, is_upload, flags)?, flags.output, in_service)
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
