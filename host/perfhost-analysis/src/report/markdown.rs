//! Writes a report as Markdown.

use super::{Curve, Report, Section, number};

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Blocks in one line.
const MOST_BARS: usize = 72;

pub(super) fn write(report: &Report) -> String {
    let mut text = format!("# {}\n\n{}\n", report.title, report.period);
    if !report.summary.is_empty() {
        text += "\n";
        report.summary.iter().for_each(|line| text += &format!("- {line}\n"));
    }
    report.sections.iter().for_each(|part| text += &section(part));
    text += "\n## Recommendations\n\n";
    if report.recommendations.is_empty() {
        text += "None: nothing measured calls for a change.\n";
    }
    for (at, advice) in report.recommendations.iter().enumerate() {
        text += &format!("{}. **{}**\n", at + 1, advice.action);
        advice.evidence.iter().for_each(|line| text += &format!("   - {line}\n"));
    }
    text
}

fn section(section: &Section) -> String {
    let mut text = format!("\n## {}\n\n", section.title);
    section.lines.iter().for_each(|line| text += &format!("{line}\n"));
    if !section.columns.is_empty() && !section.rows.is_empty() {
        text += &format!("\n| {} |\n|{}\n", section.columns.join(" | "), "---|".repeat(section.columns.len()));
        for row in &section.rows {
            let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect();
            text += &format!("| {} |\n", cells.join(" | "));
        }
    }
    for plot in &section.plots {
        text += &format!("\n{}, {} to {}:\n\n", plot.title, plot.from, plot.to);
        plot.curves.iter().for_each(|curve| text += &format!("    {}\n", bars(curve)));
    }
    text
}

/// A curve as a line of blocks, with its name and highest value.
fn bars(curve: &Curve) -> String {
    let highest = curve.values.iter().flatten().copied().fold(0.0, f64::max);
    let count = curve.values.len().min(MOST_BARS);
    let bar = |at: usize| {
        let part = &curve.values[at * curve.values.len() / count..(at + 1) * curve.values.len() / count];
        let top = part.iter().flatten().copied().reduce(f64::max);
        top.map_or(' ', |value| {
            if highest > 0.0 { BARS[(value / highest * 8.0 - 0.5).clamp(0.0, 7.0) as usize] } else { BARS[0] }
        })
    };
    let line: String = (0..count).map(bar).collect();
    format!("{line}  {} (highest {})", curve.name, number(highest))
}
