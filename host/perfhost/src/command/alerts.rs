//! `perfhost alerts`: what fires, what fired, and what to say to it.

use anyhow::Result;
use serde_json::{Value, json};

use super::client::{Client, encoded};
use super::print::{self, duration, moment, table};
use crate::cli::{AlertsCommand, AlertsFlags, ClientFlags};
use crate::service::alerts::in_unit;

/// Asks and prints.
pub fn run(flags: &AlertsFlags) -> Result<()> {
    match &flags.command {
        None => show("/api/alerts/active", &flags.client, active),
        Some(AlertsCommand::List(client)) => show("/api/alerts/active", client, active),
        Some(AlertsCommand::Rules(client)) => show("/api/alerts/rules", client, rules),
        Some(AlertsCommand::History { limit, rule, client }) => {
            let rule = rule.as_ref().map(|rule| format!("&rule={}", encoded(rule))).unwrap_or_default();
            show(&format!("/api/alerts/history?limit={limit}{rule}"), client, history)
        }
        Some(AlertsCommand::Statistics { since, client }) => {
            show(&format!("/api/alerts/statistics?since={}", encoded(since)), client, statistics)
        }
        Some(AlertsCommand::Acknowledge { id, comment, by, client }) => {
            let said = json!({ "by": by, "comment": comment });
            tell(&format!("/api/alerts/{id}/acknowledge"), &said, client, |answer| {
                format!("alert {} ({}) is acknowledged\n", answer["alert"]["id"], text(&answer["alert"]["rule"]))
            })
        }
        Some(AlertsCommand::Silence { target, length, comment, by, client }) => {
            let said = json!({ "for": length, "by": by, "comment": comment });
            tell(&format!("/api/alerts/{}/silence", encoded(target)), &said, client, |answer| {
                let silence = &answer["silence"];
                let until = moment(silence["until_ms"].as_u64().unwrap_or(0));
                format!("silence {}: nobody is told of {} until {until}\n", silence["id"], text(&silence["rule"]))
            })
        }
        Some(AlertsCommand::Unsilence { id, client }) => {
            let answer = Client::new(client).delete(&format!("/api/alerts/silences/{id}"))?;
            print::print(&answer, client.output, |_| format!("silence {id} is over\n"))
        }
        Some(AlertsCommand::Test { channel, client }) => {
            tell(&format!("/api/alerts/channels/{}/test", encoded(channel)), &json!({}), client, |_| {
                format!("{channel} was given a test notice; `perfhost alerts` shows whether it arrived\n")
            })
        }
    }
}

fn show(path: &str, client: &ClientFlags, layout: fn(&Value) -> String) -> Result<()> {
    print::print(&Client::new(client).get(path)?, client.output, layout)
}

fn tell(path: &str, said: &Value, client: &ClientFlags, layout: impl FnOnce(&Value) -> String) -> Result<()> {
    let answer = Client::new(client).post(path, "application/json", said.to_string().as_bytes())?;
    print::print(&answer, client.output, layout)
}

