//! `perfhost ab …`: starting, watching, stopping and reporting experiments of a running host.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use perfhost_strategy::Value as KnobValue;
use perfhost_strategy::experiment::Unit;
use serde_json::{Value, json};

use super::client::Client;
use super::plugin;
use super::print::{self, table};
use crate::cli::{AbCommand, ClientFlags, Output, ReportForm, StartFlags, UnitName};
use crate::service::experiments::{ArmRequest, FixedArm, SloRequest, StartRequest};

/// Between two looks of `ab status`.
const REFRESH: Duration = Duration::from_secs(1);

const JSON: &str = "application/json";

/// Runs one of the commands.
pub fn run(command: &AbCommand) -> Result<()> {
    match command {
        AbCommand::Start(flags) => start(flags),
        AbCommand::Status { id, once, client } => status(*id, *once, client),
        AbCommand::Stop { id, why, client } => stop(*id, why.as_deref(), client),
        AbCommand::Report { id, format, client } => report(*id, *format, client),
        AbCommand::List { limit, client } => list(*limit, client),
    }
}

fn start(flags: &StartFlags) -> Result<()> {
    let client = Client::new(&flags.client);
    let arms = flags.a.iter().chain(&flags.b).map(|arm| arm_request(arm, flags)).collect::<Result<Vec<_>>>()?;
    let milliseconds = |time: Option<u64>| time.map(|time| time as f64);
    let slo = SloRequest {
        ttft_ms: milliseconds(flags.slo_ttft),
        time_per_output_token_ms: milliseconds(flags.slo_token),
        response_ms: milliseconds(flags.slo_response),
        deadline_ms: flags.deadline,
    };
    let request = StartRequest {
        name: flags.name.clone(),
        arms,
        objective: flags.objective.clone(),
        guardrails: (!flags.guardrail.is_empty()).then(|| flags.guardrail.clone()),
        slo: (slo != SloRequest::default()).then_some(slo),
        unit: flags.unit.map(|unit| match unit {
            UnitName::Request => Unit::Request,
            UnitName::Session => Unit::Session,
            UnitName::User => Unit::User,
        }),
        max_duration_ms: flags.max_duration,
        error_bound: flags.error_bound,
        ramp: flags.no_ramp.then(Vec::new),
        holdout: flags.holdout,
        confirm_ms: flags.confirm,
        settling_ms: flags.settling,
        pace: flags.pace,
        ..StartRequest::default()
    };
    let started = client.post("/api/experiments", JSON, serde_json::to_string(&request)?.as_bytes())?;
    print::print(&started, flags.client.output, |started| {
        format!(
            "experiment {} started: {}\n{}\nwatch it with `perfhost ab status`",
            started["id"],
            started["name"].as_str().unwrap_or("-"),
            started["choice"]["reason"].as_str().unwrap_or("-")
        )
    })
}

/// `balanced`, `retries=3`, or `balanced retries=3`. A plugin file that is here is sent to the host.
fn arm_request(arm: &str, flags: &StartFlags) -> Result<ArmRequest> {
    let (mut strategy, mut set) = (None, BTreeMap::new());
    for word in arm.split_whitespace() {
        match word.split_once('=') {
            Some((knob, value)) => {
                set.insert(knob.to_owned(), knob_value(value));
            }
            None if strategy.is_none() => strategy = Some(plugin::offer(word, &flags.client)?),
            None => return Err(anyhow!("{arm:?} names two strategies; an arm has one")),
        }
    }
    match strategy {
        Some(strategy) if set.is_empty() => Ok(ArmRequest::Named(strategy)),
        strategy if !set.is_empty() => Ok(ArmRequest::Fixed(FixedArm { strategy, set })),
        _ => Err(anyhow!("an arm is empty; name a strategy, knobs such as retries=3, or both")),
    }
}

fn knob_value(text: &str) -> KnobValue {
    serde_json::from_str(text).unwrap_or_else(|_| KnobValue::Text(text.to_owned()))
}

