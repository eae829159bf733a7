//! A check's result as text for people: findings first, since they are what is acted on, then the stages and figures.

use perfhost_strategy::conformance::Finding;

use super::{Checked, answer_words};
use crate::command::print::{bytes, number, table};

pub(super) fn layout(checked: &Checked) -> String {
    let inspection = &checked.inspection;
    let known = inspection.description.as_ref().map(|known| format!(" ({} {})", known.name, known.version));
    let mut text = format!("{}{}, sha256 {}\n", inspection.plugin, known.unwrap_or_default(), inspection.digest);
    text += &format!("\n{}", stages(checked));
    if !inspection.imports.is_empty() {
        let rows: Vec<Vec<String>> = inspection
            .imports
            .iter()
            .map(|import| vec![import.name.clone(), answer_words(import.answer).to_owned()])
            .collect();
        text += &format!("\n{}", table(&["IMPORT", "ANSWER"], &rows));
    }
    let sizes: Vec<Vec<String>> = checked
        .sizes
        .iter()
        .map(|size| {
            let limit = size.limit.map_or("-".to_owned(), |limit| bytes(limit as f64));
            vec![size.what.to_owned(), bytes(size.bytes as f64), limit]
        })
        .collect();
    text += &format!("\n{}", table(&["SIZE OF", "IS", "ALLOWED"], &sizes));
    text += &format!("\nlimits: {}\n", limits(checked));
    if let Some(figures) = &checked.conformance {
        text += &format!(
            "\nconformance run with seed {}: {} observations ({} recorded), {} proposals and {} plans judged, {} calls on {} \
             instances\n",
            checked.seed,
            figures.observations,
            figures.recorded,
            figures.proposals,
            figures.plans,
            figures.calls,
            figures.instances
        );
        text += &format!("median of propose: {} us", number(figures.propose_p50_us));
        if figures.plans > 0 {
            text += &format!(", of a plan over 3 candidates: {} us", number(figures.plan_p50_us));
        }
        text.push('\n');
    }
    for finding in &checked.findings {
        text += &format!("\n{}", one(finding));
    }
    let counted = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    text += &format!(
        "\n{}: {}, {}, {}\n",
        if checked.errors == 0 { "passed" } else { "failed" },
        counted(checked.errors, "error"),
        counted(checked.warnings, "warning"),
        counted(checked.notes, "note")
    );
    text
}

fn stages(checked: &Checked) -> String {
    let rows: Vec<Vec<String>> = checked
        .inspection
        .stages
        .iter()
        .map(|stage| {
            let verdict = if stage.is_passed { "pass" } else { "FAILED" };
            let ms = number(stage.duration_us as f64 / 1_000.0);
            vec![stage.stage.name().to_owned(), verdict.to_owned(), ms, stage.detail.clone()]
        })
        .collect();
    table(&["STAGE", "VERDICT", "MS", "DETAIL"], &rows)
}

fn limits(checked: &Checked) -> String {
    let words = checked.limits.iter().map(|limit| {
        let value = match limit.unit {
            "bytes" => bytes(limit.value as f64),
            "count" => limit.value.to_string(),
            unit => format!("{} {unit}", limit.value),
        };
        format!("{} {value}", limit.name)
    });
    words.collect::<Vec<_>>().join(", ")
}

fn one(finding: &Finding) -> String {
    let times = if finding.times > 1 { format!(" ({} times)", finding.times) } else { String::new() };
    format!(
        "{}[{}] {}{times}\n    {}\n    fix: {}\n",
        finding.severity.name(),
        finding.code,
        finding.place,
        finding.what,
        finding.fix
    )
}
