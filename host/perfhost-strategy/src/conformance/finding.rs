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

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// A stable word for it, for programs.
    pub code: String,
    /// Where it was first seen: the call, and the case.
    pub place: String,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub fix: String,
    /// How often it was seen.
    pub times: u64,
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
    /// What the finding is about, beside its code: what makes it the same.
    list: Vec<(String, Finding)>,
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
        if let Some((_, known)) = self.list.iter_mut().find(|(known, one)| known == subject && one.code == code) {
            known.times += 1;
            return;
        }
        if self.list.len() >= MOST_FINDINGS {
            self.dropped += 1;
            return;
        }
        let finding = Finding {
            severity,
            code: code.to_owned(),
            place: place.into(),
            what: shortened(&what.into()),
            fix: fix.into(),
            times: 1,
        };
        self.list.push((subject.to_owned(), finding));
    }

    /// How often something of this code was seen.
    pub(super) fn times(&self, code: &str) -> u64 {
        self.list.iter().filter(|(_, finding)| finding.code == code).map(|(_, finding)| finding.times).sum()
    }

    /// The findings, worst first, otherwise in the order in which they were made.
    pub(super) fn sorted(self) -> Vec<Finding> {
        let mut list: Vec<Finding> = self.list.into_iter().map(|(_, finding)| finding).collect();
        if self.dropped > 0 {
            list.push(Finding {
                severity: Severity::Note,
                code: "more".to_owned(),
                place: "everywhere".to_owned(),
                what: format!("{} further findings are not listed", self.dropped),
                fix: "mend those that are listed and check again".to_owned(),
                times: 1,
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
