//! The text in which rules under way survive an instance: a heading, then one line a rule or change with tabs between
//! its fields.
//!
//! It changes when something happened, and once a minute while a rule counts: the time of the last look tells the next
//! instance how long nobody looked.

use perfhost_strategy::knob::parse_value;
use perfhost_strategy::rule::Watch;
use perfhost_strategy::{KnobId, Value};
use strategy_kit::types::Fault;

use crate::course::Tally;
use crate::ledger::{Entry, Ledger, Phase, Put};
use crate::strategy::Rules;

const HEADING: &str = "perfhost-rules 1";
const MINUTE_MS: u64 = 60_000;

/// Everything under way as bytes; empty when nothing is and nothing was learned.
pub fn save(rules: &Rules) -> Vec<u8> {
    let is_new = |watch: &Watch, tally: Tally| *watch == Watch::default() && tally == Tally::default();
    let courses: Vec<_> = rules.courses.iter().filter(|course| !is_new(&course.watch, course.tally)).collect();
    if courses.is_empty() && rules.ledger.entries.is_empty() {
        return Vec::new();
    }
    let is_counting = |watch: &Watch| watch.met_since_ms.is_some() || watch.fired_ms.is_some();
    let seen_ms = if courses.iter().any(|course| is_counting(&course.watch)) { rules.seen_ms } else { 0 };
    let mut lines = vec![HEADING.to_owned(), (seen_ms - seen_ms % MINUTE_MS).to_string()];
    for course in courses {
        let Watch { met_since_ms, fired_ms, clear_since_ms, rests_until_ms } = course.watch;
        let times =
            [met_since_ms, fired_ms, clear_since_ms].map(|time| time.map_or("-".to_owned(), |ms| ms.to_string()));
        let counts = [rests_until_ms, u64::from(course.tally.measured), u64::from(course.tally.helped)];
        let counts = counts.map(|count| count.to_string());
        lines.push(format!("rule\t{}\t{}\t{}", times.join("\t"), counts.join("\t"), course.rule.text));
    }
    for entry in rules.ledger.entries.iter().filter(|entry| is_plain(entry)) {
        let put = match &entry.put {
            Put::Nothing => "-".to_owned(),
            Put::Unread => "?".to_owned(),
            Put::At(value) => format!("={value}"),
        };
        let helped = entry.has_helped.map_or("-", |has_helped| if has_helped { "yes" } else { "no" });
        let (knob, phase) = (entry.knob.name(), phase_word(entry.phase));
        let Entry { rule, scope, from, goal, .. } = entry;
        lines.push(format!("change\t{knob}\t{scope}\t{from}\t{goal}\t{put}\t{phase}\t{helped}\t{rule}"));
    }
    lines.join("\n").into_bytes()
}

/// Puts saved state in the place of the present one. Rules that are not there any more have their changes taken back.
///
/// # Errors
/// `unsupported` for anything that [`save`] of this version did not write; nothing is changed then.
pub fn restore(rules: &mut Rules, state: &[u8]) -> Result<(), Fault> {
    let unsupported = || Fault::Unsupported(format!("the saved state is not of the form `{HEADING}`"));
    let read = read(state).ok_or_else(unsupported)?;
    for course in &mut rules.courses {
        let saved = read.courses.iter().find(|(text, ..)| *text == course.rule.text);
        (course.watch, course.tally) = saved.map_or_else(Default::default, |(_, watch, tally)| (*watch, *tally));
    }
    let courses = &rules.courses;
    rules.ledger = read.ledger;
    rules.ledger.release_others(|text| courses.iter().any(|course| course.rule.text == text));
    (rules.seen_ms, rules.is_restored) = (read.seen_ms, true);
    Ok(())
}

#[derive(Default)]
struct Saved {
    seen_ms: u64,
    courses: Vec<(String, Watch, Tally)>,
    ledger: Ledger,
}

fn read(state: &[u8]) -> Option<Saved> {
    let mut saved = Saved::default();
    if state.is_empty() {
        return Some(saved);
    }
    let mut lines = std::str::from_utf8(state).ok()?.split('\n');
    if lines.next() != Some(HEADING) {
        return None;
    }
    saved.seen_ms = lines.next()?.parse().ok()?;
    for line in lines {
        let fields: Vec<&str> = line.split('\t').collect();
        match fields[..] {
            ["rule", met, fired, clear, rests, measured, helped, text] => {
                let watch = Watch {
                    met_since_ms: time(met)?,
                    fired_ms: time(fired)?,
                    clear_since_ms: time(clear)?,
                    rests_until_ms: rests.parse().ok()?,
                };
                let tally = Tally { measured: measured.parse().ok()?, helped: helped.parse().ok()? };
                saved.courses.push((text.to_owned(), watch, tally));
            }
            ["change", knob, scope, from, goal, put, phase, helped, rule] => {
                let knob = KnobId::by_name(knob)?;
                let value = |text: &str| parse_value(&knob.knob().bounds, text).ok();
                saved.ledger.entries.push(Entry {
                    rule: rule.to_owned(),
                    knob,
                    scope: scope.to_owned(),
                    from: value(from)?,
                    goal: value(goal)?,
                    put: put_of(put, value)?,
                    phase: phase_of(phase)?,
                    has_helped: match helped {
                        "-" => None,
                        "yes" => Some(true),
                        "no" => Some(false),
                        _ => return None,
                    },
                });
            }
            _ => return None,
        }
    }
    Some(saved)
}

fn time(field: &str) -> Option<Option<u64>> {
    if field == "-" { Some(None) } else { field.parse().ok().map(Some) }
}

fn put_of(field: &str, value: impl Fn(&str) -> Option<Value>) -> Option<Put> {
    match field {
        "-" => Some(Put::Nothing),
        "?" => Some(Put::Unread),
        set => value(set.strip_prefix('=')?).map(Put::At),
    }
}

fn phase_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Holding => "holding",
        Phase::Kept => "kept",
        Phase::Returning => "returning",
    }
}

fn phase_of(word: &str) -> Option<Phase> {
    match word {
        "holding" => Some(Phase::Holding),
        "kept" => Some(Phase::Kept),
        "returning" => Some(Phase::Returning),
        _ => None,
    }
}

/// Whether the lines can hold it: a provider's name is the only text that is not this strategy's own.
fn is_plain(entry: &Entry) -> bool {
    !entry.scope.contains(['\t', '\n'])
}
