//! Reports for people: sections of figures, tables and curves, and recommendations that cite their evidence. Owns what a
//! report is; `markdown` and `html` write it, `plot` draws its curves.

mod html;
mod markdown;
mod plot;

use serde::{Deserialize, Serialize};

/// A report.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Its heading.
    pub title: String,
    /// The time that it is about, in words.
    pub period: String,
    /// What matters most, in a few sentences.
    pub summary: Vec<String>,
    /// Its parts.
    pub sections: Vec<Section>,
    /// What to do.
    pub recommendations: Vec<Advice>,
}

/// One part.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// Its heading.
    pub title: String,
    /// Sentences before the table.
    pub lines: Vec<String>,
    /// Columns of the table; empty for none.
    pub columns: Vec<String>,
    /// Its rows.
    pub rows: Vec<Vec<String>>,
    /// Curves.
    pub plots: Vec<Plot>,
}

/// Curves over time in one picture.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Plot {
    /// What it shows, with the unit.
    pub title: String,
    /// Time at its left edge, in words.
    pub from: String,
    /// Time at its right edge, in words.
    pub to: String,
    /// The curves.
    pub curves: Vec<Curve>,
}

/// One curve.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// Its name.
    pub name: String,
    /// Values evenly spaced from edge to edge; `None` where nothing was measured.
    pub values: Vec<Option<f64>>,
}

/// One thing to do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Advice {
    /// What.
    pub action: String,
    /// Why: the figures that it rests on.
    pub evidence: Vec<String>,
}

impl Report {
    /// As Markdown; curves become one line of blocks.
    pub fn markdown(&self) -> String {
        markdown::write(self)
    }

    /// As one HTML page that refers to nothing outside itself.
    pub fn html(&self) -> String {
        html::write(self)
    }
}

/// A number as people read it: three digits that count.
fn number(value: f64) -> String {
    match value.abs() {
        large if large >= 1e9 => format!("{:.2}G", value / 1e9),
        large if large >= 1e6 => format!("{:.2}M", value / 1e6),
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 1.0 => format!("{value:.1}"),
        0.0 => "0".to_owned(),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report {
            title: "A day <1>".to_owned(),
            period: "today".to_owned(),
            summary: vec!["All | well & good".to_owned()],
            sections: vec![Section {
                title: "Times".to_owned(),
                columns: vec!["model".to_owned(), "p95".to_owned()],
                rows: vec![vec!["a|b".to_owned(), "12".to_owned()]],
                plots: vec![Plot {
                    title: "Response time (ms)".to_owned(),
                    from: "then".to_owned(),
                    to: "now".to_owned(),
                    curves: vec![Curve {
                        name: "p95".to_owned(),
                        values: vec![Some(1.0), Some(2.0), None, Some(8.0), Some(4.0)],
                    }],
                }],
                ..Section::default()
            }],
            recommendations: vec![Advice {
                action: "raise the limit".to_owned(),
                evidence: vec!["12 requests wait".to_owned()],
            }],
        }
    }

    #[test]
    fn markdown_has_every_part_and_escapes_tables() {
        let text = report().markdown();
        for part in ["# A day", "## Times", "| a\\|b | 12 |", "▁▂ █▄", "raise the limit", "12 requests wait"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn html_is_one_page_without_foreign_parts_and_escapes_names() {
        let page = report().html();
        for part in ["<title>A day &lt;1&gt;</title>", "All | well &amp; good", "<svg", "<polyline", "raise the limit"]
        {
            assert!(page.contains(part), "{part}: {page}");
        }
        // A gap in the values is a gap in the curve.
        assert_eq!(page.matches("<polyline").count(), 2);
        for foreign in ["http://", "https://", "<script", "<link"] {
            assert!(!page.replace("http://www.w3.org/2000/svg", "").contains(foreign), "{foreign}");
        }
    }
}
