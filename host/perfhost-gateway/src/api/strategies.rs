//! `/api/strategies`: what is in service, what was, loading another, going back. `/api/knobs`: what strategies turn.

use std::sync::Arc;

use http::{Request, header};
use hyper::body::Incoming;
use serde::Deserialize;

use super::blocking;
use super::query::Query;
use super::reply::{Reply, Trouble};
use crate::control::StrategySource;
use crate::receive::receive;
use crate::services::Services;

/// The body of a load by name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ByName {
    name: String,
    digest: Option<String>,
}

/// Carries an uploaded plugin's signature: base64 does not sit well in a query.
const SIGNATURE: &str = "x-perfhost-signature";

/// The body of a rollback; empty for the strategy before.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Back {
    to: Option<u64>,
}

const DEFAULT_LIMIT: u64 = 50;
const MOST: u64 = 1_000;

pub(crate) async fn list(services: &Arc<Services>) -> Result<Reply, Trouble> {
    let control = services.control.clone();
    Ok(Reply::json(&blocking(move || control.strategies()).await?))
}

pub(crate) async fn knobs(services: &Arc<Services>) -> Result<Reply, Trouble> {
    let control = services.control.clone();
    Ok(Reply::json(&blocking(move || control.knobs()).await?))
}

/// Takes `{"name": …, "digest": …}` as JSON, or a plugin file as `application/wasm` with `?name=` and `&digest=`. A digest
/// that is given is checked. With `?in_service=false` the strategy is loaded and kept at hand.
pub(crate) async fn load(
    services: &Arc<Services>,
    query: &Query,
    request: Request<Incoming>,
) -> Result<Reply, Trouble> {
    let is_file = request
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().to_ascii_lowercase().starts_with(b"application/wasm"));
    query.only(if is_file { &["name", "digest", "in_service"] } else { &["in_service"] })?;
    let serves = match query.text("in_service") {
        None | Some("true") => true,
        Some("false") => false,
        Some(other) => return Err(Trouble::invalid(format!("in_service={other:?} is neither true nor false"))),
    };
    let signature = match request.headers().get(SIGNATURE).map(|value| value.to_str()) {
        Some(Ok(text)) => Some(text.to_owned()),
        Some(Err(_)) => return Err(Trouble::invalid(format!("the header {SIGNATURE} is not base64"))),
        None => None,
    };
    let limits = services.limits;
    let body = receive(request.into_body(), limits.plugin_bytes, limits.body_timeout).await?;
    let source = if is_file {
        let name = query.text("name").filter(|name| !name.is_empty()).ok_or_else(|| {
            Trouble::invalid("an uploaded strategy needs a name: POST /api/strategies?name=my-strategy")
        })?;
        let digest = query.text("digest").map(str::to_owned);
        StrategySource::Uploaded { name: name.to_owned(), bytes: body.into(), digest, signature }
    } else {
        let wanted: ByName = serde_json::from_slice(&body)
            .map_err(|error| Trouble::invalid(format!("the body is not {{\"name\":\"…\"}}: {error}")))?;
        StrategySource::Named { name: wanted.name, digest: wanted.digest }
    };
    let control = services.control.clone();
    let done = blocking(move || if serves { control.load(source) } else { control.keep(source) }).await?;
    Ok(Reply::json(&done?))
}

/// Takes nothing, or `{"to": …}` with the number of a generation.
pub(crate) async fn rollback(services: &Arc<Services>, request: Request<Incoming>) -> Result<Reply, Trouble> {
    let limits = services.limits;
    let body = receive(request.into_body(), limits.body_bytes, limits.body_timeout).await?;
    let back: Back = if body.is_empty() {
        Back::default()
    } else {
        serde_json::from_slice(&body)
            .map_err(|error| Trouble::invalid(format!("the body is neither empty nor {{\"to\":number}}: {error}")))?
    };
    let control = services.control.clone();
    Ok(Reply::json(&blocking(move || control.rollback(back.to)).await??))
}

pub(crate) async fn history(services: &Arc<Services>, query: &Query) -> Result<Reply, Trouble> {
    query.only(&["limit", "before"])?;
    let limit = query.number("limit", 1..=MOST)?.unwrap_or(DEFAULT_LIMIT) as usize;
    let before = query.number("before", 0..=u64::MAX)?;
    let control = services.control.clone();
    Ok(Reply::json(&blocking(move || control.generations(limit, before)).await??))
}
