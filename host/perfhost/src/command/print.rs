//! Lays out results: tables for people, JSON for programs.

use std::io::Write;

use anyhow::Result;
use serde::Serialize;

use crate::cli::Output;

/// Prints JSON, or what `table` makes of the value.
pub fn print<T: Serialize>(value: &T, output: Output, table: impl FnOnce(&T) -> String) -> Result<()> {
    let text = match output {
        Output::Json => serde_json::to_string_pretty(value)?,
        Output::Table => table(value),
    };
    line(text.trim_end());
    Ok(())
}

/// A line of text on its own. A reader that has seen enough (`| head`) is no reason to fail.
pub fn line(text: &str) {
    let _gone = writeln!(std::io::stdout(), "{text}");
}

/// Rows in columns as wide as their widest cell. Columns whose cells are all numbers are set flush right.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return "(none)\n".to_owned();
    }
    let columns = header.len();
    let cell = |row: &Vec<String>, at: usize| row.get(at).map_or(0, |text| text.chars().count());
    let width: Vec<usize> = (0..columns)
        .map(|at| rows.iter().map(|row| cell(row, at)).chain([header[at].chars().count()]).max().unwrap_or(0))
        .collect();
    let is_number = |text: &String| text.is_empty() || text == "-" || text.starts_with(|c: char| c.is_ascii_digit());
    let is_right: Vec<bool> = (0..columns).map(|at| rows.iter().all(|row| row.get(at).is_none_or(is_number))).collect();
    let mut text = String::new();
    let mut push = |cells: Vec<&str>| {
        let mut line = String::new();
        for (at, content) in cells.iter().enumerate() {
            let gap = " ".repeat(width[at].saturating_sub(content.chars().count()));
            let separator = if at == 0 { "" } else { "  " };
            line +=
                &if is_right[at] { format!("{separator}{gap}{content}") } else { format!("{separator}{content}{gap}") };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    };
    push(header.to_vec());
    for row in rows {
        push((0..columns).map(|at| row.get(at).map_or("", String::as_str)).collect());
    }
    text
}

/// Bytes in binary units, as people read them.
pub fn bytes(count: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = count;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{value:.0} {}", units[0]) } else { format!("{value:.1} {}", units[unit]) }
}

/// A number with as many places as it takes to tell it apart.
pub fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 1.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_flush_right_and_words_flush_left() {
        let rows = vec![vec!["a".to_owned(), "5".to_owned()], vec!["long".to_owned(), "12".to_owned()]];
        assert_eq!(table(&["name", "count"], &rows), "name  count\na         5\nlong     12\n");
    }

    #[test]
    fn bytes_are_shown_in_the_unit_that_fits() {
        assert_eq!((bytes(512.0).as_str(), bytes(1536.0).as_str()), ("512 B", "1.5 KiB"));
    }
}
