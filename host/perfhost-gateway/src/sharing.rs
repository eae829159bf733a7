//! One answer for equal requests at the same time (single flight).
//!
//! The first of them leads: it goes upstream as any request does, and what passes to its client is also offered to the
//! others, which follow. When the leader's client goes away while others follow, its work is carried on without it; when
//! nobody is left, it is cancelled upstream.
//!
//! As long as the leader's client is there the answer comes at the pace at which that client reads it; one that stops reading
//! is cut off (see `connection`), and its work carried on.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::{Either, select};
use http::Response;
use perfhost_cache::{Aborted, Entry, Flights, Follower, Form, Head, Join, Key, Leader, Origin};
use tokio::time::timeout_at;

use crate::answer::Answer;
use crate::attempt::Answered;
use crate::caching;
use crate::failure::Failure;
use crate::protocol::openai::{AnswerScanner, Asked};
use crate::relay::{Onward, Relay};
use crate::worker::{View, Worker};

/// How often a request joins a flight. One whose leaders all fail then goes upstream by itself.
const JOINS: usize = 2;

/// What came of joining.
pub(crate) enum Joined {
    /// Make the answer, for the others too.
    Leads(Leader),
    /// The answer of an equal request, and the name of its provider.
    Shared(Box<Response<Answer>>, Arc<str>),
    /// Make the answer for this client only.
    Alone,
    /// The time for the whole request passed while it waited.
    TooLate,
}

/// The role of this request among equal ones. Waits while it may yet become a follower's.
pub(crate) async fn join(flights: &Arc<Flights>, asked: &Asked, deadline: tokio::time::Instant) -> Joined {
    let key = flight_key(asked);
    for _ in 0..JOINS {
        match flights.join(key) {
            Join::Leader(leader) => return Joined::Leads(leader),
            Join::Follower(follower) => match timeout_at(deadline, follow(follower, asked)).await {
                Ok(Ok((response, provider))) => return Joined::Shared(Box::new(response), provider),
                // Nothing has been sent to the client yet, so it may join again: the first one leads.
                Ok(Err(error)) => tracing::debug!(%error, "joining again"),
                Err(_) => return Joined::TooLate,
            },
        }
    }
    Joined::Alone
}

/// A stream whose client did not ask for the usage cannot be turned into any other form; it flies with its like.
fn flight_key(asked: &Asked) -> Key {
    let mut bytes = *asked.key.as_bytes();
    bytes[31] ^= u8::from(asked.is_streaming && !asked.wants_usage);
    Key::from_bytes(bytes)
}

async fn follow(mut follower: Follower, asked: &Asked) -> Result<(Response<Answer>, Arc<str>), Aborted> {
    let head = follower.head().await?;
    let provider = head.provider.clone();
    if head.form == caching::wanted_form(asked) {
        let followed = Followed::new(follower, asked, head.form);
        return Ok((caching::response(head.content_type, Answer::followed(followed)), provider));
    }
    let entry = whole(follower, head, asked).await?;
    let response = caching::replayed(asked, &entry).ok_or(Aborted::LeaderGone)?;
    Ok((response, provider))
}

/// Waits for the whole answer, to have it in another form.
async fn whole(mut follower: Follower, head: Head, asked: &Asked) -> Result<Entry, Aborted> {
    let mut chunks = Vec::new();
    let mut scanner = AnswerScanner::new(asked.operation, head.form == Form::Stream);
    while let Some(chunk) = follower.next().await? {
        scanner.feed(&chunk);
        chunks.push(chunk);
    }
    let answer = scanner.finish();
    let origin = Origin {
        provider: head.provider,
        model: asked.model.as_str().into(),
        prompt_tokens: answer.prompt_tokens,
        output_tokens: answer.output_tokens,
        took: Duration::ZERO,
        stored_at_ms: caching::now_ms(),
    };
    Entry::new(head.form, head.content_type, &chunks, origin).map_err(|_| Aborted::LeaderGone)
}

/// An answer that an equal request makes, on its way to one follower's client.
pub(crate) struct Followed {
    follower: Follower,
    scanner: AnswerScanner,
    first_token_at: Option<Instant>,
    is_over: bool,
}

