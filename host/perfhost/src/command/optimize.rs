//! `perfhost optimize [provider]`: where the time goes, and what to change, with the evidence. `--apply` puts that before the
//! guard; without it nothing is changed.

use anyhow::Result;
use serde_json::{Value, json};

use super::client::{Client, encoded};
use super::plot::Canvas;
use super::print::{self, table, wrapped};
use crate::cli::ClientFlags;

/// Asks and prints.
pub fn run(provider: Option<&str>, is_applying: bool, flags: &ClientFlags) -> Result<()> {
    let client = Client::new(flags);
    let scope = provider.map(|name| format!("?scope={}", encoded(name))).unwrap_or_default();
    let bottlenecks = client.get(&format!("/api/analysis/bottlenecks{scope}"))?;
    let ask = json!({ "apply": is_applying, "provider": provider }).to_string();
    let mut recommendations = Vec::new();
    for what in ["resources", "cache", "models"] {
        let answer = client.post(&format!("/api/optimization/{what}/tune"), "application/json", ask.as_bytes())?;
        recommendations.extend(answer["recommendations"].as_array().into_iter().flatten().cloned());
    }
    let answer = json!({
        "requests": bottlenecks["requests"], "least_requests": bottlenecks["least_requests"],
        "bottlenecks": bottlenecks["bottlenecks"], "recommendations": recommendations,
    });
    print::print(&answer, flags.output, |answer| layout(answer, Canvas::of_stdout().width))
}

fn layout(answer: &Value, width: usize) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let list = |name: &str| answer[name].as_array().cloned().unwrap_or_default();
    let mut lines = String::new();
    let rows: Vec<Vec<String>> = list("bottlenecks")
        .iter()
        .map(|one| {
            let share = one["share"].as_f64().unwrap_or_default() * 100.0;
            let mean_ms = one["mean_ms"].as_f64().unwrap_or_default();
            vec![text(&one["phase"]), format!("{share:.0} %"), print::number(mean_ms), text(&one["cause"])]
        })
        .collect();
    if rows.is_empty() {
        lines += &format!(
            "{} requests in the last hour; it takes {} to tell where their time goes\n",
            answer["requests"], answer["least_requests"]
        );
    } else {
        lines += &table(&["PHASE", "SHARE", "MEAN MS", "SHORT OF"], &rows);
    }
    lines.push('\n');
    let recommendations = list("recommendations");
    if recommendations.is_empty() {
        return lines + "nothing measured calls for a change\n";
    }
    for one in recommendations {
        let mut push = |text: String, indent| lines += &(wrapped(&text, indent, width) + "\n");
        push(format!("* {}", text(&one["action"])), "  ");
        if let Some(knob) = one["knob"].as_str() {
            let scope = one["scope"].as_str().filter(|scope| !scope.is_empty());
            let at = scope.map(|scope| format!("@{scope}")).unwrap_or_default();
            push(format!("    {knob}{at}: {} -> {}", text(&one["now"]), text(&one["suggested"])), "    ");
        }
        if let Some(id) = one["decision"]["id"].as_u64() {
            let (verdict, detail) = (text(&one["decision"]["verdict"]), text(&one["decision"]["detail"]));
            push(format!("    decision {id}: {verdict}: {detail}"), "    ");
        }
        for evidence in one["evidence"].as_array().into_iter().flatten() {
            push(format!("  - {}", text(evidence)), "    ");
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_fit_the_terminal_and_name_their_evidence() {
        let answer = json!({
            "requests": 50, "least_requests": 20,
            "bottlenecks": [{ "phase": "admit", "share": 0.7, "mean_ms": 700.0, "cause": "admission" }],
            "recommendations": [{
                "knob": "concurrency_limit", "scope": "", "now": 4, "suggested": 8,
                "action": "raise concurrency_limit, if the providers can take more at once",
                "evidence": ["admit takes 70 % of the mean request: 700.0 ms, over 50 requests"],
                "decision": { "id": 7, "verdict": "refused", "detail": "already 8" },
            }],
        });
        let shown = layout(&answer, 40);
        assert!(shown.lines().all(|line| line.chars().count() <= 40), "{shown}");
        for part in ["admission", "70 %", "concurrency_limit: 4 -> 8", "over 50", "decision 7: refused: already 8"] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(layout(&json!({ "requests": 3, "least_requests": 20 }), 80).contains("it takes 20"));
    }
}
