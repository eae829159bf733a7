//! One frame of `perfhost top`: lines that fit the width and the height. Owns the layout only; [`super::sections`] has what is in it.

use serde_json::Value;

use super::sections::{
    Line, Tone, decisions, help, knobs, millis, percent, providers, share, strategy, text, titled, unit,
};
use super::watch::Reading;
use crate::command::plot::{Canvas, Chart};
use crate::command::print::{duration, number};

/// Lines that a list can be scrolled by at most.
pub(super) const MOST_SCROLL: usize = 500;

/// What is drawn over time: key, metric, figure.
pub(super) const DRAWN: [(&str, &str, &str); 10] = [
    ("response", "response_time_ms", "p95"),
    ("first token", "time_to_first_token_ms", "p95"),
    ("tokens", "tokens_per_second", "mean"),
    ("requests", "requests_per_second", "mean"),
    ("errors", "error_rate", "mean"),
    ("queue", "queue_length", "max"),
    ("cache", "cache_hit_rate", "mean"),
    ("cpu", "cpu_usage", "mean"),
    ("gpu", "gpu_usage", "mean"),
    ("gpu memory", "gpu_memory_usage", "mean"),
];

const SPARK_WIDTH: usize = 24;
const CHART_HEIGHT: usize = 8;

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    Overview,
    Providers,
    Knobs,
    Decisions,
}

/// Everything that a frame depends on.
pub(super) struct Frame<'a> {
    pub(super) canvas: Canvas,
    pub(super) height: usize,
    pub(super) reading: Option<&'a Reading>,
    /// Why there is no newer reading.
    pub(super) trouble: Option<&'a str>,
    pub(super) view: View,
    pub(super) scroll: usize,
    pub(super) is_paused: bool,
    pub(super) shows_help: bool,
}

impl View {
    const ALL: [(View, &'static str); 4] = [
        (View::Overview, "1 Overview"),
        (View::Providers, "2 Providers"),
        (View::Knobs, "3 Knobs"),
        (View::Decisions, "4 Decisions"),
    ];

    pub(super) fn next(self) -> Self {
        Self::ALL[(self as usize + 1) % Self::ALL.len()].0
    }

    pub(super) fn previous(self) -> Self {
        Self::ALL[(self as usize + Self::ALL.len() - 1) % Self::ALL.len()].0
    }
}

impl<'a> Frame<'a> {
    /// An overview without a reading.
    pub(super) fn new(canvas: Canvas, height: usize) -> Self {
        Self {
            canvas,
            height,
            reading: None,
            trouble: None,
            view: View::Overview,
            scroll: 0,
            is_paused: false,
            shows_help: false,
        }
    }

    /// The frame, no wider and no higher than allowed.
    pub(super) fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        if let Some(reading) = self.reading {
            self.head(reading, &mut lines);
            let body = if self.shows_help { help() } else { self.body(reading) };
            let last = body.len().saturating_sub(self.height.saturating_sub(lines.len()));
            lines.extend(body.into_iter().skip(self.scroll.min(last)));
        }
        lines.truncate(self.height);
        for line in &mut lines {
            line.text = line.text.chars().take(self.canvas.width).collect::<String>();
            if line.tone == Tone::Head {
                line.text = format!("{:width$}", line.text, width = self.canvas.width);
            }
        }
        lines
    }

    /// Lines that its list can be scrolled by until its end shows.
    pub(super) fn last_scroll(&self) -> usize {
        let Some(reading) = self.reading else { return 0 };
        let mut head = Vec::new();
        self.head(reading, &mut head);
        self.body(reading).len().saturating_sub(self.height.saturating_sub(head.len())).min(MOST_SCROLL)
    }

