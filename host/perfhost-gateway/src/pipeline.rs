//! The life of a request, phase by phase, in one function: [`answer`]. The names are those of [`Phase`].

use std::rc::Rc;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{Request, Response};
use hyper::body::Incoming;
use perfhost_strategy::plan::Operation;
use perfhost_telemetry::{CacheStatus, Phase};

use crate::access::tenant;
use crate::answer::Answer;
use crate::attempt::{Attempts, Outbound, reachable};
use crate::caching::{self, CachePolicy, Keeping};
use crate::failure::Failure;
use crate::headers;
use crate::ledger::Ledger;
use crate::planning;
use crate::protocol::openai;
use crate::receive::receive;
use crate::relay::Onward;
use crate::sharing::{self, Joined, Leading};
use crate::worker::Worker;

/// Answers one request to a model.
pub(crate) async fn serve(worker: &Rc<Worker>, operation: Operation, request: Request<Incoming>) -> Response<Answer> {
    // One view from beginning to end: a swap of strategies or settings half-way changes nothing for this request.
    let mut ledger = Ledger::open(worker, &worker.view(), operation);
    let answered = answer(&mut ledger, operation, request).await;
    // Errors of whatever phase become HTTP here and nowhere else.
    let response = answered.unwrap_or_else(|failure| {
        ledger.outcome = failure.outcome();
        tracing::debug!(%failure, "request failed");
        failure.into_response().map(Answer::whole)
    });
    seal(response, ledger)
}

async fn answer(
    ledger: &mut Ledger,
    operation: Operation,
    request: Request<Incoming>,
) -> Result<Response<Answer>, Failure> {
    let (worker, view) = (ledger.worker().clone(), ledger.view().clone());
    let services = worker.services();

    // accept: the whole body, because what is asked stands in it and a second attempt must be able to send it again.
    let (mut head, body) = request.into_parts();
    services.access.check_models(&head.headers)?;
    let body = receive(body, services.limits.body_bytes, services.limits.body_timeout).await?;
    ledger.mark(Phase::Accept);

    // identify: reads the few fields that matter; the bytes stay as they are.
    let mut asked = openai::identify(operation, &body, &tenant(&head.headers, head.uri.query()))?;
    asked.priority = headers::priority(&head.headers).unwrap_or(asked.priority);
    let model_index = view.fleet.model_index(&asked.model);
    ledger.identified(&asked.model, model_index, asked.is_streaming);
    let targets = view.fleet.targets_for(model_index);
    if targets.is_empty() {
        return Err(no_target(&view.fleet, &asked.model));
    }
    // An experiment decides whose settings and strategy the rest of the way belongs to.
    let view = ledger.join_experiment(&mut asked).clone();
    let settings = &view.settings;
    let deadline = tokio::time::Instant::from_std(ledger.started()) + settings.total_timeout;
    ledger.mark(Phase::Identify);

    // plan: before the cache and the queue, because the plan says what the cache may do and who goes first.
    let was_seen_before = services.cache.was_seen_before(&asked.key);
    let plan_request = planning::plan_request(&asked, model_index, was_seen_before);
    let plan = planning::plan(&view, &plan_request, targets, || ledger.mark(Phase::Plan));

    // cache: before admission, so that hits and shared answers take no place and never queue.
    let policy = CachePolicy::of(&head.headers, &plan, settings);
    let mut leader = None;
    if policy.may_read {
        ledger.cache = CacheStatus::Miss;
        if let Some((response, entry)) = caching::lookup(&services.cache, &asked) {
            ledger.cache = CacheStatus::Hit;
            ledger.provider = position(&view.fleet, &entry.provider);
            (ledger.prompt_tokens, ledger.output_tokens) = (entry.prompt_tokens, entry.output_tokens);
            ledger.saved = entry.took;
            ledger.mark(Phase::Cache);
            return Ok(response);
        }
        ledger.mark(Phase::Cache);
        match sharing::join(&services.flights, &asked, deadline).await {
            Joined::Leads(leads) => leader = Some(leads),
            Joined::TooLate => return Err(Failure::TotalTimeout { after: settings.total_timeout }),
            // The wait was for others that failed upstream.
            Joined::Alone => {
                ledger.mark(Phase::FirstByte);
            }
            Joined::Shared(response, provider) => {
                ledger.cache = CacheStatus::Shared;
                ledger.provider = position(&view.fleet, &provider);
                // The wait was for an answer's first byte, though another request asked for it.
                ledger.mark(Phase::FirstByte);
                return Ok(*response);
            }
        }
    }
    if policy.may_write {
        ledger.cache = CacheStatus::Miss;
    }
    ledger.mark(Phase::Cache);

    // admit: the limit on what is upstream at once; a full queue refuses here and now.
    let order = plan.order.iter().filter_map(|index| targets.get(*index as usize)).map(|target| target.provider);
    let order = reachable(&view, order)?;
    ledger.provider = order.first().copied();
    let permit = services.admission.acquire(settings, plan.priority, deadline).await?;
    ledger.mark(Phase::Admit);

    // connect, send, first byte: the plan's order, with retries and hedging, until one answer begins.
    headers::prepare_for_upstream(&mut head.headers, services.access.api_key.is_some());
    let target = head.uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    let attempts = Attempts {
        worker: worker.clone(),
        view: view.clone(),
        order,
        outbound: Outbound { method: head.method, target, headers: head.headers, body },
        planned_first_byte_timeout: milliseconds(plan.first_byte_timeout_ms),
        deadline,
        hedge_after: milliseconds(plan.hedge_after_ms).or(settings.hedge_after),
    };
    let is_kept = policy.may_write || leader.is_some();
    let keeping = is_kept.then(|| Keeping::new(&services.cache, &asked, policy, &plan, settings));
    let (model, sent_at) = ((model_index, asked.model), ledger.last_mark());
    let onward = Onward { worker: worker.clone(), model, operation, permit, keeping, sent_at, deadline };
    let begun = match leader {
        None => attempts.run().await.map(|answered| (answered, None, onward)),
        Some(leader) => {
            let leading = Leading::new(worker.clone(), view.clone(), Box::pin(attempts.run()), leader, onward);
            leading.await.map(|(answered, leader, onward)| (answered, Some(leader), onward))
        }
    };
    let (answered, leader, onward) = begun.map_err(|(provider, failure)| {
        ledger.provider = Some(provider);
        failure
    })?;
    ledger.provider = Some(answered.provider);
    ledger.mark_sent(answered.sent.connect_ns, answered.sent.send_ns);

    // stream, record: the answer's body does both as it passes; see `relay` and `answer`.
    let (head, relay) = onward.relay(&view, answered);
    ledger.note_series(relay.series());
    let leader = leader.filter(|_| relay.is_shareable());
    if let Some(leader) = &leader {
        leader.start(sharing::head_of(&head.headers, relay.provider_name()));
    }
    Ok(Response::from_parts(head, Answer::relayed(relay, leader)))
}

