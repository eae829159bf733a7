//! Lays out results: tables for people, JSON for programs.

use std::io::Write;

use anyhow::Result;
use serde::Serialize;

use crate::cli::Output;

/// Words of a cell that counts as a number.
const MOST_WORDS: usize = 4;

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
    // A sentence may begin with a number; a number with its unit, or a change of one, has few words.
    let is_number = |text: &String| {
        let begins_so = text.starts_with(|c: char| c.is_ascii_digit());
        text.is_empty() || text == "-" || begins_so && text.split(' ').count() <= MOST_WORDS
    };
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

/// Text in lines of at most `width` characters, broken between words; the second line and those after it begin with
/// `indent`. A word that is longer than a line has one for itself; a no-break space (U+00A0) holds words together.
pub fn wrapped(text: &str, indent: &str, width: usize) -> String {
    let words = text.trim_start_matches(' ');
    let mut lines = text[..text.len() - words.len()].to_owned();
    let mut used = lines.len();
    for (at, word) in words.split(' ').enumerate() {
        let length = word.chars().count();
        if at > 0 && used + 1 + length > width {
            lines += "\n";
            lines += indent;
            used = indent.chars().count();
        } else if at > 0 {
            lines.push(' ');
            used += 1;
        }
        lines += word;
        used += length;
    }
    lines.replace('\u{a0}', " ")
}

/// Text cut to `width` characters, with a sign where something is missing.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// How many of something: `1 error`, `2 errors`.
pub fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
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

/// A share from 0 to 1 with two digits that count: `5 %`, `1.5 %`, `0.015 %`.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent <= 0.0 || !percent.is_finite() {
        return "0 %".to_owned();
    }
    let places = (1.0 - percent.log10().floor()).clamp(0.0, 12.0) as usize;
    let written = format!("{percent:.places$}");
    let written = if places > 0 { written.trim_end_matches('0').trim_end_matches('.') } else { &written };
    format!("{written} %")
}

/// The first digits of a digest: enough to name it in a command.
pub fn digest(whole: &str) -> &str {
    whole.get(..12).unwrap_or(whole)
}

/// A moment, from Unix time in milliseconds: `2026-01-31 12:00:05Z`.
pub fn moment(at_ms: u64) -> String {
    let (days, seconds) = (at_ms / 86_400_000, at_ms / 1_000 % 86_400);
    let (year, month, day) = date(days);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}Z", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// Howard Hinnant's `civil_from_days`, for days since 1970: years begin in March, so the leap day is a year's last.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day_of_year - (153 * from_march + 2) / 5 + 1)
}

/// A length of time with its two largest units.
pub fn duration(length_ms: u64) -> String {
    let seconds = length_ms / 1_000;
    match seconds {
        0 => format!("{length_ms} ms"),
        1..60 => format!("{seconds} s"),
        60..3_600 => format!("{} m {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_flush_right_and_words_flush_left() {
        let rows = vec![vec!["a".to_owned(), "5".to_owned()], vec!["long".to_owned(), "12".to_owned()]];
        assert_eq!(table(&["name", "count"], &rows), "name  count\na         5\nlong     12\n");
        let rows = ["3 of 9 requests wait too long", "2 do"].map(|why| vec![why.to_owned()]);
        assert_eq!(table(&["why"], &rows), "why\n3 of 9 requests wait too long\n2 do\n");
    }

    #[test]
    fn long_text_is_broken_between_words_or_cut() {
        assert_eq!(wrapped("    one two three four", "      ", 12), "    one two\n      three\n      four");
        assert_eq!(wrapped("a bbbbbbbbbbbb c", "", 5), "a\nbbbbbbbbbbbb\nc");
        assert_eq!(wrapped("one 4.0\u{a0}KiB", "", 10), "one\n4.0 KiB");
        assert_eq!(
            (cut("größer", 6), cut("größer", 4), counted(1, "note")),
            ("größer".into(), "grö…".into(), "1 note".into())
        );
    }

    #[test]
    fn bytes_are_shown_in_the_unit_that_fits() {
        assert_eq!((bytes(512.0).as_str(), bytes(1536.0).as_str()), ("512 B", "1.5 KiB"));
    }

    #[test]
    fn moments_and_lengths_of_time_read_as_people_write_them() {
        assert_eq!(moment(0), "1970-01-01 00:00:00Z");
        assert_eq!(moment(1_709_209_815_250), "2024-02-29 12:30:15Z");
        assert_eq!(moment(1_735_689_599_999), "2024-12-31 23:59:59Z");
        let lengths = [999, 59_999, 61_000, 3_660_000, 90_000_000].map(duration);
        assert_eq!(lengths, ["999 ms", "59 s", "1 m 1 s", "1 h 1 m", "1 d 1 h"]);
    }
}
