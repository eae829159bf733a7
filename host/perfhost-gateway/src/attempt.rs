//! Sending a request upstream until one answer begins: the plan's order, retries, hedging and time limits.
//!
//! All of it happens before the first byte. Once an answer has begun it is the client's; nothing is sent again.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use perfhost_upstream::{Health, Sent, UpstreamError};
use tokio::time::{Instant, sleep, timeout_at};

use crate::failure::Failure;
use crate::worker::{View, Worker};

/// A request ready to be sent, to whichever provider.
#[derive(Clone)]
pub(crate) struct Outbound {
    pub(crate) method: Method,
    pub(crate) target: PathAndQuery,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Everything that says how a request is sent.
pub(crate) struct Attempts {
    pub(crate) worker: Rc<Worker>,
    pub(crate) view: Rc<View>,
    /// The fleet's provider indexes, best first; at least one.
    pub(crate) order: Vec<usize>,
    pub(crate) outbound: Outbound,
    /// The plan's, for attempts after which another provider would be tried: no plan ends a request.
    pub(crate) planned_first_byte_timeout: Option<Duration>,
    /// For all of them and the answer.
    pub(crate) deadline: Instant,
    pub(crate) hedge_after: Option<Duration>,
}

/// An answer that has begun, and whose.
pub(crate) struct Answered {
    /// Index into the fleet's providers.
    pub(crate) provider: usize,
    pub(crate) sent: Sent,
}

/// A plan's limit on the first byte is no shorter than the knob of that name may be.
const LEAST_FIRST_BYTE_TIMEOUT: Duration = Duration::from_millis(100);

/// A failed attempt.
struct Missed {
    provider: usize,
    cause: Cause,
}

enum Cause {
    Upstream(UpstreamError),
    /// The provider answered, with a status that another one may do better than.
    Status(Box<Answered>),
    FirstByteTimeout(Duration),
    TotalTimeout,
    /// There was no time left to send it.
    TooLate,
}

impl Attempts {
    /// The first answer that begins. The provider index of a failure is the one tried last.
    pub(crate) async fn run(self) -> Result<Answered, (usize, Failure)> {
        let retries = self.view.settings.retries as usize;
        // Places in the order that were sent to, counting on past its end when providers are tried again.
        let mut tried = 0;
        let mut attempts = 0;
        loop {
            let (outcome, used) = self.attempt(tried, attempts < retries).await;
            tried += used;
            attempts += 1;
            let has_other = tried < self.order.len();
            let missed = match outcome {
                Ok(answered) => return Ok(answered),
                Err(missed) => missed,
            };
            let may_retry = attempts <= retries
                && match &missed.cause {
                    Cause::Upstream(UpstreamError::Target { .. }) | Cause::TotalTimeout | Cause::TooLate => false,
                    Cause::Upstream(_) => true,
                    // It is slow or unwell: again would be no better, another may be.
                    Cause::Status(_) | Cause::FirstByteTimeout(_) => has_other,
                };
            // Another provider is tried at once; the same one again after a pause, if there is time for it.
            let again = tried.checked_sub(self.order.len());
            let pause = again.map(|again| self.view.settings.retry_backoff.saturating_mul(1 << again.min(16)));
            if !may_retry || pause.is_some_and(|pause| Instant::now() + pause >= self.deadline) {
                return self.give_up(missed);
            }
            self.note_failure(&missed);
            if let Some(pause) = pause {
                sleep(pause).await;
            }
        }
    }

    /// One attempt, hedged if the plan says so. Returns how many places of the order it used.
    async fn attempt(&self, place: usize, may_retry: bool) -> (Result<Answered, Missed>, usize) {
        let timeout = |place: usize| {
            let planned = self.planned_first_byte_timeout.filter(|_| may_retry && place + 1 < self.order.len());
            planned.map_or(self.view.settings.first_byte_timeout, |planned| planned.max(LEAST_FIRST_BYTE_TIMEOUT))
        };
        let hedge = self.hedge_after.filter(|_| place + 1 < self.order.len());
        let first = self.send(self.provider(place), timeout(place));
        let Some(hedge_after) = hedge else { return (first.await, 1) };
        let first = pin!(first);
        let first = match select(first, pin!(sleep(hedge_after))).await {
            Either::Left((outcome, _)) => return (outcome, 1),
            Either::Right(((), first)) => first,
        };
        let second = pin!(self.send(self.provider(place + 1), timeout(place + 1)));
        // The one that is dropped here is cancelled upstream.
        let outcome = match select(first, second).await {
            Either::Left((Ok(answered), _)) | Either::Right((Ok(answered), _)) => Ok(answered),
            Either::Left((Err(missed), second)) => second.await.map_err(|other| worse(missed, other)),
            Either::Right((Err(missed), first)) => first.await.map_err(|other| worse(missed, other)),
        };
        (outcome, 2)
    }

