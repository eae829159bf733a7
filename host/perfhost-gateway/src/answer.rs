//! The body of every response. It carries the request's ledger and closes it with the last byte, or when the client
//! goes away and hyper drops it.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::LocalBoxStream;
use http_body::{Body, Frame, SizeHint};
use perfhost_cache::Leader;
use perfhost_telemetry::{Phase, RequestOutcome};

use crate::connection::Busy;
use crate::ledger::Ledger;
use crate::relay::Relay;
use crate::sharing::{self, Followed};

/// A response's body.
pub(crate) struct Answer {
    content: Content,
    ledger: Option<Ledger>,
    busy: Option<Busy>,
}

enum Content {
    /// Everything has been handed over.
    Done,
    /// One piece, the gateway's own.
    Whole(Bytes),
    /// A kept answer.
    Pieces(std::vec::IntoIter<Bytes>),
    /// A provider's answer; with a leader, equal requests take part in it.
    Relayed { relay: Box<Relay>, leader: Option<Leader> },
    /// An answer that an equal request makes.
    Followed(Box<Followed>),
    /// Events as they come.
    Events(LocalBoxStream<'static, Bytes>),
    /// It broke off; what came before is being written to the client.
    Broken(Broken),
}

/// What ends a response before its end. The connection is cut, so that no client takes a part for the whole.
type Broken = Box<dyn std::error::Error + Send + Sync>;

impl Answer {
    pub(crate) fn whole(body: Bytes) -> Self {
        Self::of(if body.is_empty() { Content::Done } else { Content::Whole(body) })
    }

    pub(crate) fn pieces(pieces: Vec<Bytes>) -> Self {
        Self::of(Content::Pieces(pieces.into_iter()))
    }

    pub(crate) fn relayed(relay: Box<Relay>, leader: Option<Leader>) -> Self {
        Self::of(Content::Relayed { relay, leader })
    }

    pub(crate) fn followed(followed: Followed) -> Self {
        Self::of(Content::Followed(Box::new(followed)))
    }

    /// Events, until the stream of them ends.
    pub(crate) fn events(events: LocalBoxStream<'static, Bytes>) -> Self {
        Self::of(Content::Events(events))
    }

    fn of(content: Content) -> Self {
        Self { content, ledger: None, busy: None }
    }

    /// Gives it the account to close.
    pub(crate) fn carry(&mut self, ledger: Ledger) {
        self.ledger = Some(ledger);
        self.settle();
    }

    /// Keeps its connection from counting as idle.
    pub(crate) fn keep_busy(&mut self, busy: Busy) {
        if matches!(self.content, Content::Events(_)) {
            busy.only_watches();
        }
        self.busy = Some(busy);
    }

    /// Closes the account if everything has been handed over.
    fn settle(&mut self) {
        let is_over = match &mut self.content {
            Content::Done => true,
            Content::Whole(_) | Content::Events(_) | Content::Broken(_) => false,
            Content::Pieces(pieces) => pieces.as_slice().is_empty(),
            Content::Relayed { relay, leader } => match relay.end() {
                None => false,
                Some(end) => {
                    if let Some(leader) = leader.take()
                        && end.is_whole
                    {
                        // The answer was kept before this, so no equal request falls between flight and cache.
                        leader.finish();
                    }
                    if let Some(ledger) = &mut self.ledger {
                        ledger.outcome = end.outcome;
                        (ledger.prompt_tokens, ledger.output_tokens) = (end.prompt_tokens, end.output_tokens);
                    }
                    true
                }
            },
            Content::Followed(followed) => match followed.tokens_at_end() {
                None => false,
                Some(tokens) => {
                    if let Some(ledger) = &mut self.ledger {
                        (ledger.prompt_tokens, ledger.output_tokens) = tokens;
                    }
                    true
                }
            },
        };
        if is_over {
            self.close();
        }
    }

    fn close(&mut self) {
        self.content = Content::Done;
        if let Some(mut ledger) = self.ledger.take() {
            ledger.mark(Phase::Stream);
            let outcome = ledger.outcome;
            ledger.close(outcome);
        }
    }

    fn note_first_token(&mut self) {
        let Some(ledger) = self.ledger.as_mut().filter(|ledger| ledger.is_streaming() && !ledger.has_first_token())
        else {
            return;
        };
        let at = match &self.content {
            Content::Relayed { relay, .. } => relay.first_token_at(),
            Content::Followed(followed) => followed.first_token_at(),
            Content::Done | Content::Whole(_) | Content::Pieces(_) | Content::Events(_) | Content::Broken(_) => None,
        };
        if let Some(at) = at {
            ledger.note_first_token(at);
        }
    }

    /// hyper forgets what it has not yet written when a body fails. One round of pending lets it write that first.
    fn break_off(&mut self, broken: Broken, context: &Context<'_>) {
        self.close();
        self.content = Content::Broken(broken);
        context.waker().wake_by_ref();
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let answer = &mut *self;
        let frame = match &mut answer.content {
            Content::Done => return Poll::Ready(None),
            Content::Whole(body) => {
                let body = std::mem::take(body);
                answer.content = Content::Done;
                Some(Ok(Frame::data(body)))
            }
            Content::Pieces(pieces) => pieces.next().map(|piece| Ok(Frame::data(piece))),
            Content::Relayed { relay, leader } => {
                let frame = std::task::ready!(relay.poll_frame(context));
                if let (Some(leader), Some(Ok(frame))) = (leader, &frame)
                    && let Some(chunk) = frame.data_ref()
                {
                    leader.push(chunk.clone());
                }
                frame.map(|frame| frame.map_err(Broken::from))
            }
            Content::Followed(followed) => {
                let chunk = std::task::ready!(followed.poll_next(context));
                if let (Err(_), Some(ledger)) = (&chunk, &mut answer.ledger) {
                    ledger.outcome = RequestOutcome::UpstreamError;
                }
                chunk.map(|chunk| chunk.map(Frame::data)).map_err(Broken::from).transpose()
            }
            Content::Events(events) => {
                std::task::ready!(events.poll_next_unpin(context)).map(|event| Ok(Frame::data(event)))
            }
            Content::Broken(_) => {
                let Content::Broken(broken) = std::mem::replace(&mut answer.content, Content::Done) else {
                    return Poll::Ready(None);
                };
                return Poll::Ready(Some(Err(broken)));
            }
        };
        answer.note_first_token();
        answer.settle();
        match frame {
            Some(Err(broken)) => {
                answer.break_off(broken, context);
                Poll::Pending
            }
            frame => Poll::Ready(frame),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.content, Content::Done)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Done => SizeHint::with_exact(0),
            Content::Whole(body) => SizeHint::with_exact(body.len() as u64),
            Content::Pieces(pieces) => {
                SizeHint::with_exact(pieces.as_slice().iter().map(|piece| piece.len() as u64).sum())
            }
            Content::Relayed { relay, .. } => relay.size_hint(),
            Content::Followed(_) | Content::Events(_) | Content::Broken(_) => SizeHint::default(),
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let content = std::mem::replace(&mut self.content, Content::Done);
        let Content::Relayed { relay, leader } = content else { return };
        let Some(ledger) = &mut self.ledger else { return };
        // The client went away. Its tokens were generated all the same.
        (ledger.prompt_tokens, ledger.output_tokens) = relay.tokens_so_far();
        ledger.mark(Phase::Stream);
        if let Some(leader) = leader {
            sharing::carry_on(ledger.worker(), relay, leader);
        }
    }
}
