//! `perfhost decisions`: what strategies asked for, the guard's verdicts, and what came of them.

use anyhow::Result;
use serde_json::Value;

use super::client::Client;
use super::print::{self, number, table};
use crate::cli::ClientFlags;

/// Asks and prints.
pub fn run(limit: u32, flags: &ClientFlags) -> Result<()> {
    let decisions = Client::new(flags).get(&format!("/api/decisions?limit={limit}"))?;
    print::print(&decisions, flags.output, layout)
}

fn layout(answer: &Value) -> String {
    let plain = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let rows: Vec<Vec<String>> = answer["decisions"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|decision| {
            let proposal = &decision["proposal"];
            let expected = proposal["expected"].as_object().map_or("-".to_owned(), |effect| {
                let ratio = effect.get("ratio").and_then(Value::as_f64).unwrap_or(0.0);
                format!("{} x{}", effect.get("metric").map(plain).unwrap_or_default(), number(ratio))
            });
            let measured = decision["measured"].as_object().map_or("-".to_owned(), |measured| {
                let of = |name: &str| number(measured.get(name).and_then(Value::as_f64).unwrap_or(0.0));
                format!("{} {} -> {}", measured.get("metric").map(plain).unwrap_or_default(), of("before"), of("after"))
            });
            let scope = plain(&proposal["scope"]);
            vec![
                decision["id"].to_string(),
                plain(&decision["strategy"]),
                if scope.is_empty() { "host".to_owned() } else { scope },
                plain(&proposal["name"]),
                format!("{} -> {}", plain(&decision["before"]), plain(&proposal["value"])),
                plain(&decision["verdict"]),
                expected,
                measured,
                plain(&decision["detail"]),
            ]
        })
        .collect();
    table(&["ID", "STRATEGY", "SCOPE", "KNOB", "CHANGE", "VERDICT", "EXPECTED", "MEASURED", "WHY"], &rows)
}