fn active(answer: &Value) -> String {
    let list = |name: &str| answer[name].as_array().into_iter().flatten();
    let rows: Vec<Vec<String>> = list("alerts")
        .map(|one| {
            let alert = &one["alert"];
            let unit = one["unit"].as_str().unwrap_or("count");
            let mut notes = Vec::new();
            if let Some(by) = alert["acknowledged"]["by"].as_str() {
                notes.push(format!("acknowledged by {}", if by.is_empty() { "somebody" } else { by }));
            }
            if let Some(until_ms) = one["silenced_until_ms"].as_u64() {
                notes.push(format!("silenced until {}", moment(until_ms)));
            }
            if let Some(by) = one["inhibited_by"].as_str() {
                notes.push(format!("inhibited by {by}"));
            }
            vec![
                alert["id"].as_u64().map_or("-".to_owned(), |id| id.to_string()),
                text(&one["state"]),
                text(&one["severity"]),
                text(&one["rule"]),
                place(&one["scope"]),
                one["value"].as_f64().map_or("-".to_owned(), |value| in_unit(value, unit)),
                text(&one["condition"]),
                moment(one["since_ms"].as_u64().unwrap_or(0)),
                notes.join(", "),
            ]
        })
        .collect();
    let mut lines = if rows.is_empty() {
        "no alert is pending or fires\n".to_owned()
    } else {
        table(&["ID", "STATE", "SEVERITY", "RULE", "SCOPE", "VALUE", "CONDITION", "SINCE", "NOTES"], &rows)
    };
    for silence in list("silences") {
        let until = moment(silence["until_ms"].as_u64().unwrap_or(0));
        let scope = if silence["scope"].is_null() { "anywhere".to_owned() } else { place(&silence["scope"]) };
        lines += &format!(
            "silence {}: {} at {scope} until {until} {}\n",
            silence["id"],
            text(&silence["rule"]),
            text(&silence["comment"])
        );
    }
    let channels: Vec<Vec<String>> = list("channels")
        .map(|channel| {
            let counts = &channel["deliveries"];
            vec![
                text(&channel["name"]),
                text(&channel["kind"]),
                text(&channel["severity"]),
                counts["delivered"].to_string(),
                counts["retried"].to_string(),
                counts["failed"].to_string(),
                counts["dropped"].to_string(),
                counts["last_error"].as_str().unwrap_or("-").to_owned(),
            ]
        })
        .collect();
    lines
        + "\n"
        + &table(&["CHANNEL", "KIND", "FROM", "DELIVERED", "RETRIED", "FAILED", "DROPPED", "LAST ERROR"], &channels)
}

fn rules(answer: &Value) -> String {
    let rows: Vec<Vec<String>> = answer["rules"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|rule| {
            let each = if rule["each"].is_null() { "host" } else { "each provider" };
            vec![
                text(&rule["name"]),
                text(&rule["severity"]),
                each.to_owned(),
                text(&rule["when"]),
                text(&rule["summary"]),
            ]
        })
        .collect();
    table(&["RULE", "SEVERITY", "FOR", "CONDITION", "MEANS"], &rows)
}

fn history(answer: &Value) -> String {
    let rows: Vec<Vec<String>> = answer["alerts"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|alert| {
            let fired_ms = alert["fired_ms"].as_u64().unwrap_or(0);
            let unit = alert["unit"].as_str().unwrap_or("count");
            let lasted =
                alert["resolved_ms"].as_u64().map(|resolved_ms| duration(resolved_ms.saturating_sub(fired_ms)));
            vec![
                alert["id"].to_string(),
                text(&alert["severity"]),
                text(&alert["rule"]),
                place(&alert["scope"]),
                moment(fired_ms),
                lasted.unwrap_or_else(|| "still firing".to_owned()),
                alert["worst"].as_f64().map_or("-".to_owned(), |value| in_unit(value, unit)),
                alert["acknowledged"]["by"].as_str().unwrap_or("-").to_owned(),
            ]
        })
        .collect();
    table(&["ID", "SEVERITY", "RULE", "SCOPE", "FIRED", "LASTED", "WORST", "ACKNOWLEDGED BY"], &rows)
}

fn statistics(answer: &Value) -> String {
    let rows: Vec<Vec<String>> = answer["rules"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|rule| {
            let time = |name: &str| rule[name].as_u64().map_or("-".to_owned(), duration);
            vec![
                text(&rule["rule"]),
                rule["fired"].to_string(),
                rule["firing"].to_string(),
                rule["acknowledged"].to_string(),
                rule["escalated"].to_string(),
                time("firing_ms"),
                time("mean_to_acknowledge_ms"),
                time("mean_to_resolve_ms"),
            ]
        })
        .collect();
    table(&["RULE", "FIRED", "FIRING", "ACKNOWLEDGED", "ESCALATED", "FIRED FOR", "TO ACKNOWLEDGE", "TO RESOLVE"], &rows)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("-").to_owned()
}

fn place(scope: &Value) -> String {
    scope.as_str().filter(|scope| !scope.is_empty()).unwrap_or("host").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pending_has_its_unit_too() {
        let one = json!({ "state": "pending", "rule": "high-memory", "scope": "", "value": 0.92, "unit": "ratio", "alert": null });
        let text = active(&json!({ "alerts": [one], "silences": [], "channels": [] }));
        assert!(text.contains("92.0 %"), "{text}");
    }
}
