//! A replay's result as a table for people.

use perfhost_strategy::replay::{Agreement, Answer, ComparedCycle, Judged};

use super::Replayed;
use crate::command::print::table;

/// Differing cycles that are shown, the newest.
const MOST_SHOWN: usize = 20;

pub(super) fn layout(result: &Replayed) -> String {
    let figures = &result.figures;
    let seconds = result.to_ms.saturating_sub(result.from_ms) / 1_000;
    let mut text = format!(
        "{} {} over {}: {} cycles in {seconds} s, {} to {}\n",
        result.strategy.name, result.strategy.version, result.source, figures.cycles, result.cycles.0, result.cycles.1
    );
    text += &format!(
        "agreement {}: {} identical, {} with the same changes, {} different",
        percent(figures.identical, figures.cycles),
        figures.identical,
        figures.same_changes,
        figures.different
    );
    text += &format!(
        "; of {} cycles with proposals {} identical\n",
        figures.with_proposals, figures.with_proposals_identical
    );
    if figures.own > 0 {
        text += &format!(
            "its own cycles: {}; from a beginning that the log holds: {}, of which {} identical\n",
            figures.own, figures.own_from_start, figures.own_from_start_identical
        );
    }
    if figures.own_from_start_identical < figures.own_from_start {
        text += "the strategy is not deterministic: the same calls gave other answers; see `perfhost plugin check`\n";
    }
    if figures.verdicts > 0 {
        text += &format!("the guard gave {} of {} recorded verdicts again\n", figures.verdicts_again, figures.verdicts);
    }
    if figures.recorded_failures + figures.replayed_failures > 0 {
        text +=
            &format!("failed calls: {} recorded, {} replayed\n", figures.recorded_failures, figures.replayed_failures);
    }
    if !figures.knobs.is_empty() {
        let rows: Vec<Vec<String>> = figures
            .knobs
            .iter()
            .map(|(knob, count)| {
                vec![knob.clone(), count.recorded.to_string(), count.replayed.to_string(), count.common.to_string()]
            })
            .collect();
        text += &format!("\n{}", table(&["KNOB", "RECORDED", "REPLAYED", "IN BOTH"], &rows));
    }
    let differing: Vec<&ComparedCycle> =
        result.listed.iter().filter(|compared| compared.agreement != Agreement::Identical).collect();
    if differing.is_empty() {
        return text;
    }
    let shown = &differing[differing.len().saturating_sub(MOST_SHOWN)..];
    let more = differing.len() - shown.len() + result.unlisted as usize;
    let mut rows = Vec::new();
    for compared in shown {
        let at = (compared.at_ms.saturating_sub(result.from_ms) / 1_000).to_string();
        for (who, answer) in [(compared.recorded_by.as_str(), &compared.recorded), ("replayed", &compared.replayed)] {
            for line in lines(answer) {
                let mut row = vec![compared.cycle.to_string(), at.clone(), who.to_owned()];
                row.extend(line);
                rows.push(row);
            }
        }
    }
    let header = ["CYCLE", "AFTER S", "WHO", "SCOPE", "CHANGE", "VERDICT", "WHY"];
    text += &format!("\nwhere they differ{}:\n{}", hint(more), table(&header, &rows));
    text
}

fn hint(more: usize) -> String {
    if more == 0 { String::new() } else { format!(" (and {more} more before; --output json lists them)") }
}

fn lines(answer: &Answer) -> Vec<[String; 4]> {
    let dash = || "-".to_owned();
    if let Some(failure) = &answer.failure {
        return vec![[dash(), dash(), "failed".to_owned(), failure.clone()]];
    }
    if answer.proposals.is_empty() {
        return vec![[dash(), "nothing".to_owned(), dash(), dash()]];
    }
    answer.proposals.iter().map(line).collect()
}

fn line(judged: &Judged) -> [String; 4] {
    let Judged { proposal, verdict, detail, .. } = judged;
    let verdict = verdict.map_or("-".to_owned(), |verdict| format!("{verdict:?}").to_lowercase());
    let why = if detail.is_empty() { &proposal.reason } else { detail };
    [proposal.scope.to_string(), format!("{} = {}", proposal.name, proposal.value), verdict, why.clone()]
}

fn percent(part: u64, whole: u64) -> String {
    // Rounded down: only what agrees throughout reads as 100.
    (1_000 * part)
        .checked_div(whole)
        .map_or("-".to_owned(), |thousandths| format!("{:.1} %", thousandths as f64 / 10.0))
}
