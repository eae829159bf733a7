//! `perfhost plugin history`: every generation that was in service, and what came of its time.

use anyhow::Result;
use serde_json::Value;

use crate::cli::ClientFlags;
use crate::command::client::Client;
use crate::command::print::{self, digest, duration, moment, number, table};

pub(super) fn history(limit: u32, flags: &ClientFlags) -> Result<()> {
    let history = Client::new(flags).get(&format!("/api/strategies/history?limit={limit}"))?;
    print::print(&history, flags.output, layout)
}

fn layout(answer: &Value) -> String {
    let rows: Vec<Vec<String>> = answer["generations"].as_array().into_iter().flatten().map(row).collect();
    let header = [
        "GENERATION",
        "STRATEGY",
        "DIGEST",
        "WHY",
        "FROM",
        "FOR",
        "PLANNED",
        "TURNED",
        "TAKEN BACK",
        "REQUESTS",
        "ERRORS",
        "P95 MS",
        "TTFT P95 MS",
        "TOKENS/S",
        "SOURCE",
    ];
    table(&header, &rows)
}

fn row(generation: &Value) -> Vec<String> {
    let text = |name: &str| generation[name].as_str().unwrap_or("-").to_owned();
    let at = |name: &str| generation[name].as_u64();
    let (from_ms, until_ms) = (at("from_ms").unwrap_or(0), at("to_ms").or(at("updated_ms")).unwrap_or(0));
    let served = duration(until_ms.saturating_sub(from_ms));
    let figures = &generation["figures"];
    let measured = |name: &str| figures[name].as_f64().filter(|value| *value > 0.0).map_or("-".to_owned(), number);
    let why = match generation["detail"].as_str() {
        Some(detail) => format!("{}: {detail}", text("why")),
        None => text("why"),
    };
    vec![
        generation["number"].to_string(),
        format!("{}@{}", text("name"), text("version")),
        digest(&text("digest")).to_owned(),
        why,
        moment(from_ms),
        if at("to_ms").is_none() { format!("{served}, in service") } else { served },
        generation["planning"]["calls"].to_string(),
        generation["decisions"]["applied"].to_string(),
        generation["decisions"]["rolled_back"].to_string(),
        figures["requests"].to_string(),
        figures["errors"].to_string(),
        measured("response_time_p95_ms"),
        measured("time_to_first_token_p95_ms"),
        measured("tokens_per_second"),
        text("source"),
    ]
}