/// Adds what every answer to `/v1` says about itself, and hands the ledger to the body, which closes it.
fn seal(mut response: Response<Answer>, ledger: Ledger) -> Response<Answer> {
    let view = ledger.view().clone();
    let headers = response.headers_mut();
    headers.insert(headers::REQUEST_ID, ledger.request_id().clone());
    headers.insert(headers::STRATEGY, view.strategy.clone());
    if let Some(provider) = ledger.provider.and_then(|index| view.providers.get(index)) {
        headers.insert(headers::PROVIDER, provider.name.clone());
    }
    headers.insert(headers::CACHE, http::HeaderValue::from_static(ledger.cache.name()));
    headers.append(headers::SERVER_TIMING, headers::server_timing(ledger.phases_ns()));
    response.body_mut().carry(ledger);
    response
}

fn no_target(fleet: &perfhost_upstream::FleetView, model: &str) -> Failure {
    if fleet.providers.is_empty() {
        return Failure::NoProvider;
    }
    let known = fleet.names.models.iter().filter(|model| !model.is_empty()).cloned().collect();
    Failure::ModelNotFound { model: model.to_owned(), known }
}

fn position(fleet: &perfhost_upstream::FleetView, provider: &str) -> Option<usize> {
    fleet.providers.iter().position(|known| known.name() == provider)
}

/// 0 in a plan means: as the settings say.
fn milliseconds(number: u32) -> Option<Duration> {
    (number > 0).then(|| Duration::from_millis(u64::from(number)))
}
