//! A provider's answer on its way to the client: passed on frame by frame as it arrives, looked at, never changed.
//!
//! Dropping a [`Relay`] drops the provider's body, which cancels the request there at once.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use perfhost_cache::Form;
use perfhost_strategy::plan::Operation;
use perfhost_telemetry::{RequestOutcome, SeriesId};
use perfhost_upstream::{Provider, UpstreamBody, UpstreamError};
use tokio::time::Sleep;

use crate::admission::Permit;
use crate::attempt::Answered;
use crate::caching::Keeping;
use crate::protocol::openai::AnswerScanner;
use crate::worker::{View, Worker};

/// Everything about a request that its answer still needs once it begins.
pub(crate) struct Onward {
    pub(crate) worker: Rc<Worker>,
    /// Its index in the fleet and its name.
    pub(crate) model: (u32, String),
    pub(crate) operation: Operation,
    pub(crate) permit: Permit,
    pub(crate) keeping: Option<Keeping>,
    /// When it was sent upstream.
    pub(crate) sent_at: Instant,
    pub(crate) deadline: tokio::time::Instant,
}

/// An answer under way.
pub(crate) struct Relay {
    body: UpstreamBody,
    scanner: AnswerScanner,
    form: Form,
    meter: Meter,
    provider: Arc<Provider>,
    status: StatusCode,
    sent_at: Instant,
    deadline: tokio::time::Instant,
    /// Made when the provider first pauses: many answers come in one piece and need none.
    timer: Option<Pin<Box<Sleep>>>,
    first_token_at: Option<Instant>,
    keeping: Option<Keeping>,
    /// Given back with the answer's last byte.
    permit: Option<Permit>,
    end: Option<End>,
}

/// What an answer came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    pub(crate) outcome: RequestOutcome,
    /// The provider ended it properly.
    pub(crate) is_whole: bool,
    pub(crate) prompt_tokens: u32,
    pub(crate) output_tokens: u32,
}

/// Counts tokens as they pass, so that the rate of tokens is right while long answers run.
struct Meter {
    worker: Rc<Worker>,
    series: SeriesId,
    counted: u32,
}

impl Meter {
    fn count_up_to(&mut self, tokens: u32) {
        if let Some(new @ 1..) = tokens.checked_sub(self.counted) {
            self.worker.recorder().tokens(self.series, new);
            self.counted = tokens;
        }
    }
}

impl Onward {
    /// The head of the answer, and its body.
    pub(crate) fn relay(self, view: &View, answered: Answered) -> (http::response::Parts, Box<Relay>) {
        let (head, body) = answered.sent.response.into_parts();
        let is_whole = head.status == StatusCode::OK && !head.headers.contains_key(header::CONTENT_ENCODING);
        let form = form_of(&head.headers);
        let model = (self.model.0, self.model.1.as_str());
        let series = self.worker.series(view, Some(answered.provider), model, self.operation);
        let mut relay = Box::new(Relay {
            body,
            scanner: AnswerScanner::new(self.operation, form == Form::Stream),
            form,
            meter: Meter { series, counted: 0, worker: self.worker },
            provider: view.fleet.providers[answered.provider].clone(),
            status: head.status,
            sent_at: self.sent_at,
            deadline: self.deadline,
            timer: None,
            first_token_at: None,
            keeping: self.keeping.filter(|_| is_whole).map(|keeping| keeping.of(form, &head.headers)),
            permit: Some(self.permit),
            end: None,
        });
        if relay.body.is_end_stream() {
            relay.finish();
        }
        (head, relay)
    }
}