    fn head(&self, reading: &Reading, lines: &mut Vec<Line>) {
        let status = &reading.figures["status"];
        let uptime = duration(status["uptime_s"].as_u64().unwrap_or(0) * 1_000);
        lines.push(Line::new(
            Tone::Head,
            format!(
                " perfhost {} on {}: {}, up {uptime}",
                text(&status["version"]),
                text(&status["listen"]),
                text(&status["status"])
            ),
        ));
        let tab =
            |(view, name): &(View, &str)| if *view == self.view { format!("[{name}]") } else { format!(" {name} ") };
        let tabs: String = View::ALL.iter().map(tab).collect::<Vec<_>>().join(" ");
        let state = if self.is_paused { "paused" } else { "? keys, q quits" };
        let gap = self.canvas.width.saturating_sub(tabs.len() + state.len() + 1);
        lines.push(Line::new(Tone::Title, format!("{tabs}{}{state}", " ".repeat(gap))));
        if let Some(trouble) = self.trouble {
            lines.push(Line::new(Tone::Bad, format!("connection lost, retrying: {trouble}")));
        }
        lines.push(Line::new(Tone::Plain, String::new()));
    }

    fn body(&self, reading: &Reading) -> Vec<Line> {
        let figures = &reading.figures;
        match self.view {
            View::Overview => self.overview(reading),
            View::Providers => providers(&figures["status"]),
            View::Knobs => knobs(&figures["knobs"]),
            View::Decisions => decisions(&figures["decisions"]),
        }
    }

    fn overview(&self, reading: &Reading) -> Vec<Line> {
        let status = &reading.figures["status"];
        let metric = |name, figure| reading.metric(name, figure);
        let tone = |value: Option<f64>, good: f64, bad: f64| match value {
            None => Tone::Plain,
            Some(value) if value <= good => Tone::Good,
            Some(value) if value > bad => Tone::Bad,
            Some(_) => Tone::Warn,
        };
        // How a figure stands to the host's own target; of a host that tells none, nothing is said.
        let standing = |value: Option<f64>, name: &str| {
            let kpi = reading.figures["kpis"].as_array().and_then(|all| all.iter().find(|kpi| kpi["name"] == name));
            let limits = kpi.and_then(|kpi| kpi["target"].as_f64().zip(kpi["critical"].as_f64()));
            limits.map_or(Tone::Plain, |(target, critical)| tone(value, target, critical))
        };
        let response = metric("response_time_ms", "p95");
        let errors = metric("error_rate", "mean");
        let host = &reading.figures["resources"]["host"];
        let memory = share(&host["memory_used_bytes"], &host["memory_total_bytes"]);
        let requests = &status["requests"];
        let mut rows = vec![
            ("response", "response time p95", millis(response), standing(response, "response_time")),
            ("first token", "first token p95", millis(metric("time_to_first_token_ms", "p95")), Tone::Plain),
            ("tokens", "generated", unit(metric("tokens_per_second", "mean"), "tokens/s"), Tone::Plain),
            ("requests", "finished", unit(metric("requests_per_second", "mean"), "requests/s"), Tone::Plain),
            ("errors", "failed", percent(errors), standing(errors, "error_rate")),
            ("queue", "waiting now", requests["queued"].to_string(), Tone::Plain),
            ("in flight", "under way now", requests["in_flight"].to_string(), Tone::Plain),
            ("cache", "cache hits", percent(metric("cache_hit_rate", "mean")), Tone::Plain),
            ("cpu", "processor", percent(host["cpu_share"].as_f64()), Tone::Plain),
            ("memory", "memory", percent(memory), tone(memory, 0.8, 0.95)),
        ];
        let gpus = reading.figures["resources"]["gpus"].as_array().map_or(&[][..], Vec::as_slice);
        if !gpus.is_empty() {
            let busiest = gpus.iter().filter_map(|gpu| gpu["usage"].as_f64()).reduce(f64::max);
            let memory = |gpu: &Value| share(&gpu["memory_used_bytes"], &gpu["memory_total_bytes"]);
            let fullest = gpus.iter().filter_map(memory).reduce(f64::max);
            rows.push(("gpu", "busiest gpu", percent(busiest), Tone::Plain));
            rows.push(("gpu memory", "fullest gpu", percent(fullest), Tone::Plain));
        }
        let mut lines = Vec::new();
        for (key, label, value, tone) in rows {
            let past: Vec<Option<f64>> = reading.past.get(key).into_iter().flatten().copied().collect();
            let top = past.iter().flatten().copied().fold(0.0, f64::max);
            let spark = self.canvas.sparkline(&past, top, SPARK_WIDTH);
            lines.push(Line::new(tone, format!("{label:<18} {value:>14}  {}", spark.trim_end())));
        }
        lines.push(Line::new(Tone::Plain, String::new()));
        lines.extend(strategy(&status["strategy"]));
        lines.extend(titled("", providers(status)));
        let values: Vec<Option<f64>> = reading.past.get("tokens").into_iter().flatten().copied().collect();
        if values.len() > 1 && self.height > lines.len() + CHART_HEIGHT + 8 {
            lines.push(Line::new(Tone::Plain, String::new()));
            lines.push(Line::new(Tone::Title, "generated tokens a second, last two minutes".to_owned()));
            let chart = Chart {
                values: &values,
                height: CHART_HEIGHT,
                marks: &[],
                ends: ("", "now"),
                label: |value| number(value),
            };
            lines.extend(self.canvas.chart(&chart).into_iter().map(|text| Line::new(Tone::Plain, text)));
        }
        let newest = decisions(&reading.figures["decisions"]);
        lines.extend(titled("newest decisions", newest.into_iter().take(6).collect()));
        lines
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, VecDeque};

