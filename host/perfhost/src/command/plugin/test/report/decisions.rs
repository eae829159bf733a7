//! What a strategy decided in a run: each change with its effect, and the refusals by reason.

use perfhost_simulation::Account;
use perfhost_strategy::{Decision, KnobId, Verdict};

use super::{clock, seconds, written};
use crate::command::print::{number, wrapped};

/// Decisions shown one by one, and reasons for refusal shown with their count; more are in the JSON.
const MOST_DECISIONS: usize = 40;
const MOST_REASONS: usize = 5;

/// Where the second line of a decision begins.
const INDENT: &str = "          ";

/// What was applied, one by one, and why the rest was refused.
pub(super) fn decisions(account: &Account, width: usize) -> String {
    let taken: Vec<&Decision> = account.decisions.iter().filter(|decision| decision.applied.is_some()).collect();
    let mut text = format!("\nDecisions: {} applied", taken.len());
    let rolled_back = taken.iter().filter(|decision| decision.verdict == Verdict::RolledBack).count();
    text += &format!(", {rolled_back} of them rolled back; {} refused\n", account.decisions.len() - taken.len());
    for decision in taken.iter().take(MOST_DECISIONS) {
        text += &told(decision, width);
    }
    if taken.len() > MOST_DECISIONS {
        text += &format!("  and {} more (--output json has all)\n", taken.len() - MOST_DECISIONS);
    }
    let mut reasons: Vec<(&str, usize)> = Vec::new();
    for decision in account.decisions.iter().filter(|decision| decision.applied.is_none()) {
        // Digits in refusals count seconds and decisions; what is said before them is the reason.
        let reason = decision.detail.split(|c: char| c.is_ascii_digit()).next().unwrap_or("").trim();
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => reasons.push((reason, 1)),
        }
    }
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    for (reason, count) in reasons.iter().take(MOST_REASONS) {
        text += &format!("{}\n", wrapped(&format!("  {count} x refused: {reason} …"), "    ", width));
    }
    text
}

fn told(decision: &Decision, width: usize) -> String {
    let unit = KnobId::by_name(&decision.proposal.name).map_or("", |id| id.knob().unit);
    let verdict = match decision.verdict {
        Verdict::Applied => "applied",
        Verdict::Clamped => "clamped",
        Verdict::Refused => "refused",
        Verdict::RolledBack => "ROLLED BACK",
    };
    let effect = decision.measured.as_ref().map(|measured| {
        let (before, after) = (number(measured.before), number(measured.after));
        let expected = decision.proposal.expected.as_ref().filter(|expected| expected.metric == measured.metric);
        let expected = expected
            .map_or(String::new(), |expected| format!(", expected {}", number(measured.before * expected.ratio)));
        format!("; {} {before} > {after}{expected}", measured.metric)
    });
    let applied = decision.applied.as_ref().map_or("-".to_owned(), |value| written(value, unit));
    let change = format!(
        "  {:>6}  {} of {}: {} > {applied}, {verdict}{}",
        clock(seconds(decision.at_ms)),
        decision.proposal.name,
        decision.proposal.scope,
        written(&decision.before, unit),
        effect.unwrap_or_default(),
    );
    let line = |text: &str| wrapped(text, INDENT, width) + "\n";
    let mut text = line(&change) + &line(&format!("{INDENT}{}", decision.proposal.reason));
    if decision.verdict == Verdict::RolledBack {
        text += &line(&format!("{INDENT}{}", decision.detail));
    }
    text
}
