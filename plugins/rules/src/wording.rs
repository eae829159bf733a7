//! The sentences that reasons are: what was measured, what follows, and the rule that says so.

use perfhost_strategy::Value;
use strategy_kit::text::Text;

use crate::course::Course;
use crate::ledger::{Entry, Phase};

/// Why a change is asked for. `course` is `None` for a rule that is no longer there.
pub fn reason(course: Option<&Course>, entry: &Entry, present: &Value, value: &Value, now_ms: u64) -> String {
    let change = |text: Text| {
        let text = text.words(entry.knob.name()).words(" from ").words(&present.to_string());
        text.words(if entry.phase == Phase::Returning { " back to " } else { " to " }).words(&value.to_string())
    };
    let Some(course) = course else {
        let text = Text::new("the rule is no longer there: ");
        return change(text).words("; it was `").words(&entry.rule).words("`").done();
    };
    let mut text = measured(course);
    if let Some(since_ms) = course.watch.met_since_ms.filter(|_| entry.phase == Phase::Holding) {
        text = text.words(" since ").integer((now_ms.saturating_sub(since_ms) / 1_000) as i64).words(" s");
    }
    text = change(text.words(": ")).words(" by the rule ");
    if let Some(name) = &course.rule.name {
        text = text.words(name).words(" ");
    }
    text.words("`").words(&course.rule.text).words("`").done()
}

/// The first condition's metric with its value.
fn measured(course: &Course) -> Text {
    let Some(condition) = course.condition() else { return Text::default() };
    let text = Text::new(&condition.written);
    match course.value {
        None => text.words(" is not measured"),
        Some(share) if condition.unit == "ratio" => text.words(" is ").percent(share),
        Some(bytes) if condition.unit == "bytes" => text.words(" is ").mebibytes(bytes),
        Some(value) if condition.unit == "count" => text.words(" is ").number(value),
        Some(value) => text.words(" is ").number(value).words(" ").words(condition.unit),
    }
}
