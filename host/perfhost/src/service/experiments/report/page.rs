//! A report as one HTML page that needs nothing else: no scripts, no fonts, no other files.

use super::super::record::Record;
use super::plot::{by_class, escape, over_time};
use super::{Table, Told};

const STYLE: &str = "
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1c2126; background: #fff }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2rem } h3 { font-size: 1rem; font-weight: 600 }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid #d8dee4; vertical-align: top }
th { font-weight: 600 } .outcome { font-size: 1.1rem; border-left: 4px solid #2563a8; padding-left: .8rem }
.note { color: #57606a } svg { width: 100%; height: auto; font: 12px system-ui, sans-serif; fill: #57606a }
.band { fill: #2563a8; fill-opacity: .18 } .effect { fill: none; stroke: #2563a8; stroke-width: 2 }
.zero { stroke: #57606a; stroke-dasharray: 4 4 } .range { stroke: #2563a8; stroke-width: 2 } .mark { fill: #2563a8 }
@media (prefers-color-scheme: dark) {
  body { color: #e6edf3; background: #0d1117 } th, td { border-color: #30363d } .note { color: #9aa4af }
  svg { fill: #9aa4af } .band, .mark { fill: #6ea8e8 } .effect, .range { stroke: #6ea8e8 } .outcome { border-color: #6ea8e8 }
}";

/// The page.
pub(super) fn page(told: &Told, record: &Record) -> String {
    let mut body = format!("<h1>{}</h1>\n<p class='outcome'>{}</p>\n", escape(&told.title), escape(&told.outcome));
    if let Some(next) = &told.next {
        body += &format!("<p>Next: {}</p>\n", escape(next));
    }
    let plots = over_time(record);
    if !plots.is_empty() {
        body += "<h2>Effect over time</h2>\n<p class='note'>The line is the change so far, the band what was not excluded \
                 at that time; the band holds at every look together.</p>\n";
        body += &plots;
    }
    for told in told.tables.iter().filter(|table| !table.rows.is_empty()) {
        body += &table(told);
        if told.title == "By workload class" {
            body += &by_class(record);
        }
    }
    body += "<h2>Terms</h2>\n<table>\n";
    for (name, fact) in &told.facts {
        body += &format!("<tr><th>{name}</th><td>{}</td></tr>\n", escape(fact));
    }
    body += "</table>\n";
    format!(
        "<!doctype html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n\
         <meta name='viewport' content='width=device-width, initial-scale=1'>\n<title>{}</title>\n\
         <style>{STYLE}\n</style>\n</head>\n<body>\n{body}</body>\n</html>\n",
        escape(&told.title)
    )
}

fn table(table: &Table) -> String {
    let mut html = format!("<h2>{}</h2>\n", table.title);
    if !table.note.is_empty() {
        html += &format!("<p class='note'>{}</p>\n", escape(table.note));
    }
    let cells = |tag: &str, cells: &mut dyn Iterator<Item = &str>| -> String {
        cells.map(|cell| format!("<{tag}>{}</{tag}>", escape(cell))).collect()
    };
    html += &format!("<table>\n<tr>{}</tr>\n", cells("th", &mut table.header.iter().copied()));
    for row in &table.rows {
        html += &format!("<tr>{}</tr>\n", cells("td", &mut row.iter().map(String::as_str)));
    }
    html + "</table>\n"
}