impl Followed {
    fn new(follower: Follower, asked: &Asked, form: Form) -> Self {
        let scanner = AnswerScanner::new(asked.operation, form == Form::Stream);
        Self { follower, scanner, first_token_at: None, is_over: false }
    }

    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Aborted>> {
        let next = std::task::ready!(self.follower.poll_next(context))?;
        match &next {
            Some(chunk) => {
                self.scanner.feed(chunk);
                if self.first_token_at.is_none() && self.scanner.saw_first_token() {
                    self.first_token_at = Some(Instant::now());
                }
            }
            None => self.is_over = true,
        }
        Poll::Ready(Ok(next))
    }

    pub(crate) fn first_token_at(&self) -> Option<Instant> {
        self.first_token_at
    }

    /// Prompt and output tokens, once all has been passed on.
    pub(crate) fn tokens_at_end(&self) -> Option<(u32, u32)> {
        let answer = self.is_over.then(|| self.scanner.finish())?;
        Some((answer.prompt_tokens, answer.output_tokens))
    }
}

/// Sending upstream, still without an answer.
pub(crate) type Sending = Pin<Box<dyn Future<Output = Result<Answered, (usize, Failure)>>>>;

/// A leader's request until its answer begins. If it is dropped before, the sending goes on for the followers.
pub(crate) struct Leading {
    worker: Rc<Worker>,
    view: Rc<View>,
    parts: Option<(Sending, Leader, Onward)>,
}

impl Leading {
    pub(crate) fn new(worker: Rc<Worker>, view: Rc<View>, sending: Sending, leader: Leader, onward: Onward) -> Self {
        Self { worker, view, parts: Some((sending, leader, onward)) }
    }
}

impl Future for Leading {
    type Output = Result<(Answered, Leader, Onward), (usize, Failure)>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some((sending, _, _)) = &mut self.parts else { return Poll::Pending };
        let answered = std::task::ready!(sending.as_mut().poll(context));
        let Some((_, leader, onward)) = self.parts.take() else { return Poll::Pending };
        Poll::Ready(answered.map(|answered| (answered, leader, onward)))
    }
}

impl Drop for Leading {
    fn drop(&mut self) {
        let Some((sending, leader, onward)) = self.parts.take() else { return };
        leader.client_left();
        if !leader.is_wanted() {
            return;
        }
        let view = self.view.clone();
        self.worker.spawn(async move {
            let answered = match select(std::pin::pin!(leader.unwanted()), sending).await {
                Either::Right((Ok(answered), _)) => answered,
                // Without a leader that finishes, the followers ask for themselves.
                Either::Left(_) | Either::Right((Err(_), _)) => return,
            };
            let (head, relay) = onward.relay(&view, answered);
            if relay.is_shareable() {
                let provider = relay.provider_name();
                leader.start(head_of(&head.headers, provider));
                run_out(relay, leader).await;
            }
        });
    }
}

/// What followers are told of an answer that begins.
pub(crate) fn head_of(headers: &http::HeaderMap, provider: Arc<str>) -> Head {
    let content_type =
        headers.get(http::header::CONTENT_TYPE).map_or(Bytes::new(), |value| Bytes::copy_from_slice(value.as_bytes()));
    Head { form: crate::relay::form_of(headers), content_type, provider }
}

/// The leader's client went away in mid-answer.
pub(crate) fn carry_on(worker: &Worker, relay: Box<Relay>, leader: Leader) {
    leader.client_left();
    if leader.is_wanted() {
        worker.spawn(run_out(relay, leader));
    }
}

/// Takes the rest of an answer for the followers, until none is left.
async fn run_out(mut relay: Box<Relay>, leader: Leader) {
    {
        let mut unwanted = std::pin::pin!(leader.unwanted());
        loop {
            let next = std::future::poll_fn(|context| {
                if unwanted.as_mut().poll(context).is_ready() {
                    return Poll::Ready(None);
                }
                relay.poll_frame(context)
            });
            let Some(Ok(frame)) = next.await else { break };
            if let Ok(chunk) = frame.into_data() {
                leader.push(chunk);
            }
        }
    }
    if relay.end().is_some_and(|end| end.is_whole) {
        leader.finish();
    }
}
