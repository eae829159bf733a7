//! What the strategy says of itself: names that exist, and words for the people who choose it.

use super::finding::Severity::{Note, Warning};
use super::trial::Trial;
use crate::KnobId;
use crate::observation::metric;
use crate::strategy::Description;

pub(super) fn check<E>(trial: &mut Trial<'_, E>, description: &Description) {
    let metrics: Vec<&str> = metric::ALL.iter().map(|info| info.name).collect();
    let knobs: Vec<&str> = KnobId::ALL.iter().map(|id| id.name()).collect();
    for (what, code, names, known) in [
        ("reads", "unknown-metric", &description.reads, &metrics),
        ("turns", "unknown-knob", &description.turns, &knobs),
    ] {
        for name in names.iter().filter(|name| !known.contains(&name.as_str())) {
            let noun = if what == "reads" { "metric" } else { "knob" };
            let says = format!("it {what} {name:?}, and no {noun} is called that");
            let fix = match nearest(name, known) {
                Some(near) => format!("write {near:?}, or leave it out of `{what}`"),
                None => format!("leave it out of `{what}`, or use one of: {}", known.join(", ")),
            };
            trial.findings.add(Warning, code, name, (format!("describe, {what}"), says, fix));
        }
    }
    if !is_version(&description.version) {
        let says = format!("its version is {:?}, which is not a semantic version", description.version);
        let fix = "write major.minor.patch, such as 1.0.0: swaps and rollbacks are told apart by it";
        trial.findings.add(Warning, "version", "version", ("describe", says, fix));
    }
    for (what, words) in [("summary", &description.summary), ("goal", &description.goal)] {
        if words.trim().is_empty() {
            let fix = format!("say in one sentence what its {what} is: people choose strategies by it");
            trial.findings.add(Note, "no-words", what, ("describe", format!("its {what} is empty"), fix));
        }
    }
    for (at, parameter) in description.parameters.iter().enumerate() {
        let name = &parameter.name;
        let is_twice = description.parameters[..at].iter().any(|before| before.name == *name);
        if is_twice || name.is_empty() {
            let says = if is_twice {
                format!("parameter {name:?} is listed twice")
            } else {
                "a parameter has no name".to_owned()
            };
            let fix = "give each parameter one name of its own";
            trial.findings.add(Warning, "parameter-name", name, ("describe, parameters", says, fix));
        } else if parameter.meaning.trim().is_empty() {
            let says = format!("parameter {name:?} has no meaning");
            let fix = "say in one sentence what setting it does";
            trial.findings.add(Note, "no-words", name, ("describe, parameters", says, fix));
        }
    }
}

/// `major.minor.patch`, perhaps with more after `-` or `+`.
fn is_version(text: &str) -> bool {
    let core = text.split(['-', '+']).next().unwrap_or(text);
    let parts: Vec<&str> = core.split('.').collect();
    parts.len() == 3 && parts.iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The known name that is written most like `name`, if one is.
pub(super) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let name: String = name.to_lowercase().replace(['-', ' ', '.'], "_");
    let near = known.iter().map(|known| (edits(&name, known), *known)).min()?;
    (near.0 <= 2 + name.len() / 4).then_some(near.1)
}

/// Levenshtein's distance in bytes, one row at a time.
fn edits(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, byte) in one.bytes().take(100).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (column, other) in other.bytes().enumerate() {
            let changed = diagonal + usize::from(byte != other);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_is_recognised_and_another_is_not() {
        let known = ["time_to_first_token_ms", "tokens_per_second", "error_rate"];
        assert_eq!(nearest("time-to-first-token", &known), Some("time_to_first_token_ms"));
        assert_eq!(nearest("eror_rate", &known), Some("error_rate"));
        assert_eq!(nearest("gpu_fan_speed", &known), None);
    }

    #[test]
    fn versions_have_three_numbers() {
        assert!(is_version("0.1.0") && is_version("1.2.3-rc.1+build"));
        assert!(!is_version("1.0") && !is_version("v1.0.0") && !is_version(""));
    }
}
