//! `perfhost metrics [provider]`: measurements of the last minute.

use anyhow::{Result, bail};
use serde_json::Value;

use super::client::Client;
use super::print::{self, number, table};
use crate::cli::ClientFlags;

/// Asks and prints.
pub fn run(provider: Option<&str>, flags: &ClientFlags) -> Result<()> {
    let mut current = Client::new(flags).get("/api/metrics/current?window=60s")?;
    if let Some(provider) = provider
        && let Some(metrics) = current["metrics"].as_array_mut()
    {
        let is_of =
            |scope: &str| scope == provider || scope.strip_prefix(provider).is_some_and(|rest| rest.starts_with('/'));
        metrics.retain(|metric| metric["scope"].as_str().is_some_and(is_of));
        if metrics.is_empty() {
            bail!("nothing was measured for {provider:?} in the last minute; `perfhost status` lists the providers");
        }
    }
    print::print(&current, flags.output, layout)
}

fn layout(current: &Value) -> String {
    let rows: Vec<Vec<String>> = current["metrics"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|metric| metric["summary"]["count"].as_u64().unwrap_or(0) > 0)
        .map(|metric| {
            let summary = &metric["summary"];
            let value = |name: &str| number(summary[name].as_f64().unwrap_or(0.0));
            let scope = metric["scope"].as_str().filter(|scope| !scope.is_empty()).unwrap_or("host");
            vec![
                scope.to_owned(),
                metric["name"].as_str().unwrap_or("-").to_owned(),
                metric["unit"].as_str().unwrap_or("-").to_owned(),
                summary["count"].to_string(),
                value("mean"),
                value("min"),
                value("p50"),
                value("p95"),
                value("p99"),
                value("max"),
            ]
        })
        .collect();
    table(&["SCOPE", "METRIC", "UNIT", "COUNT", "MEAN", "MIN", "P50", "P95", "P99", "MAX"], &rows)
}