fn status(id: Option<u64>, once: bool, flags: &ClientFlags) -> Result<()> {
    let client = Client::new(flags);
    let id = number(id, &client)?;
    let path = format!("/api/experiments/{id}");
    if flags.output == Output::Json {
        return print::print(&client.get(&path)?, Output::Json, |_| String::new());
    }
    let is_live = !once && std::io::stdout().is_terminal();
    loop {
        let text = client.text(&format!("{path}/report?format=text"))?;
        let is_over = client.get(&path)?["phase"] == "ended";
        if is_live {
            // From the top of an empty screen, in one write, so that nothing flickers.
            let _gone = write!(std::io::stdout(), "\x1b[H\x1b[2J{text}").and_then(|()| std::io::stdout().flush());
        } else {
            print::line(text.trim_end());
        }
        if is_over || !is_live {
            return Ok(());
        }
        std::thread::sleep(REFRESH);
    }
}

fn stop(id: Option<u64>, why: Option<&str>, flags: &ClientFlags) -> Result<()> {
    let client = Client::new(flags);
    let id = number(id, &client)?;
    let body = why.map_or(json!({}), |why| json!({ "why": why })).to_string();
    let stopped = client.post(&format!("/api/experiments/{id}/stop"), JSON, body.as_bytes())?;
    print::print(&stopped, flags.output, |stopped| {
        format!("experiment {id} stopped: {}", stopped["forecast"]["next"].as_str().unwrap_or("-"))
    })
}

fn report(id: Option<u64>, format: Option<ReportForm>, flags: &ClientFlags) -> Result<()> {
    let client = Client::new(flags);
    let id = number(id, &client)?;
    let format = match (format, flags.output) {
        (Some(ReportForm::Markdown), _) => "markdown",
        (Some(ReportForm::Html), _) => "html",
        (Some(ReportForm::Json), _) | (None, Output::Json) => "json",
        (Some(ReportForm::Text), _) | (None, Output::Table) => "text",
    };
    print::line(client.text(&format!("/api/experiments/{id}/report?format={format}"))?.trim_end());
    Ok(())
}

fn list(limit: u32, flags: &ClientFlags) -> Result<()> {
    let found = Client::new(flags).get(&format!("/api/experiments?limit={limit}"))?;
    print::print(&found, flags.output, layout)
}

fn layout(found: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let row = |one: &Value| {
        let started = one["started_ms"].as_u64().map_or("-".to_owned(), print::moment);
        vec![
            one["id"].to_string(),
            started,
            text(&one["name"]),
            text(&one["objective"]),
            text(&one["ending"]),
            text(&one["in_service"]),
        ]
    };
    let rows: Vec<_> = found["experiments"].as_array().into_iter().flatten().map(row).collect();
    let listed = table(&["id", "started", "arms", "objective", "ending", "in service"], &rows);
    match automatic(&found["automatic"]) {
        Some(automatic) => format!("{listed}\n{automatic}"),
        None => listed,
    }
}

/// What continuous mode has done, where it has done anything.
fn automatic(found: &Value) -> Option<String> {
    let experiments = found["experiments"].as_u64().filter(|experiments| *experiments > 0)?;
    let percent = |name: &str| found[name].as_f64().map_or("-".to_owned(), print::percent);
    Some(format!(
        "continuous mode: {experiments} experiments, {} promotions; over all of them at most {} of promotions are expected to be \
         false; the next one's error bound is {}",
        found["promotions"],
        percent("false_promotions_at_most"),
        percent("next_error_bound"),
    ))
}

/// The newest experiment where none is named.
fn number(id: Option<u64>, client: &Client) -> Result<u64> {
    if let Some(id) = id {
        return Ok(id);
    }
    let newest = client.get("/api/experiments?limit=1")?;
    newest["experiments"][0]["id"].as_u64().context("there is no experiment yet; begin one with `perfhost ab start`")
}
