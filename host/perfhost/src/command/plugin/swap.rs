//! `perfhost plugin load|swap|rollback`: which strategies a running host has, and which of them is in service.

use anyhow::Result;
use serde_json::{Value, json};

use super::send::send;
use crate::cli::ClientFlags;
use crate::command::client::Client;
use crate::command::print;

pub(super) fn swap(plugin: &str, is_upload: bool, flags: &ClientFlags) -> Result<()> {
    print::print(&send(plugin, is_upload, true, flags)?, flags.output, in_service)
}

pub(super) fn load(plugin: &str, is_upload: bool, flags: &ClientFlags) -> Result<()> {
    print::print(&send(plugin, is_upload, false, flags)?, flags.output, |answer| {
        let strategy = &answer["at_hand"];
        format!("at hand: {}; put it in service with `perfhost plugin swap {}`", name(strategy), digits(strategy))
    })
}

pub(super) fn rollback(to: Option<u64>, flags: &ClientFlags) -> Result<()> {
    let body = to.map_or(json!({}), |generation| json!({ "to": generation }));
    let answer =
        Client::new(flags).post("/api/strategies/rollback", "application/json", body.to_string().as_bytes())?;
    print::print(&answer, flags.output, in_service)
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
