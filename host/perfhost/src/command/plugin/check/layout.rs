//! A check's result as text for people: the stages and figures, and last, where a terminal stands when it is done, the
//! findings with what to do about each, and the verdict.

use perfhost_strategy::conformance::Finding;
use perfhost_wasm::{Answer, ImportReport};

use super::{Checked, answer_words};
use crate::command::print::{bytes, counted, cut, number, table, wrapped};

/// Widest text: longer lines are hard to read on any terminal.
const WIDEST: usize = 120;

/// Findings of one kind that are told in full; of the others only what they are about.
const MOST_TOLD: usize = 8;

/// Text that fits on a terminal of that width.
pub(super) fn layout(checked: &Checked, width: usize) -> String {
    let width = width.min(WIDEST);
    let inspection = &checked.inspection;
    let known = inspection.description.as_ref().map(|known| format!(" ({} {})", known.name, known.version));
    let mut text = format!("{}{}\n", inspection.plugin, known.unwrap_or_default());
    if !inspection.digest.is_empty() {
        text += &format!("sha256 {}\n", inspection.digest);
    }
    text += &format!("\n{}", stages(checked, width));
    if !inspection.imports.is_empty() {
        text += &format!("\n{}", table(&["IMPORT", "ANSWER"], &imports(&inspection.imports)));
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
    text += &format!("\n{}\n", wrapped(&format!("limits: {}", limits(checked)), "  ", width));
    text += &conformance(checked, width);
    for alike in checked.findings.chunk_by(|one, next| one.severity == next.severity && one.code == next.code) {
        text += &format!("\n{}", kind(alike, width));
    }
    text += &format!(
        "\n{}: {}, {}, {}\n",
        if checked.errors == 0 { "passed" } else { "failed" },
        counted(checked.errors, "error"),
        counted(checked.warnings, "warning"),
        counted(checked.notes, "note")
    );
    text
}

fn stages(checked: &Checked, width: usize) -> String {
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
    // Why a stage failed is told in full below.
    table(&["STAGE", "VERDICT", "MS", "DETAIL"], &rows).lines().map(|line| cut(line, width) + "\n").collect()
}

/// A row for each import; those of one WASI package, of which run-times bring dozens, in one.
fn imports(all: &[ImportReport]) -> Vec<Vec<String>> {
    let mut rows: Vec<(String, Answer, usize)> = Vec::new();
    for import in all {
        let package = import.name.split('/').next().unwrap_or(&import.name);
        let name = if import.answer == Answer::WasiWithoutGrants { package } else { &import.name };
        match rows.iter_mut().find(|(known, _, _)| known == name) {
            Some((_, _, count)) => *count += 1,
            None => rows.push((name.to_owned(), import.answer, 1)),
        }
    }
    let named = |(name, answer, count): (String, Answer, usize)| {
        let of_package = if answer == Answer::WasiWithoutGrants {
            format!(", {}", counted(count, "interface"))
        } else {
            String::new()
        };
        vec![name + &of_package, answer_words(answer).to_owned()]
    };
    rows.into_iter().map(named).collect()
}

fn limits(checked: &Checked) -> String {
    let words = checked.limits.iter().map(|limit| {
        let value = match limit.unit {
            "bytes" => bytes(limit.value as f64),
            "count" => limit.value.to_string(),
            unit => format!("{} {unit}", limit.value),
        };
        format!("{} {value}", limit.name).replace(' ', "\u{a0}")
    });
    words.collect::<Vec<_>>().join(", ")
}

fn conformance(checked: &Checked, width: usize) -> String {
    let Some(figures) = &checked.conformance else { return String::new() };
    let ran = format!(
        "conformance run with seed {}: {} observations ({} recorded), {} proposals and {} plans judged, {} calls on {} instances",
        checked.seed,
        figures.observations,
        figures.recorded,
        figures.proposals,
        figures.plans,
        figures.calls,
        figures.instances
    );
    let mut text = format!("\n{}\n", wrapped(&ran, "  ", width));
    text += &format!("median of propose: {} us", number(figures.propose_p50_us));
    if figures.plan_p50_us > 0.0 {
        text += &format!(", of a plan over 3 candidates: {} us", number(figures.plan_p50_us));
    }
    text + "\n"
}

/// Findings of one severity and code: each with its case, and the fix once where it is the same.
fn kind(alike: &[Finding], width: usize) -> String {
    let Some(first) = alike.first() else { return String::new() };
    let heading = format!("{}[{}]", first.severity.name(), first.code);
    let told = &alike[..alike.len().min(MOST_TOLD)];
    let has_one_place = alike.iter().all(|finding| place(finding) == place(first));
    let summary = match (alike.len(), has_one_place) {
        (1, _) => place(first),
        (several, true) => format!("{}, {}", counted(several, "finding"), place(first)),
        (several, false) => counted(several, "finding"),
    };
    let mut text = wrapped(&format!("{heading} {summary}"), "    ", width) + "\n";
    for (at, finding) in told.iter().enumerate() {
        let what = if has_one_place { finding.what.clone() } else { format!("{} ({})", finding.what, place(finding)) };
        text += &format!("{}\n", wrapped(&format!("    {what}"), "      ", width));
        for line in &finding.log {
            text += &format!("{}\n", cut(&format!("      | {line}"), width));
        }
        if told.get(at + 1).is_none_or(|next| next.fix != finding.fix) {
            text += &format!("{}\n", wrapped(&format!("    fix: {}", finding.fix), "      ", width));
        }
    }
    if alike.len() > told.len() {
        let others: Vec<&str> = alike[told.len()..].iter().map(|finding| finding.subject.as_str()).collect();
        text += &format!("{}\n", wrapped(&format!("    likewise: {}", others.join(", ")), "      ", width));
    }
    text
}

fn place(finding: &Finding) -> String {
    let times = if finding.times > 1 { format!(", {} times", finding.times) } else { String::new() };
    format!("{}{times}", finding.place)
}

#[cfg(test)]
mod tests {
    use perfhost_strategy::conformance::Severity;

    use super::*;

    fn finding(subject: &str, fix: &str) -> Finding {
        Finding {
            severity: Severity::Warning,
            code: "out-of-bounds".to_owned(),
            subject: subject.to_owned(),
            place: "propose, case \"empty windows\"".to_owned(),
            what: format!("{subject} of host: -5 is outside 1 to 100000"),
            fix: fix.to_owned(),
            times: 2,
            log: Vec::new(),
        }
    }

    #[test]
    fn a_finding_is_a_heading_what_is_wrong_and_the_fix() {
        let failed = Finding { log: vec!["ZeroDivisionError".to_owned()], ..finding("retries", "keep within") };
        let lines = [
            "warning[out-of-bounds] propose, case \"empty windows\", 2 times",
            "    retries of host: -5 is outside 1 to 100000",
            "      | ZeroDivisionError",
            "    fix: keep within",
        ];
        assert_eq!(kind(&[failed], 100), lines.join("\n") + "\n");
    }

    #[test]
    fn many_of_a_kind_share_their_fix_and_the_rest_are_named() {
        let findings: Vec<Finding> = (0..11).map(|at| finding(&format!("knob_{at}"), "keep within")).collect();
        let text = kind(&findings, 100);
        assert_eq!(text.matches("fix: keep within").count(), 1);
        let heading =
            "warning[out-of-bounds] 11 findings, propose, case \"empty windows\", 2 times\n    knob_0 of host";
        assert!(text.starts_with(heading), "{text}");
        assert!(text.ends_with("    likewise: knob_8, knob_9, knob_10\n"), "{text}");
        let two = kind(&[finding("a", "do this"), finding("b", "do that")], 100);
        assert!(two.contains("do this") && two.contains("do that"), "{two}");
    }

    #[test]
    fn imports_of_one_wasi_package_share_a_row_and_others_do_not() {
        let import = |name: &str, answer| ImportReport { name: name.to_owned(), answer };
        let rows = imports(&[
            import("wasi:cli/stdin@0.2.6", Answer::WasiWithoutGrants),
            import("perfhost:strategy/log@0.1.0", Answer::Contract),
            import("wasi:cli/stdout@0.2.6", Answer::WasiWithoutGrants),
            import("shop:payments/card@1.0.0", Answer::NotGranted),
            import("shop:payments/cash@1.0.0", Answer::NotGranted),
        ]);
        let names: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
        let others = ["shop:payments/card@1.0.0", "shop:payments/cash@1.0.0"];
        assert_eq!(names, [&["wasi:cli, 2 interfaces", "perfhost:strategy/log@0.1.0"][..], &others].concat());
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let long = "word ".repeat(60);
        let wide = Finding { place: long.clone(), what: long.clone(), ..finding("retries", &long) };
        for width in [40, 80, 120] {
            let text = kind(std::slice::from_ref(&wide), width) + &kind(&[wide.clone(), wide.clone()], width);
            assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
        }
    }
}
