//! Writes a report as one HTML page, readable in light and dark, on paper, and without anything from elsewhere.

use super::{Report, Section, plot};

const STYLE: &str = "
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;margin:1rem 0;width:100%}
th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #8886}
td:not(:first-child){font-variant-numeric:tabular-nums}
svg{width:100%;height:auto}
figure{margin:1rem 0}
figcaption{font-size:.9rem;opacity:.8}
li{margin:.3rem 0}
";

pub(super) fn write(report: &Report) -> String {
    let title = escaped(&report.title);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title}</title>\
         <style>{STYLE}</style></head><body><main>\n<h1>{title}</h1>\n<p>{}</p>\n",
        escaped(&report.period)
    );
    page += &list(&report.summary);
    report.sections.iter().for_each(|part| page += &section(part));
    page += "<section><h2>Recommendations</h2>\n";
    if report.recommendations.is_empty() {
        page += "<p>None: nothing measured calls for a change.</p>\n";
    } else {
        page += "<ol>\n";
        for advice in &report.recommendations {
            page += &format!("<li><strong>{}</strong>{}</li>\n", escaped(&advice.action), list(&advice.evidence));
        }
        page += "</ol>\n";
    }
    page + "</section>\n</main></body></html>\n"
}

fn section(section: &Section) -> String {
    let mut text = format!("<section><h2>{}</h2>\n", escaped(&section.title));
    section.lines.iter().for_each(|line| text += &format!("<p>{}</p>\n", escaped(line)));
    if !section.columns.is_empty() && !section.rows.is_empty() {
        let header: String =
            section.columns.iter().map(|cell| format!("<th scope=\"col\">{}</th>", escaped(cell))).collect();
        text += &format!("<table><thead><tr>{header}</tr></thead><tbody>\n");
        for row in &section.rows {
            let cells: String = row.iter().map(|cell| format!("<td>{}</td>", escaped(cell))).collect();
            text += &format!("<tr>{cells}</tr>\n");
        }
        text += "</tbody></table>\n";
    }
    for picture in &section.plots {
        text +=
            &format!("<figure>{}<figcaption>{}</figcaption></figure>\n", plot::draw(picture), escaped(&picture.title));
    }
    text + "</section>\n"
}

fn list(lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let items: String = lines.iter().map(|line| format!("<li>{}</li>", escaped(line))).collect();
    format!("<ul>{items}</ul>\n")
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
