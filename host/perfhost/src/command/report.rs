//! `perfhost report`: a day or a week of a running host, with what to do about it.

use std::path::Path;

use anyhow::{Context, Result};
use perfhost_analysis::report::Report;

use super::client::Client;
use super::print;
use crate::cli::{ClientFlags, Output, ReportFormat, ReportPeriod};

/// Asks, and prints or writes to `file`. `--output json` is the report as the API gives it.
pub fn run(period: ReportPeriod, format: ReportFormat, file: Option<&Path>, flags: &ClientFlags) -> Result<()> {
    let path = match period {
        ReportPeriod::Daily => "/api/analysis/reports/daily",
        ReportPeriod::Weekly => "/api/analysis/reports/weekly",
    };
    let answer = Client::new(flags).get(path)?;
    let text = match flags.output {
        Output::Json => serde_json::to_string_pretty(&answer)?,
        Output::Table => {
            let report: Report = serde_json::from_value(answer).context("reading the report")?;
            match format {
                ReportFormat::Markdown => report.markdown(),
                ReportFormat::Html => report.html(),
            }
        }
    };
    match file {
        Some(file) => std::fs::write(file, text).with_context(|| format!("writing {}", file.display())),
        None => {
            print::line(text.trim_end());
            Ok(())
        }
    }
}
