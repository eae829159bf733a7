//! The host's own API: JSON under `/api`, `/health` for probes, `/metrics` for Prometheus.
//!
//! - `route`: the table of all paths, which `openapi` describes
//! - `query`: strict query strings: what is not known is refused with what is
//! - `reply`: answers, and errors as `{"error":{"code","message"}}`
//! - `recorded`, `counted`: what history says of a range, for those below
//! - `aggregates`, `dashboard`, `findings`, `comparing`, `capacity`, `profile`, `tuning`, `reports`: what it means
//! - `system`, `metrics`, `strategies`, `decisions`, `experiments`, `alerts`, `cache`: the other handlers
//! - `stream`, `websocket`: the live feed
//!
//! Handlers that read the store or ask the process around the gateway run on the blocking pool, so that the streams on
//! the same worker do not wait for them.

mod aggregates;
mod alerts;
mod cache;
mod capacity;
mod comparing;
mod counted;
mod dashboard;
mod decisions;
mod experiments;
mod findings;
mod metrics;
mod openapi;
mod profile;
pub(crate) mod query;
mod recorded;
mod reply;
mod reports;
mod route;
mod strategies;
mod stream;
mod system;
mod tuning;
mod websocket;

use std::rc::Rc;
use std::sync::Arc;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;

use crate::answer::Answer;
use crate::feed;
use crate::services::Services;
use crate::worker::Worker;
use reply::Reply;
pub(crate) use reply::Trouble;
use route::Endpoint;
pub(crate) use system::state as status;
pub(crate) use websocket::CLOSING;

pub use reports::{Period, report_on};

/// Answers what is not under `/v1`.
pub(crate) async fn route(worker: &Rc<Worker>, mut request: Request<Incoming>) -> Response<Answer> {
    let answered = match request.uri().path() {
        "/api/metrics/stream" => stream::open(worker, &request),
        "/ws/metrics" => websocket::open(worker, &mut request),
        path if crate::dashboard::serves(path) => crate::dashboard::answer(&worker.services().access, &request),
        _ => answer(worker.services(), request).await.map(Reply::into_response),
    };
    answered.unwrap_or_else(|trouble| trouble.into_reply().into_response())
}

/// A place in the live feed.
fn reader(worker: &Worker) -> Result<feed::Reader, Trouble> {
    worker.feed().subscribe().ok_or_else(|| {
        let message = format!("{} clients read the live feed already, or the host shuts down", feed::MOST_READERS);
        Trouble::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_readers", message)
    })
}

async fn answer(services: &Arc<Services>, request: Request<Incoming>) -> Result<Reply, Trouble> {
    let path = request.uri().path().trim_end_matches('/').to_owned();
    let found = route::find(request.method(), &path);
    if !matches!(&found, Ok((route, _)) if route.endpoint == Endpoint::Health) {
        // Before anything is said about which paths there are.
        services.access.check_admin(request.method(), request.headers())?;
    }
    let (route, named) = found?;
    let query = route.check(&request)?;
    match route.endpoint {
        Endpoint::Health => Ok(system::health(services)),
        Endpoint::Prometheus => metrics::prometheus(services).await,
        Endpoint::OpenApi => Ok(openapi::document()),
        Endpoint::Status => system::status(services).await,
        Endpoint::Resources => system::resources(services).await,
        Endpoint::Current => metrics::current(services, &query).await,
        Endpoint::Historical => metrics::historical(services, &query).await,
        Endpoint::Histogram => metrics::histogram(services, &query).await,
        Endpoint::Aggregated => aggregates::aggregated(services, &query).await,
        Endpoint::Performance => aggregates::performance(services, &query).await,
        Endpoint::ModelMetrics => aggregates::model(services, &query, named).await,
        Endpoint::Overview => dashboard::overview(services).await,
        Endpoint::DashboardPerformance => dashboard::performance(services, &query).await,
        Endpoint::DashboardResources => dashboard::resources(services, &query).await,
        Endpoint::Profile => profile::list(services, &query).await,
        Endpoint::Bottlenecks => findings::bottlenecks_of(services, &query).await,
        Endpoint::Capacity => capacity::show(services, &query).await,
        Endpoint::CompareModels => comparing::models(services, &query).await,
        Endpoint::CompareOptimizations => comparing::optimizations(services, &query).await,
        Endpoint::Analyse => findings::analyse(services, &query, named).await,
        Endpoint::DailyReport => reports::report(services, &query, Period::Day).await,
        Endpoint::WeeklyReport => reports::report(services, &query, Period::Week).await,
        Endpoint::Tune => tuning::tune(services, &query, named, request).await,
        Endpoint::Strategies => strategies::list(services).await,
        Endpoint::LoadStrategy => strategies::load(services, &query, request).await,
        Endpoint::StrategyHistory => strategies::history(services, &query).await,
        Endpoint::Rollback => strategies::rollback(services, request).await,
        Endpoint::Knobs => strategies::knobs(services).await,
        Endpoint::Decisions => decisions::list(services, &query).await,
        Endpoint::DecisionSummary => decisions::summary(services, &query).await,
        Endpoint::DecisionSpan => decisions::span(services, &query).await,
        Endpoint::DecisionCycles => decisions::cycles(services, &query).await,
        Endpoint::Experiments => experiments::list(services, &query).await,
        Endpoint::StartExperiment => experiments::start(services, request).await,
        Endpoint::Experiment => experiments::status(services, named).await,
        Endpoint::StopExperiment => experiments::stop(services, named, request).await,
        Endpoint::ExperimentReport => experiments::report(services, named, &query).await,
        Endpoint::Feedback => experiments::feedback(services, request).await,
        Endpoint::ActiveAlerts => alerts::active(services).await,
        Endpoint::AlertRules => alerts::rules(services).await,
        Endpoint::AlertHistory => alerts::history(services, &query).await,
        Endpoint::AlertStatistics => alerts::statistics(services, &query).await,
        Endpoint::Acknowledge => alerts::acknowledge(services, named, request).await,
        Endpoint::Silence => alerts::silence(services, named, request).await,
        Endpoint::EndSilence => alerts::end_silence(services, named).await,
        Endpoint::TestChannel => alerts::test(services, named).await,
        Endpoint::CacheStats => cache::stats(services, &query).await,
        Endpoint::ClearCache => Ok(cache::clear(services)),
    }
}

/// Runs `work` on the blocking pool.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Trouble> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Trouble::internal(&format!("the handler failed: {error}")))
}
