//! `/api/alerts`: what fires, what fired, and what people say to it.

use std::sync::Arc;

use http::Request;
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

/// `GET /api/alerts/active`.
pub(crate) async fn active(services: &Arc<Services>) -> Result<Reply, Trouble> {
    answer(services, AlertsAsk::Active).await
}

/// `GET /api/alerts/rules`.
pub(crate) async fn rules(services: &Arc<Services>) -> Result<Reply, Trouble> {
    answer(services, AlertsAsk::Rules).await
}

/// `GET /api/alerts/history`.
pub(crate) async fn history(services: &Arc<Services>, query: &Query) -> Result<Reply, Trouble> {
    let ask = AlertsAsk::History {
        limit: query.number("limit", 1..=MOST)?.unwrap_or(DEFAULT_LIMIT) as usize,
        before: query.number("before", 0..=u64::MAX)?,
        rule: query.text("rule").map(str::to_owned),
    };
    answer(services, ask).await
}

/// `GET /api/alerts/statistics`.
pub(crate) async fn statistics(services: &Arc<Services>, query: &Query) -> Result<Reply, Trouble> {
    answer(services, AlertsAsk::Statistics { since_ms: query.moment("since", now_ms())? }).await
}

/// `POST /api/alerts/{id}/acknowledge`.
pub(crate) async fn acknowledge(
    services: &Arc<Services>,
    id: String,
    request: Request<Incoming>,
) -> Result<Reply, Trouble> {
    let id = number(&id)?;
    let Said { by, comment } = body(services, request, true).await?;
    let ask = AlertsAsk::Acknowledge { id, by: short("by", by)?, comment: short("comment", comment)? };
    answer(services, ask).await
}

/// `POST /api/alerts/{id}/silence`, with the number of an alert or the name of a rule.
pub(crate) async fn silence(
    services: &Arc<Services>,
    target: String,
    request: Request<Incoming>,
) -> Result<Reply, Trouble> {
    let target = target.parse().map_or_else(|_| AlertTarget::Rule(target), AlertTarget::Alert);
    let Silenced { length, by, comment } = body(services, request, false).await?;
    let length = moment::duration(&length)
        .ok_or_else(|| Trouble::invalid(format!("for={length:?} is not a length of time; write 10m, 2h or 7d")))?;
    let ask = AlertsAsk::Silence { target, length, by: short("by", by)?, comment: short("comment", comment)? };
    answer(services, ask).await
}

/// `DELETE /api/alerts/silences/{id}`.
pub(crate) async fn end_silence(services: &Arc<Services>, id: String) -> Result<Reply, Trouble> {
    let id = number(&id)?;
    answer(services, AlertsAsk::EndSilence { id }).await
}

/// `POST /api/alerts/channels/{name}/test`.
pub(crate) async fn test(services: &Arc<Services>, channel: String) -> Result<Reply, Trouble> {
    answer(services, AlertsAsk::Test { channel }).await
}

async fn answer(services: &Arc<Services>, ask: AlertsAsk) -> Result<Reply, Trouble> {
    let control = services.control.clone();
    Ok(Reply::json(&blocking(move || control.alerts(ask)).await??))
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
