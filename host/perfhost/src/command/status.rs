//! `perfhost status`: how a running host stands, in a screenful.

use anyhow::Result;
use serde_json::Value;

use super::client::Client;
use super::print::{self, number, table};
use crate::cli::ClientFlags;

/// Asks and prints.
pub fn run(flags: &ClientFlags) -> Result<()> {
    let status = Client::new(flags).get("/api/system/status")?;
    print::print(&status, flags.output, layout)
}

fn layout(status: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let strategy = &status["strategy"];
    let planning = &strategy["planning"];
    let admission = &status["admission"];
    let mut lines = format!(
        "perfhost {} on {}: {}, up {} s\n",
        text(&status["version"]),
        text(&status["listen"]),
        text(&status["status"]),
        status["uptime_s"],
    );
    lines += &format!(
        "strategy {} {} (generation {}): {}\n",
        text(&strategy["name"]),
        text(&strategy["version"]),
        strategy["generation"],
        text(&strategy["goal"]),
    );
    let demoted = planning["demoted_because"].as_str();
    lines += &format!(
        "  plans: {} calls, mean {} us, {} failed, {} over budget{}\n",
        planning["calls"],
        number(planning["mean_us"].as_f64().unwrap_or(0.0)),
        planning["failures"],
        planning["overruns"],
        demoted.map(|why| format!("\n  tuning only: {why}")).unwrap_or_default(),
    );
    lines += &format!(
        "requests: {} under way (limit {}), {} waiting\n",
        admission["in_flight"], admission["limit"], admission["queued"]
    );
    if let Some(engine) = status["engine"].as_object() {
        lines += &format!(
            "engine: {}, {} slots, {} restarts{}\n",
            engine.get("phase").map(text).unwrap_or_default(),
            engine.get("settings").map_or(&Value::Null, |settings| &settings["slots"]),
            engine.get("restarts").unwrap_or(&Value::Null),
            engine
                .get("last_error")
                .and_then(Value::as_str)
                .map(|error| format!("; last error: {error}"))
                .unwrap_or_default(),
        );
    }
    if status["is_recording"] == false {
        lines += "telemetry: off; requests are not recorded, so nothing is tuned or compared\n";
    }
    let alerts = &status["alerts"];
    if alerts["firing"].as_u64().unwrap_or(0) > 0 {
        let rules: Vec<&str> = alerts["rules"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        lines += &format!(
            "alerts: {} firing ({} critical, {} acknowledged): {}; see `perfhost alerts`\n",
            alerts["firing"],
            alerts["critical"],
            alerts["acknowledged"],
            rules.join(", ")
        );
    }
    let rows: Vec<Vec<String>> = status["providers"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|provider| {
            let models = provider["models"].as_array().map_or(0, Vec::len);
            vec![
                text(&provider["name"]),
                text(&provider["kind"]),
                text(&provider["health"]),
                text(&provider["endpoint"]),
                provider["in_flight"].to_string(),
                provider["queued"].to_string(),
                models.to_string(),
            ]
        })
        .collect();
    lines.push('\n');
    lines + &table(&["PROVIDER", "KIND", "HEALTH", "ENDPOINT", "IN FLIGHT", "QUEUED", "MODELS"], &rows)
}