    use serde_json::json;

    use super::*;

    fn reading() -> Reading {
        let figures = json!({
            "status": {
                "version": "1.2.3", "listen": "127.0.0.1:8900", "status": "up", "uptime_s": 61,
                "strategy": { "name": "balanced", "version": "0.1.0", "goal": "goodput", "planning": { "calls": 3, "mean_us": 1.5 } },
                "requests": { "queued": 4, "in_flight": 2 },
                "providers": [{ "name": "local", "kind": "llama-cpp", "health": "up", "in_flight": 2, "queued": 0,
                    "latency_p50_ms": 1_500.0, "ttft_p50_ms": 0.0, "tokens_per_second": 12.0, "error_rate": 0.0, "models": ["m"] }],
            },
            "metrics": { "metrics": [{ "name": "response_time_ms", "scope": "", "summary": { "p95": 2_500.0 } }] },
            "resources": { "host": { "cpu_share": 0.5, "memory_used_bytes": 1, "memory_total_bytes": 4 } },
            "knobs": [{ "name": "queue_length", "scope": "", "value": 8, "default": 4, "unit": "count", "reload": false }],
            "decisions": [{ "at_ms": 0, "verdict": "applied", "before": 1, "applied": 2,
                "proposal": { "name": "engine_slots", "scope": "local", "value": 4, "reason": "more wait" } }],
            "kpis": [{ "name": "response_time", "target": 2_000.0, "critical": 5_000.0 }],
        });
        let past = BTreeMap::from([("response", VecDeque::from([Some(1.0), None, Some(2_500.0)]))]);
        Reading { figures, past }
    }

    fn drawn(width: usize, height: usize, view: View) -> String {
        let reading = reading();
        let canvas = Canvas { width, is_unicode: true };
        let lines = Frame { reading: Some(&reading), view, ..Frame::new(canvas, height) }.lines();
        assert!(lines.len() <= height && lines.iter().all(|line| line.text.chars().count() <= width), "{lines:#?}");
        lines.into_iter().map(|line| line.text + "\n").collect()
    }

    #[test]
    fn the_overview_holds_the_figures_of_the_reading() {
        let text = drawn(120, 60, View::Overview);
        for expected in [
            "perfhost 1.2.3",
            "up 1 m 1 s",
            "2.50 s",
            "50.0 %",
            "25.0 %",
            "[1 Overview]",
            "engine_slots@local",
            "1 -> 2",
        ] {
            assert!(text.contains(expected), "{expected} is not in\n{text}");
        }
    }