    async fn send(&self, index: usize, first_byte_timeout: Duration) -> Result<Answered, Missed> {
        let missed = |cause| Missed { provider: index, cause };
        let provider = &self.view.fleet.providers[index];
        let settings = &self.view.providers[index].settings;
        let now = Instant::now();
        if now >= self.deadline {
            return Err(missed(Cause::TooLate));
        }
        let first_byte_deadline = now + first_byte_timeout;
        let sending = self.worker.client().send(provider, settings, self.outbound.request());
        let sent = match timeout_at(first_byte_deadline.min(self.deadline), sending).await {
            Ok(Ok(sent)) => sent,
            Ok(Err(error)) => return Err(missed(Cause::Upstream(error))),
            Err(_) if first_byte_deadline < self.deadline => {
                return Err(missed(Cause::FirstByteTimeout(first_byte_timeout)));
            }
            Err(_) => return Err(missed(Cause::TotalTimeout)),
        };
        let is_unwell = matches!(sent.response.status(), StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE);
        let answered = Answered { provider: index, sent };
        match is_unwell && self.order.len() > 1 {
            true => Err(missed(Cause::Status(Box::new(answered)))),
            false => Ok(answered),
        }
    }

    fn give_up(&self, missed: Missed) -> Result<Answered, (usize, Failure)> {
        let provider = &self.view.fleet.providers[missed.provider];
        let failure = match missed.cause {
            // A provider's own error, when nobody does better, is passed on as it is.
            Cause::Status(answered) => return Ok(*answered),
            Cause::Upstream(_) if provider.is_managed() => {
                Failure::EngineRestarting { provider: provider.name().to_owned() }
            }
            Cause::Upstream(error) => Failure::Upstream(error),
            Cause::FirstByteTimeout(after) => Failure::FirstByteTimeout { provider: provider.name().to_owned(), after },
            Cause::TotalTimeout => self.total_timeout(),
            // Says nothing of the provider.
            Cause::TooLate => return Err((missed.provider, self.total_timeout())),
        };
        provider.note_failure();
        Err((missed.provider, failure))
    }

    fn note_failure(&self, missed: &Missed) {
        let provider = &self.view.fleet.providers[missed.provider];
        provider.note_failure();
        match &missed.cause {
            Cause::Upstream(error) => tracing::debug!(%error, "trying again"),
            Cause::Status(answered) => {
                tracing::debug!(provider = provider.name(), status = %answered.sent.response.status(), "trying another");
            }
            Cause::FirstByteTimeout(_) => tracing::debug!(provider = provider.name(), "too slow; trying another"),
            Cause::TotalTimeout | Cause::TooLate => {}
        }
    }

    fn total_timeout(&self) -> Failure {
        Failure::TotalTimeout { after: self.view.settings.total_timeout }
    }

    fn provider(&self, place: usize) -> usize {
        self.order[place % self.order.len()]
    }
}

impl Outbound {
    fn request(&self) -> Request<Bytes> {
        let mut request = Request::new(self.body.clone());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = Uri::from(self.target.clone());
        *request.headers_mut() = self.headers.clone();
        request
    }
}

/// Of two misses the one that says more to the client: an answer, if there is one.
fn worse(one: Missed, other: Missed) -> Missed {
    if matches!(one.cause, Cause::Status(_)) { one } else { other }
}

/// The order without what cannot answer now: managed engines that are down. `Err` names one when none is left.
pub(crate) fn reachable(view: &View, order: impl Iterator<Item = usize>) -> Result<Vec<usize>, Failure> {
    let mut starting = None;
    let left: Vec<usize> = order
        .filter(|index| {
            let provider = &view.fleet.providers[*index];
            let is_starting = provider.is_managed() && provider.health() == Health::Down;
            if is_starting {
                starting = Some(provider.name().to_owned());
            }
            !is_starting
        })
        .collect();
    match starting {
        Some(provider) if left.is_empty() => Err(Failure::EngineRestarting { provider }),
        _ => Ok(left),
    }
}
