//! `/api/experiments`: starting, watching, stopping and reporting experiments; `/api/feedback`: scores for answers.

use std::sync::Arc;

use http::Request;
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::Value;

use super::blocking;
use super::query::Query;
use super::reply::{Reply, Trouble};
use crate::control::ReportFormat;
use crate::receive::receive;
use crate::services::Services;

const DEFAULT_LIMIT: u64 = 20;
const MOST: u64 = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stop {
    #[serde(default)]
    why: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Feedback {
    request_id: String,
    score: f64,
}

/// `GET /api/experiments/{id}`.
pub(crate) async fn status(services: &Arc<Services>, id: String) -> Result<Reply, Trouble> {
    let (id, experiments) = (number(&id)?, services.experiments.clone());
    Ok(Reply::json(&blocking(move || experiments.status(id)).await??))
}

/// `POST /api/feedback`.
pub(crate) async fn feedback(services: &Arc<Services>, request: Request<Incoming>) -> Result<Reply, Trouble> {
    let shape = "{\"request_id\": the answer's x-perfhost-request-id, \"score\": 0 to 1}";
    let Feedback { request_id, score } = read(services, request, shape).await?;
    if !(0.0..=1.0).contains(&score) {
        return Err(Trouble::invalid(format!("score is {score}; allowed is 0 (bad) to 1 (good)")));
    }
    let experiments = services.experiments.clone();
    Ok(Reply::json(&blocking(move || experiments.feedback(&request_id, score)).await??))
}

/// `GET /api/experiments`.
pub(crate) async fn list(services: &Arc<Services>, query: &Query) -> Result<Reply, Trouble> {
    let limit = query.number("limit", 1..=MOST)?.unwrap_or(DEFAULT_LIMIT) as usize;
    let experiments = services.experiments.clone();
    Ok(Reply::json(&blocking(move || experiments.list(limit)).await??))
}

/// `POST /api/experiments`.
pub(crate) async fn start(services: &Arc<Services>, request: Request<Incoming>) -> Result<Reply, Trouble> {
    let wanted: Value = read(services, request, "{\"arms\": [\"balanced\", \"aggressive\"]}").await?;
    let experiments = services.experiments.clone();
    Ok(Reply::json(&blocking(move || experiments.start(wanted)).await??))
}

/// `POST /api/experiments/{id}/stop`.
pub(crate) async fn stop(services: &Arc<Services>, id: String, request: Request<Incoming>) -> Result<Reply, Trouble> {
    let id = number(&id)?;
    let limits = services.limits;
    let body = receive(request.into_body(), limits.body_bytes, limits.body_timeout).await?;
    let why = match body.is_empty() {
        true => None,
        false => parse::<Stop>(&body, "empty, or {\"why\": …}")?.why,
    };
    let experiments = services.experiments.clone();
    let why = why.unwrap_or_else(|| "somebody stopped it".to_owned());
    Ok(Reply::json(&blocking(move || experiments.stop(id, &why)).await??))
}

/// `GET /api/experiments/{id}/report`.
pub(crate) async fn report(services: &Arc<Services>, id: String, query: &Query) -> Result<Reply, Trouble> {
    let id = number(&id)?;
    let name = query.text("format").unwrap_or("json").to_owned();
    let format = ReportFormat::of(&name)
        .ok_or_else(|| Trouble::invalid(format!("format={name:?} is not known; known are {}", ReportFormat::NAMES)))?;
    let experiments = services.experiments.clone();
    let written = blocking(move || experiments.report(id, format)).await??;
    Ok(Reply::text(format.content_type(), written))
}

fn number(id: &str) -> Result<u64, Trouble> {
    id.parse().map_err(|_| Trouble::invalid(format!("{id:?} is no experiment's number")))
}

async fn read<T: for<'a> Deserialize<'a>>(
    services: &Arc<Services>,
    request: Request<Incoming>,
    shape: &str,
) -> Result<T, Trouble> {
    let limits = services.limits;
    let body = receive(request.into_body(), limits.body_bytes, limits.body_timeout).await?;
    parse(&body, shape)
}

fn parse<T: for<'a> Deserialize<'a>>(body: &[u8], shape: &str) -> Result<T, Trouble> {
    serde_json::from_slice(body).map_err(|error| Trouble::invalid(format!("the body is not {shape}: {error}")))
}