    #[test]
    fn graphics_processors_are_shown_where_there_are_any() {
        assert!(!drawn(120, 60, View::Overview).contains("gpu"));
        let mut reading = reading();
        reading.figures["resources"]["gpus"] = json!([
            { "usage": 0.125, "memory_used_bytes": 3, "memory_total_bytes": 4 },
            { "usage": 0.875, "memory_used_bytes": 1, "memory_total_bytes": 4 },
            { "usage": null, "memory_used_bytes": null, "memory_total_bytes": null },
        ]);
        let canvas = Canvas { width: 120, is_unicode: true };
        let frame = Frame { reading: Some(&reading), ..Frame::new(canvas, 60) };
        let lines: Vec<String> = frame.lines().into_iter().map(|line| line.text).collect();
        let shown = |label: &str, value: &str| lines.iter().any(|line| line.starts_with(label) && line.contains(value));
        assert!(shown("busiest gpu", "87.5 %") && shown("fullest gpu", "75.0 %"), "{lines:#?}");
    }

    #[test]
    fn every_view_fits_every_size() {
        for (view, _) in View::ALL {
            for (width, height) in [(10, 3), (40, 10), (80, 24), (200, 60)] {
                drawn(width, height, view);
            }
        }
        assert!(drawn(100, 20, View::Knobs).contains("turned"));
        assert!(drawn(100, 20, View::Decisions).contains("more wait"));
    }

    #[test]
    fn a_list_is_scrolled_to_its_end_and_no_further() {
        let mut reading = reading();
        let rows: Vec<Value> = (0..40).map(|at| json!({ "name": format!("knob-{at}"), "value": at })).collect();
        reading.figures["knobs"] = Value::Array(rows);
        let canvas = Canvas { width: 80, is_unicode: false };
        let frame = |scroll| Frame { reading: Some(&reading), view: View::Knobs, scroll, ..Frame::new(canvas, 13) };
        // Forty rows and their header, in the ten lines below the head.
        assert_eq!(frame(0).last_scroll(), 31);
        assert_eq!(frame(31).lines(), frame(MOST_SCROLL).lines());
        assert_ne!(frame(30).lines(), frame(31).lines());
        assert!(frame(31).lines().last().unwrap().text.contains("knob-39"));
        assert_eq!(Frame { height: 60, ..frame(0) }.last_scroll(), 0);
    }

    #[test]
    fn what_others_name_does_not_steer_the_terminal() {
        let mut reading = reading();
        reading.figures["status"]["strategy"]["goal"] = json!("fast\u{1b}[2J\nand more");
        let canvas = Canvas { width: 120, is_unicode: false };
        let lines = Frame { reading: Some(&reading), ..Frame::new(canvas, 60) }.lines();
        assert!(lines.iter().any(|line| line.text.contains("fast\u{fffd}[2J and more")), "{lines:#?}");
        assert!(!lines.iter().any(|line| line.text.contains(char::is_control)));
    }

    #[test]
    fn figures_are_judged_by_the_targets_of_the_host() {
        let tone = |kpis: Value| {
            let mut reading = reading();
            reading.figures["kpis"] = kpis;
            let canvas = Canvas { width: 80, is_unicode: false };
            let lines = Frame { reading: Some(&reading), ..Frame::new(canvas, 30) }.lines();
            lines.iter().find(|line| line.text.starts_with("response time")).map(|line| line.tone)
        };
        let kpi = |target, critical| json!([{ "name": "response_time", "target": target, "critical": critical }]);
        assert_eq!(tone(kpi(2_600.0, 5_000.0)), Some(Tone::Good));
        assert_eq!(tone(kpi(500.0, 1_000.0)), Some(Tone::Bad));
        assert_eq!(tone(Value::Null), Some(Tone::Plain));
    }

    #[test]
    fn trouble_and_tones_are_shown() {
        let reading = reading();
        let canvas = Canvas { width: 80, is_unicode: false };
        let frame = Frame { reading: Some(&reading), trouble: Some("refused"), ..Frame::new(canvas, 30) };
        let lines = frame.lines();
        assert!(lines.contains(&Line::new(Tone::Bad, "connection lost, retrying: refused".to_owned())));
        assert!(lines.iter().any(|line| line.text.starts_with("response time") && line.tone == Tone::Warn));
        assert_eq!(View::Overview.previous(), View::Decisions);
        assert_eq!(View::Decisions.next(), View::Overview);
    }
}
