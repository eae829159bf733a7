//! `[[rule]]` tables: each part is checked where it was written, then they become the text that the `rules` strategy reads.

use perfhost_strategy::rule::{Action, Rule, RuleError, Trigger, parse_duration, parse_name};

use super::load::ConfigError;
use super::raw::RawRule;

/// The strategy that reads rules.
pub(super) const STRATEGY: &str = "rules";
/// Its parameter that holds them.
pub(super) const PARAMETER: &str = "rules";

/// The rules as a text, one a line.
pub(super) fn text(tables: &[RawRule]) -> Result<String, ConfigError> {
    let lines = tables.iter().enumerate().map(|(at, table)| line(at, table)).collect::<Result<Vec<_>, _>>()?;
    let text = lines.join("\n");
    // The parts are right, each by itself: what is wrong now is how they go together.
    Rule::parse_all(&text).map_err(|error| {
        let at = error.position.rule.unwrap_or(1) - 1;
        let title = tables.get(at).map_or_else(String::new, |table| title(at, table));
        ConfigError::value(format!("rule[{at}]"), format!("{title}: {}", error.problem))
    })?;
    Ok(text)
}

fn line(at: usize, table: &RawRule) -> Result<String, ConfigError> {
    let place = |key: &str| format!("rule[{at}].{key}");
    let wrong = |key: &str, error: RuleError| ConfigError::value(place(key), format!("{}, {error}", title(at, table)));
    let missing = |key: &str, message: &str| ConfigError::value(place(key), format!("{}: {message}", title(at, table)));
    let duration = |key: &str, given: &Option<String>| match given {
        Some(text) => {
            parse_duration(text).map(|_| format!(" {key} {}", one_line(text))).map_err(|error| wrong(key, error))
        }
        None => Ok(String::new()),
    };
    let name = match &table.name {
        Some(name) => parse_name(name).map(|name| name + ": ").map_err(|error| wrong("name", error))?,
        None => String::new(),
    };
    let when = Trigger::parse(&table.when).map_err(|error| wrong("when", error))?;
    if table.hold.is_some() && !when.hold.is_zero() {
        return Err(missing("for", "`when` says for how long already: say it in one of them"));
    }
    let actions = table.actions.as_slice();
    if actions.is_empty() {
        return Err(missing("do", "found nothing, expected an action or a list of them"));
    }
    for (number, action) in actions.iter().enumerate() {
        let key = if actions.len() > 1 { format!("do[{number}]") } else { "do".to_owned() };
        Action::parse(action).map_err(|error| wrong(&key, error))?;
    }
    let until = match &table.until {
        Some(until) => {
            Trigger::parse(until).map_err(|error| wrong("until", error))?;
            format!(" until {}", one_line(until))
        }
        None => String::new(),
    };
    Ok([
        name,
        one_line(&table.when),
        duration("for", &table.hold)?,
        format!(" -> {}", actions.iter().map(|action| one_line(action)).collect::<Vec<_>>().join(", ")),
        until,
        duration("every", &table.every)?,
        duration("cooldown", &table.cooldown)?,
        if table.keep == Some(true) { " keep".to_owned() } else { String::new() },
    ]
    .concat())
}

/// How messages name the rule: people count from 1.
fn title(at: usize, table: &RawRule) -> String {
    match &table.name {
        Some(name) => format!("rule {} ({name})", at + 1),
        None => format!("rule {}", at + 1),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::raw::Raw;

    fn of(toml: &str) -> Result<String, String> {
        let raw: Raw = toml::from_str(toml).map_err(|error| error.to_string())?;
        text(&raw.rule).map_err(|error| error.to_string())
    }

    #[test]
    fn tables_become_lines() {
        let tables = r#"
            [[rule]]
            name = "hot"
            when = "cpu_usage > 7.0"
            for = "5m"
            do = ["enable_aggressive_caching", "set engine_slots@local = 2"]
            until = "cpu_usage < 5.0 for 2m"
            every = "1m"
            cooldown = "10m"
            keep = true

            [[rule]]
            when = """error_rate@local > 5%
                      and requests_per_second > 1 for 1m"""
            do = "avoid_provider"
            keep = false
        "#;
        let lines = "hot: cpu_usage > 7.0 for 5m -> enable_aggressive_caching, set engine_slots@local = 2 \
                     until cpu_usage < 5.0 for 2m every 1m cooldown 10m keep\n\
                     error_rate@local > 5% and requests_per_second > 1 for 1m -> avoid_provider";
        assert_eq!(of(tables).as_deref(), Ok(lines));
        assert_eq!(Rule::parse_all(lines).map(|rules| rules.len()), Ok(2));
    }

    #[test]
    fn a_mistake_is_shown_with_rule_key_and_column() {
        let first = "[[rule]]\nwhen = \"cpu_usage > 7\"\ndo = \"shed_load\"\n[[rule]]\nname = \"hot\"\n";
        for (second, message) in [
            (
                "when = 'cpu_usge > 7'\ndo = 'shed_load'",
                "rule[1].when: rule 2 (hot), column 1: no metric is called `cpu_usge`; did you mean `cpu_usage`?",
            ),
            (
                "when = 'cpu_usage > 8'\ndo = ['shed_load', 'shed_lod']",
                "rule[1].do[1]: rule 2 (hot), column 1: no action is called `shed_lod`; did you mean `shed_load`?",
            ),
            (
                "when = 'cpu_usage > 8'\ndo = []",
                "rule[1].do: rule 2 (hot): found nothing, expected an action or a list of them",
            ),
            (
                "when = 'cpu_usage > 8 for 1m'\nfor = '2m'\ndo = 'shed_load'",
                "rule[1].for: rule 2 (hot): `when` says for how long already: say it in one of them",
            ),
            (
                "when = 'cpu_usage > 8'\nfor = 'ever'\ndo = 'shed_load'",
                "rule[1].for: rule 2 (hot), column 1: found `ever`, expected a duration such as 30s, 5m or 1h, at most 30d",
            ),
            (
                "when = 'cpu_usage > 8'\nuntil = 'cpu_usage < 9'\ndo = 'shed_load'",
                "rule[1]: rule 2 (hot): `until` would hold while the trigger still does; allowed is `<` with a threshold that is not above the trigger's",
            ),
            (
                "when = 'cpu_usage > 8 -> shed_load'\ndo = 'shed_load'",
                "rule[1].when: rule 2 (hot), column 15: found `->`, expected the end",
            ),
            (
                "when = 'cpu_usage > 8'\ndo = 'avoid_provider'",
                "rule[1]: rule 2 (hot): `avoid_provider` needs a provider: name one with `@` behind it, or in the trigger",
            ),
        ] {
            assert_eq!(of(&format!("{first}{second}")), Err(message.to_owned()));
        }
        let unknown =
            of(&format!("{first}when = 'cpu_usage > 8'\ndo = 'shed_load'\nthen = 'x'")).expect_err("unknown key");
        assert!(unknown.contains("unknown field `then`") && unknown.contains("line 8"), "{unknown}");
    }
}
