//! `/api/alerts`: what fires, what fired, and what people say to it.

use std::sync::Arc;

use http::{Method, Request};
use hyper::body::Incoming;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::blocking;
use super::query::Query;
use super::reply::{Reply, Trouble};
use crate::caching::now_ms;
use crate::control::{AlertTarget, AlertsAsk};
use crate::moment;
use crate::receive::receive;
use crate::services::Services;

const DEFAULT_LIMIT: u64 = 50;
const MOST: u64 = 1_000;
/// Longest name or comment of a person, in bytes.
const MOST_TEXT_BYTES: usize = 1_000;

/// What is served, for those who ask for something else.
const SERVED: &str = "/api/alerts/active, /api/alerts/rules, /api/alerts/history, /api/alerts/statistics, \
                      /api/alerts/{id}/acknowledge, /api/alerts/{id or rule}/silence, /api/alerts/silences/{id}, \
                      /api/alerts/channels/{name}/test";

/// The body of an acknowledgement; may be empty.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Said {
    by: String,
    comment: String,
}

/// The body of a silence.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Silenced {
    #[serde(rename = "for")]
    length: String,
    #[serde(default)]
    by: String,
    #[serde(default)]
    comment: String,
}

/// Answers what is below `/api/alerts/`.
pub(crate) async fn route(
    services: &Arc<Services>,
    below: &str,
    query: &Query,
    request: Request<Incoming>,
) -> Result<Reply, Trouble> {
    let parts: Vec<&str> = below.split('/').collect();
    let needs = |method: Method, allowed: &'static str| Trouble::unless_method(request.method(), &[method], allowed);
    let ask = match parts[..] {
        ["active" | "rules" | "history" | "statistics"] => {
            needs(Method::GET, "GET")?;
            question(parts[0], query)?
        }
        [id, "acknowledge"] => {
            needs(Method::POST, "POST")?;
            query.only(&[])?;
            let id = number(id)?;
            let Said { by, comment } = body(services, request, true).await?;
            AlertsAsk::Acknowledge { id, by: short("by", by)?, comment: short("comment", comment)? }
        }
        [target, "silence"] => {
            needs(Method::POST, "POST")?;
            query.only(&[])?;
            let target = target.parse().map_or_else(|_| AlertTarget::Rule(target.to_owned()), AlertTarget::Alert);
            let Silenced { length, by, comment } = body(services, request, false).await?;
            let length = moment::duration(&length).ok_or_else(|| {
                Trouble::invalid(format!("for={length:?} is not a length of time; write 10m, 2h or 7d"))
            })?;
            AlertsAsk::Silence { target, length, by: short("by", by)?, comment: short("comment", comment)? }
        }
        ["silences", id] => {
            needs(Method::DELETE, "DELETE")?;
            query.only(&[])?;
            AlertsAsk::EndSilence { id: number(id)? }
        }
        ["channels", channel, "test"] => {
            needs(Method::POST, "POST")?;
            query.only(&[])?;
            AlertsAsk::Test { channel: channel.to_owned() }
        }
        _ => return Err(Trouble::not_found(&format!("/api/alerts/{below}"), SERVED)),
    };
    let control = services.control.clone();
    Ok(Reply::json(&blocking(move || control.alerts(ask)).await??))
}

fn question(which: &str, query: &Query) -> Result<AlertsAsk, Trouble> {
    match which {
        "active" => query.only(&[]).map(|()| AlertsAsk::Active),
        "rules" => query.only(&[]).map(|()| AlertsAsk::Rules),
        "history" => {
            query.only(&["limit", "before", "rule"])?;
            Ok(AlertsAsk::History {
                limit: query.number("limit", 1..=MOST)?.unwrap_or(DEFAULT_LIMIT) as usize,
                before: query.number("before", 0..=u64::MAX)?,
                rule: query.text("rule").map(str::to_owned),
            })
        }
        _ => {
            query.only(&["since"])?;
            Ok(AlertsAsk::Statistics { since_ms: query.moment("since", now_ms())? })
        }
    }
}

fn number(text: &str) -> Result<u64, Trouble> {
    text.parse().map_err(|_| Trouble::invalid(format!("{text:?} is no number of an alert or silence")))
}

fn short(name: &str, text: String) -> Result<String, Trouble> {
    if text.len() > MOST_TEXT_BYTES {
        return Err(Trouble::invalid(format!("{name} is longer than {MOST_TEXT_BYTES} bytes")));
    }
    Ok(text)
}

async fn body<T: Default + DeserializeOwned>(
    services: &Arc<Services>,
    request: Request<Incoming>,
    may_be_empty: bool,
) -> Result<T, Trouble> {
    let limits = services.limits;
    let body = receive(request.into_body(), limits.body_bytes, limits.body_timeout).await?;
    if body.is_empty() && may_be_empty {
        return Ok(T::default());
    }
    let allowed = if may_be_empty { "{\"by\":\"…\",\"comment\":\"…\"} or nothing" } else { "{\"for\":\"2h\",…}" };
    serde_json::from_slice(&body).map_err(|error| Trouble::invalid(format!("the body is not {allowed}: {error}")))
}
