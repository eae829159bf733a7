//! The exposition format: names, escaping, and one block for each family of samples.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;

/// A family's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
    Summary,
}

/// All samples of one name.
pub(super) struct Family {
    name: String,
    kind: Kind,
    help: String,
    samples: String,
}

/// All families, by name.
#[derive(Default)]
pub(super) struct Families {
    by_name: BTreeMap<String, Family>,
    /// Names that no sample may be added to any more.
    sealed: HashSet<String>,
    /// Name and labels of what was added one by one.
    seen: HashSet<String>,
}

impl Family {
    pub(super) fn new(name: &str, kind: Kind, help: &str) -> Self {
        Self { name: legal_name(name, true), kind, help: help.to_owned(), samples: String::new() }
    }

    /// One value.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        self.line("", &label_text(labels), value);
    }

    /// A histogram's buckets; `cumulative` by upper bound, `count` for all.
    pub(super) fn buckets(&mut self, labels: &[(&str, &str)], bounds: &[f64], cumulative: &[u64], count: u64) {
        let text = label_text(labels);
        let comma = if text.is_empty() { "" } else { "," };
        for (bound, below) in bounds.iter().zip(cumulative) {
            self.line("_bucket", &format!("{text}{comma}le=\"{bound}\""), *below as f64);
        }
        self.line("_bucket", &format!("{text}{comma}le=\"+Inf\""), count as f64);
    }

    /// A histogram's or a summary's sum and count.
    pub(super) fn totals(&mut self, labels: &[(&str, &str)], count: u64, sum: f64) {
        let text = label_text(labels);
        self.line("_sum", &text, sum);
        self.line("_count", &text, count as f64);
    }

    fn line(&mut self, suffix: &str, labels: &str, value: f64) {
        let (name, samples) = (&self.name, &mut self.samples);
        // Writing to a string does not fail.
        let _ = match labels {
            "" => writeln!(samples, "{name}{suffix} {}", number(value)),
            _ => writeln!(samples, "{name}{suffix}{{{labels}}} {}", number(value)),
        };
    }
}

impl Families {
    /// Adds a family of telemetry's own.
    pub(super) fn add(&mut self, family: Family) {
        self.by_name.insert(family.name.clone(), family);
    }

    /// Adds one sample, and its family if it is the first.
    pub(super) fn sample(&mut self, name: &str, kind: Kind, help: &str, labels: &[(&str, &str)], value: f64) {
        let name = legal_name(name, true);
        if self.sealed.contains(&name) || !self.seen.insert(format!("{name}{{{}", label_text(labels))) {
            return;
        }
        let family = self.by_name.entry(name).or_insert_with_key(|name| Family::new(name, kind, help));
        family.sample(labels, value);
    }

    /// Closes all families so far, with every name that their samples can have.
    pub(super) fn seal(&mut self) {
        for family in self.by_name.values() {
            for suffix in ["", "_bucket", "_sum", "_count"] {
                self.sealed.insert(format!("{}{suffix}", family.name));
            }
        }
    }

    pub(super) fn into_text(self) -> String {
        let mut text = String::new();
        for family in self.by_name.values().filter(|family| !family.samples.is_empty()) {
            let kind = match family.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
                Kind::Summary => "summary",
            };
            let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
            let _ = write!(text, "# HELP {0} {help}\n# TYPE {0} {kind}\n{1}", family.name, family.samples);
        }
        text
    }
}

/// `name="value",…` with legal names and escaped values.
fn label_text(labels: &[(&str, &str)]) -> String {
    let mut text = String::new();
    let mut names: Vec<String> = Vec::with_capacity(labels.len());
    for (name, value) in labels {
        let name = legal_name(name, false);
        if names.contains(&name) {
            continue;
        }
        if !text.is_empty() {
            text.push(',');
        }
        let _ = write!(text, "{name}=\"");
        for character in value.chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                other => text.push(other),
            }
        }
        text.push('"');
        names.push(name);
    }
    text
}

/// The name with every character that is not allowed replaced. Colons are for metrics only.
fn legal_name(name: &str, is_metric: bool) -> String {
    let is_legal = |at: usize, character: char| {
        character.is_ascii_alphabetic()
            || character == '_'
            || (is_metric && character == ':')
            || (at > 0 && character.is_ascii_digit())
    };
    let legal: String =
        name.chars().enumerate().map(|(at, character)| if is_legal(at, character) { character } else { '_' }).collect();
    if legal.is_empty() { "_".to_owned() } else { legal }
}

fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_legal_and_values_escaped() {
        assert_eq!(legal_name("9 lives-left", true), "__lives_left");
        assert_eq!(legal_name("", false), "_");
        assert_eq!(label_text(&[("a:b", "say \"hi\"\\\n"), ("a_b", "again")]), "a_b=\"say \\\"hi\\\"\\\\\\n\"");
    }

    #[test]
    fn a_sealed_name_and_a_second_sample_are_left_out() {
        let mut families = Families::default();
        let mut own = Family::new("own", Kind::Counter, "Own.");
        own.sample(&[], 1.0);
        families.add(own);
        families.seal();
        families.sample("own", Kind::Gauge, "Not own.", &[], 2.0);
        families.sample("own_count", Kind::Gauge, "Not own.", &[], 2.0);
        families.sample("extra", Kind::Gauge, "Extra.", &[("a", "b")], 3.0);
        families.sample("extra", Kind::Gauge, "Extra.", &[("a", "b")], 4.0);
        let expected =
            "# HELP extra Extra.\n# TYPE extra gauge\nextra{a=\"b\"} 3\n# HELP own Own.\n# TYPE own counter\nown 1\n";
        assert_eq!(families.into_text(), expected);
    }
}
