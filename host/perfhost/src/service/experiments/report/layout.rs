//! A report as text: for a terminal, and in Markdown for a change request.

use super::Told;
use crate::command::print;

/// Newest decisions that a terminal shows; the other forms show all.
const SHOWN_DECISIONS: usize = 12;

/// For a terminal.
pub(super) fn text(told: &Told) -> String {
    let mut text = format!("{}\n\n{}\n", told.title, told.outcome);
    if let Some(next) = &told.next {
        text += &format!("next: {next}\n");
    }
    text.push('\n');
    let widest = told.facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, fact) in &told.facts {
        text += &format!("{name:widest$}  {fact}\n");
    }
    for table in told.tables.iter().filter(|table| !table.rows.is_empty()) {
        text += &format!("\n{}\n", table.title);
        let first = if table.title == "Decisions" { table.rows.len().saturating_sub(SHOWN_DECISIONS) } else { 0 };
        text += &print::table(&table.header, &table.rows[first..]);
    }
    text
}

/// For a change request.
pub(super) fn markdown(told: &Told) -> String {
    let mut text = format!("# {}\n\n**{}**\n\n", cell(&told.title), cell(&told.outcome));
    if let Some(next) = &told.next {
        text += &format!("Next: {}\n\n", cell(next));
    }
    for (name, fact) in &told.facts {
        text += &format!("- **{name}**: {}\n", cell(fact));
    }
    for table in told.tables.iter().filter(|table| !table.rows.is_empty()) {
        text += &format!("\n## {}\n\n", table.title);
        if !table.note.is_empty() {
            text += &format!("{}\n\n", table.note);
        }
        text += &format!("| {} |\n|{}\n", table.header.join(" | "), " --- |".repeat(table.header.len()));
        for row in &table.rows {
            let cells: Vec<String> = row.iter().map(|text| cell(text)).collect();
            text += &format!("| {} |\n", cells.join(" | "));
        }
    }
    text
}

/// Names of strategies are their authors' to choose: they end neither a cell nor a line, and begin no markup.
fn cell(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\r' => escaped.push(' '),
            '|' | '<' | '>' | '`' | '*' | '[' | ']' | '\\' => {
                escaped.push('\\');
                escaped.push(character);
            }
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::Table;
    use super::*;

    #[test]
    fn names_stay_within_their_cells() {
        let rows = vec![vec!["a|b\nc".to_owned(), "<script>".to_owned()]];
        let told = Told {
            title: "t".to_owned(),
            outcome: "o".to_owned(),
            next: None,
            facts: vec![("phase", "running".to_owned())],
            tables: vec![Table { title: "Arms", note: "", header: vec!["arm", "strategy"], rows }],
        };
        let written = markdown(&told);
        assert!(written.ends_with("| arm | strategy |\n| --- | --- |\n| a\\|b c | \\<script\\> |\n"), "{written}");
        assert!(text(&told).contains("phase  running\n"));
    }
}
