//! `perfhost metrics [provider]`: measurements of the last minute.

use anyhow::{Result, bail};
use serde_json::Value;

use super::client::Client;
use super::print::{self, number, table};
use crate::cli::{ClientFlags, Export, Output};

/// Asks and prints.
pub fn run(provider: Option<&str>, export: Option<Export>, flags: &ClientFlags) -> Result<()> {
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
    match export {
        None => print::print(&current, flags.output, layout),
        Some(Export::Json) => print::print(&current, Output::Json, layout),
        Some(Export::Csv) => {
            print::line(csv(&current).trim_end());
            Ok(())
        }
        Some(Export::Markdown) => {
            print::line(markdown(&current).trim_end());
            Ok(())
        }
    }
}

/// Columns of an export. The scope is empty for the whole host.
const COLUMNS: [&str; 11] =
    ["scope", "metric", "unit", "window_ms", "count", "mean", "min", "p50", "p95", "p99", "max"];

/// Every metric of the answer as the texts of [`COLUMNS`], numbers in full.
fn exported(current: &Value) -> impl Iterator<Item = Vec<String>> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    current["metrics"].as_array().into_iter().flatten().map(move |metric| {
        let of_metric = ["scope", "name", "unit", "window_ms"].map(|name| text(&metric[name]));
        let of_summary = COLUMNS[4..].iter().map(|name| text(&metric["summary"][*name]));
        of_metric.into_iter().chain(of_summary).collect()
    })
}

/// As RFC 4180 has it, with plain line feeds.
fn csv(current: &Value) -> String {
    let cell = |text: &String| match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.clone(),
    };
    let mut lines = format!("{}\n", COLUMNS.join(","));
    for row in exported(current) {
        lines += &format!("{}\n", row.iter().map(cell).collect::<Vec<_>>().join(","));
    }
    lines
}

fn markdown(current: &Value) -> String {
    let mut lines = format!("| {} |\n|{}\n", COLUMNS.join(" | "), "---|".repeat(COLUMNS.len()));
    for row in exported(current) {
        let cells: Vec<String> = row.iter().map(|text| text.replace('|', "\\|").replace('\n', " ")).collect();
        lines += &format!("| {} |\n", cells.join(" | "));
    }
    lines
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn current() -> Value {
        json!({ "metrics": [{
            "scope": "a,\"b\"|c", "name": "response_time_ms", "unit": "ms", "window_ms": 60_000,
            "summary": { "count": 2, "mean": 1.25, "min": 1.0, "p50": 1.0, "p95": 1.5, "p99": 1.5, "max": 1.5 },
        }] })
    }

    #[test]
    fn an_export_holds_every_figure_and_escapes_names() {
        assert_eq!(
            csv(&current()),
            "scope,metric,unit,window_ms,count,mean,min,p50,p95,p99,max\n\
             \"a,\"\"b\"\"|c\",response_time_ms,ms,60000,2,1.25,1.0,1.0,1.5,1.5,1.5\n"
        );
        let markdown = markdown(&current());
        assert!(
            markdown.ends_with(
                "| a,\"b\"\\|c | response_time_ms | ms | 60000 | 2 | 1.25 | 1.0 | 1.0 | 1.5 | 1.5 | 1.5 |\n"
            )
        );
    }
}
