//! What was found about a strategy: how bad, where, what, and what to do about it.

use serde::{Deserialize, Serialize};

/// Different findings that are kept; further ones are counted.
const MOST_FINDINGS: usize = 200;

/// Characters of a strategy's own words in a finding.
const MOST_CHARACTERS: usize = 400;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Good to know.
    Note,
    /// It works, and not as well as it could.
    Warning,
    /// The contract is broken, or calls fail.
    Error,
}

/// Lines of a strategy's log in a finding.
const MOST_LOG_LINES: usize = 8;

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// A stable word for it, for programs.
    pub code: String,
    /// What it is about: a knob, a parameter, a metric, a function of the contract, a stage. One code and one subject
    /// make one finding.
    pub subject: String,
    /// Where it was first seen: the call, and the case.
    pub place: String,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub fix: String,
    /// How often it was seen.
    pub times: u64,
    /// What the strategy last wrote to its log before a call failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
}

impl Severity {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// All findings of a check. The same thing seen again is counted, not listed again.
#[derive(Debug, Default)]
pub(super) struct Findings {
    list: Vec<Finding>,
    dropped: u64,
}

impl Findings {
    /// Notes a finding about `subject` (a knob, a call, a parameter).
    pub(super) fn add(
        &mut self,
        severity: Severity,
        code: &str,
        subject: &str,
        (place, what, fix): (impl Into<String>, impl Into<String>, impl Into<String>),
    ) {
        self.add_with_log(severity, code, subject, (place, what, fix), Vec::new);
    }

    /// As [`Findings::add`], with the last lines of a log if the finding is new.
    pub(super) fn add_with_log(
        &mut self,
        severity: Severity,
        code: &str,
        subject: &str,
        (place, what, fix): (impl Into<String>, impl Into<String>, impl Into<String>),
        log: impl FnOnce() -> Vec<String>,
    ) {
        let subject = shortened(subject);
        if let Some(known) = self.list.iter_mut().find(|known| known.subject == subject && known.code == code) {
            known.times += 1;
            return;
        }
        if self.list.len() >= MOST_FINDINGS {
            self.dropped += 1;
            return;
        }
        let lines = log();
        let last = &lines[lines.len().saturating_sub(MOST_LOG_LINES)..];
        self.list.push(Finding {
            severity,
            code: code.to_owned(),
            subject,
            place: place.into(),
            what: shortened(&what.into()),
            fix: fix.into(),
            times: 1,
            log: last.iter().map(|line| shortened(line)).collect(),
        });
    }

    /// The findings, worst first, otherwise in the order in which they were made.
    pub(super) fn sorted(self) -> Vec<Finding> {
        let mut list = self.list;
        if self.dropped > 0 {
            list.push(Finding {
                severity: Severity::Note,
                code: "more".to_owned(),
                subject: String::new(),
                place: "everywhere".to_owned(),
                what: format!("{} further findings are not listed", self.dropped),
                fix: "mend those that are listed and check again".to_owned(),
                times: 1,
                log: Vec::new(),
            });
        }
        list.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        list
    }
}

/// Text short enough for a line or two.
pub(super) fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(MOST_CHARACTERS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(findings: &mut Findings, severity: Severity, subject: &str) {
        findings.add(severity, "code", subject, ("here", "what", "fix"));
    }

    #[test]
    fn the_same_of_the_same_is_counted_and_the_worst_comes_first() {
        let mut findings = Findings::default();
        for subject in ["one", "other", "one"] {
            add(&mut findings, Severity::Note, subject);
        }
        findings.add_with_log(Severity::Error, "trap", "propose", ("there", "é".repeat(500), "fix"), || {
            (0..20).map(|line| line.to_string()).collect()
        });
        let sorted = findings.sorted();
        let seen: Vec<(&str, u64)> = sorted.iter().map(|one| (one.subject.as_str(), one.times)).collect();
        assert_eq!(seen, [("propose", 1), ("one", 2), ("other", 1)]);
        assert_eq!((sorted[0].what.chars().count(), sorted[0].log.len()), (MOST_CHARACTERS + 1, MOST_LOG_LINES));
        assert_eq!(sorted[0].log.last().map(String::as_str), Some("19"));
    }

    #[test]
    fn a_flood_of_findings_is_cut_and_says_so() {
        let mut findings = Findings::default();
        (0..MOST_FINDINGS + 3).for_each(|at| add(&mut findings, Severity::Warning, &at.to_string()));
        let sorted = findings.sorted();
        assert_eq!(sorted.len(), MOST_FINDINGS + 1);
        assert!(sorted[MOST_FINDINGS].what.contains("3 further findings"), "{:?}", sorted[MOST_FINDINGS]);
    }
}
