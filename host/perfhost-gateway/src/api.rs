//! The host's own API: JSON under `/api`, `/health` for probes, `/metrics` for Prometheus.
//!
//! - `query`: strict query strings: what is not known is refused with what is
//! - `reply`: answers, and errors as `{"error":{"code","message"}}`
//! - `system`, `metrics`, `strategies`, `decisions`, `cache`, `alerts`: the handlers
//!
//! Handlers that read the store or ask the process around the gateway run on the blocking pool, so that the streams on
//! the same worker do not wait for them.

mod alerts;
mod cache;
mod decisions;
mod metrics;
pub(crate) mod query;
mod reply;
mod strategies;
mod system;

use std::rc::Rc;
use std::sync::Arc;

use http::{Method, Request, Response};
use hyper::body::Incoming;

use crate::answer::Answer;
use crate::services::Services;
use crate::worker::Worker;
use query::Query;
use reply::{Reply, Trouble};

/// What is served, for those who ask for something else.
const SERVED: &str = "/health, /metrics, /api/system/status, /api/system/resources, /api/metrics/current, \
                      /api/metrics/historical, /api/strategies, /api/strategies/history, /api/strategies/rollback, \
                      /api/knobs, /api/decisions, /api/decisions/span, /api/decisions/cycles, /api/cache, /api/alerts/active, \
                      /api/alerts/rules, /api/alerts/history, /api/alerts/statistics";

/// Answers what is not under `/v1`.
pub(crate) async fn route(worker: &Rc<Worker>, request: Request<Incoming>) -> Response<Answer> {
    answer(worker.services(), request).await.unwrap_or_else(Trouble::into_reply).into_response()
}

async fn answer(services: &Arc<Services>, request: Request<Incoming>) -> Result<Reply, Trouble> {
    let path = request.uri().path().trim_end_matches('/').to_owned();
    if path == "/health" {
        Trouble::unless_method(request.method(), &[Method::GET, Method::HEAD], "GET, HEAD")?;
        return Ok(system::health(services));
    }
    services.access.check_admin(request.method(), request.headers())?;
    let query = Query::of(request.uri());
    let get = |request: &Request<Incoming>| Trouble::unless_method(request.method(), &[Method::GET], "GET");
    let plain = |request: &Request<Incoming>| get(request).and_then(|()| query.only(&[]));
    match path.as_str() {
        "/metrics" => plain(&request).map(|()| metrics::prometheus(services))?.await,
        "/api/system/status" => plain(&request).map(|()| system::status(services))?.await,
        "/api/system/resources" => plain(&request).map(|()| system::resources(services))?.await,
        "/api/metrics/current" => get(&request).map(|()| metrics::current(services, &query))?.await,
        "/api/metrics/historical" => get(&request).map(|()| metrics::historical(services, &query))?.await,
        "/api/knobs" => plain(&request).map(|()| strategies::knobs(services))?.await,
        "/api/decisions" => get(&request).map(|()| decisions::list(services, &query))?.await,
        "/api/decisions/span" => get(&request).map(|()| decisions::span(services, &query))?.await,
        "/api/decisions/cycles" => get(&request).map(|()| decisions::cycles(services, &query))?.await,
        "/api/strategies" => match *request.method() {
            Method::GET => plain(&request).map(|()| strategies::list(services))?.await,
            Method::POST => strategies::load(services, &query, request).await,
            _ => Err(Trouble::method(request.method(), "GET, POST")),
        },
        "/api/strategies/rollback" => match *request.method() {
            Method::POST => query.only(&[]).map(|()| strategies::rollback(services, request))?.await,
            _ => Err(Trouble::method(request.method(), "POST")),
        },
        "/api/strategies/history" => get(&request).map(|()| strategies::history(services, &query))?.await,
        "/api/cache" => match *request.method() {
            Method::GET => Ok(cache::stats(services)),
            Method::DELETE => Ok(cache::clear(services)),
            _ => Err(Trouble::method(request.method(), "GET, DELETE")),
        },
        _ => match path.strip_prefix("/api/alerts/") {
            Some(below) => alerts::route(services, below, &query, request).await,
            None => Err(Trouble::not_found(&path, SERVED)),
        },
    }
}

/// Runs `work` on the blocking pool.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Trouble> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Trouble::internal(&format!("the handler failed: {error}")))
}
