//! Parts of a frame as lines: strategy, providers, knobs, decisions, keys; and how figures are written in them.

use serde_json::Value;

use crate::command::print::{bytes, moment, number, plain_line, table};

/// How a line is shown, where the terminal can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Head,
    Title,
    Plain,
    Quiet,
    Good,
    Warn,
    Bad,
}

/// One line of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) tone: Tone,
}

impl Line {
    pub(super) fn new(tone: Tone, text: String) -> Self {
        Self { text: plain_line(&text).into_owned(), tone }
    }
}

pub(super) fn strategy(strategy: &Value) -> Vec<Line> {
    let planning = &strategy["planning"];
    let mut lines = vec![Line::new(
        Tone::Title,
        format!("{} {}: {}", text(&strategy["name"]), text(&strategy["version"]), text(&strategy["goal"])),
    )];
    let plans = format!("{} plans, mean {} us", planning["calls"], number(planning["mean_us"].as_f64().unwrap_or(0.0)));
    lines.push(match planning["demoted_because"].as_str() {
        None => Line::new(Tone::Quiet, plans),
        Some(why) => Line::new(Tone::Warn, format!("{plans}; tunes knobs only: {why}")),
    });
    lines
}

pub(super) fn providers(status: &Value) -> Vec<Line> {
    let rows = list(&status["providers"], |one| {
        let some =
            |name: &str, write: fn(Option<f64>) -> String| write(one[name].as_f64().filter(|value| *value > 0.0));
        let models = one["models"].as_array().into_iter().flatten().map(text).collect::<Vec<_>>().join(", ");
        vec![
            text(&one["name"]),
            text(&one["kind"]),
            text(&one["health"]),
            one["in_flight"].to_string(),
            one["queued"].to_string(),
            some("latency_p50_ms", millis),
            some("ttft_p50_ms", millis),
            some("tokens_per_second", |value| value.map_or("-".to_owned(), number)),
            percent(one["error_rate"].as_f64()),
            models,
        ]
    });
    let header =
        ["PROVIDER", "KIND", "HEALTH", "UNDER WAY", "WAITING", "P50", "FIRST TOKEN", "TOKENS/S", "ERRORS", "MODELS"];
    let mut lines = tabled(&header, &rows);
    let engine = &status["engine"];
    if engine.is_object() {
        let memory = engine["last_error"].as_str().map(|error| format!("; last error: {error}")).unwrap_or_default();
        lines.push(Line::new(
            if memory.is_empty() { Tone::Quiet } else { Tone::Bad },
            format!(
                "engine of {}: {}, {} of {} slots busy, {} restarts{memory}",
                text(&engine["provider"]),
                text(&engine["phase"]),
                engine["metrics"]["slots_busy"].as_u64().map_or("-".to_owned(), |busy| busy.to_string()),
                engine["settings"]["slots"],
                engine["restarts"],
            ),
        ));
    }
    lines
}

pub(super) fn knobs(knobs: &Value) -> Vec<Line> {
    let rows = list(knobs, |one| {
        let is_turned = one["value"] != one["default"];
        let scope = text(&one["scope"]);
        vec![
            if scope.is_empty() { "host".to_owned() } else { scope },
            text(&one["name"]),
            plain(&one["value"], &one["unit"]),
            plain(&one["default"], &one["unit"]),
            if is_turned { "turned" } else { "" }.to_owned(),
            if one["reload"] == true { "restarts the engine" } else { "at once" }.to_owned(),
        ]
    });
    tabled(&["SCOPE", "KNOB", "VALUE", "DEFAULT", "", "EFFECT"], &rows)
}

pub(super) fn decisions(decisions: &Value) -> Vec<Line> {
    let rows = list(decisions, |one| {
        let proposal = &one["proposal"];
        let scope = text(&proposal["scope"]);
        let place = if scope.is_empty() { String::new() } else { format!("@{scope}") };
        let to = if one["applied"].is_null() { &proposal["value"] } else { &one["applied"] };
        vec![
            moment(one["at_ms"].as_u64().unwrap_or(0)).chars().skip(11).collect(),
            text(&one["verdict"]),
            format!("{}{place}", text(&proposal["name"])),
            format!("{} -> {}", plain(&one["before"], &Value::Null), plain(to, &Value::Null)),
            text(&proposal["reason"]),
        ]
    });
    tabled(&["WHEN", "VERDICT", "KNOB", "CHANGE", "WHY"], &rows)
}

pub(super) fn help() -> Vec<Line> {
    [
        "1 2 3 4, Tab, arrows left and right   choose a view",
        "arrows up and down, PgUp, PgDn, Home  scroll",
        "p or space                            pause",
        "?                                     this help",
        "q, Esc, Ctrl-C                        quit",
    ]
    .into_iter()
    .map(|text| Line::new(Tone::Plain, text.to_owned()))
    .collect()
}

pub(super) fn titled(title: &str, body: Vec<Line>) -> Vec<Line> {
    let mut lines = vec![Line::new(Tone::Title, title.to_owned())];
    lines.extend(body);
    lines
}

fn tabled(header: &[&str], rows: &[Vec<String>]) -> Vec<Line> {
    let text = table(header, rows);
    let lines = text.lines().enumerate();
    lines.map(|(at, line)| Line::new(if at == 0 { Tone::Quiet } else { Tone::Plain }, line.to_owned())).collect()
}

fn list(values: &Value, row: impl Fn(&Value) -> Vec<String>) -> Vec<Vec<String>> {
    values.as_array().into_iter().flatten().map(row).collect()
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or("-").to_owned()
}

/// A knob's value with its unit.
fn plain(value: &Value, unit: &Value) -> String {
    match (value, unit.as_str()) {
        (Value::Number(count), Some("bytes")) => bytes(count.as_f64().unwrap_or(0.0)),
        (Value::Number(count), Some("ms")) => millis(count.as_f64()),
        (Value::String(word), _) => word.clone(),
        (Value::Null, _) => "-".to_owned(),
        (other, _) => other.to_string(),
    }
}

pub(super) fn millis(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(ms) if ms >= 1_000.0 => format!("{:.2} s", ms / 1_000.0),
        Some(ms) => format!("{} ms", number(ms)),
    }
}

pub(super) fn percent(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{:.1} %", value * 100.0))
}

pub(super) fn unit(value: Option<f64>, unit: &str) -> String {
    value.map_or("-".to_owned(), |value| format!("{} {unit}", number(value)))
}

pub(super) fn share(part: &Value, whole: &Value) -> Option<f64> {
    let (part, whole) = (part.as_f64()?, whole.as_f64()?);
    (whole > 0.0).then(|| part / whole)
}