/// How an answer is sent, by its content type.
pub(crate) fn form_of(headers: &HeaderMap) -> Form {
    let content_type = headers.get(header::CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    match content_type.get(..17).is_some_and(|start| start.eq_ignore_ascii_case(b"text/event-stream")) {
        true => Form::Stream,
        false => Form::Body,
    }
}

impl Relay {
    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        if self.end.is_some() {
            return Poll::Ready(None);
        }
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(chunk) = frame.data_ref() {
                    self.look_at(chunk);
                }
                // A body of known length is not asked for its end, so it is looked for here.
                if self.body.is_end_stream() {
                    self.finish();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                self.fail(RequestOutcome::UpstreamError);
                Poll::Ready(Some(Err(error)))
            }
            Poll::Ready(None) => {
                self.finish();
                Poll::Ready(None)
            }
            Poll::Pending => {
                let deadline = self.deadline;
                let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
                std::task::ready!(timer.as_mut().poll(context));
                self.fail(RequestOutcome::Timeout);
                let provider = self.provider.shared_name();
                Poll::Ready(Some(Err(UpstreamError::Timeout {
                    provider,
                    phase: "stream",
                    after: self.sent_at.elapsed(),
                })))
            }
        }
    }

    /// Set once the last byte has passed or the answer has failed.
    pub(crate) fn end(&self) -> Option<End> {
        self.end
    }

    /// What has passed so far, for an answer that its client gives up.
    pub(crate) fn tokens_so_far(&self) -> (u32, u32) {
        let answer = self.scanner.finish();
        (answer.prompt_tokens, answer.output_tokens)
    }

    pub(crate) fn first_token_at(&self) -> Option<Instant> {
        self.first_token_at
    }

    pub(crate) fn provider_name(&self) -> Arc<str> {
        self.provider.shared_name()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    pub(crate) fn series(&self) -> SeriesId {
        self.meter.series
    }

    /// May be shared with equal requests.
    pub(crate) fn is_shareable(&self) -> bool {
        self.keeping.is_some()
    }

    fn look_at(&mut self, chunk: &Bytes) {
        self.scanner.feed(chunk);
        if self.first_token_at.is_none() && self.scanner.saw_first_token() {
            self.first_token_at = Some(Instant::now());
        }
        if self.form == Form::Stream {
            self.meter.count_up_to(self.scanner.finish().output_tokens);
        }
        if self.keeping.as_mut().is_some_and(|keeping| !keeping.push(chunk)) {
            self.keeping = None;
        }
    }

    fn finish(&mut self) {
        let answer = self.scanner.finish();
        let outcome = match self.status {
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                RequestOutcome::UpstreamError
            }
            status if status.is_client_error() => RequestOutcome::ClientError,
            _ if answer.is_error => RequestOutcome::UpstreamError,
            _ => RequestOutcome::Success,
        };
        let took = self.sent_at.elapsed();
        match outcome {
            RequestOutcome::Success => {
                let milliseconds = |duration: std::time::Duration| duration.as_secs_f32() * 1_000.0;
                let ttft_ms = self.first_token_at.map(|at| milliseconds(at.duration_since(self.sent_at)));
                self.provider.note_success(milliseconds(took), ttft_ms);
                if let Some(timings) = &answer.timings {
                    self.provider.note_generation(timings.predicted_per_second as f32);
                }
            }
            RequestOutcome::UpstreamError => self.provider.note_failure(),
            _ => {}
        }
        if let Some(keeping) = self.keeping.take()
            && outcome == RequestOutcome::Success
            && self.scanner.is_complete()
        {
            keeping.keep(&self.provider, &answer, took);
        }
        self.permit = None;
        self.meter.count_up_to(answer.output_tokens);
        let (prompt_tokens, output_tokens) = (answer.prompt_tokens, answer.output_tokens);
        self.end = Some(End { outcome, is_whole: true, prompt_tokens, output_tokens });
    }

    fn fail(&mut self, outcome: RequestOutcome) {
        let (prompt_tokens, output_tokens) = self.tokens_so_far();
        self.provider.note_failure();
        self.keeping = None;
        self.permit = None;
        self.end = Some(End { outcome, is_whole: false, prompt_tokens, output_tokens });
    }
}
