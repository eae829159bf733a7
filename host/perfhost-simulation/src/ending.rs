//! What one request came to. The names are those that the real host records.

use crate::moment::Moment;
use crate::scenario::Objective;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Answered in full.
    Success,
    /// Turned away by admission.
    Rejected,
    /// The engine cannot take a prompt of that length with the context it has.
    ClientError,
    /// The provider failed or broke off.
    UpstreamError,
    /// A time limit passed.
    Timeout,
    /// The client went away before the end.
    Cancelled,
    /// No provider could take it.
    Unavailable,
}

impl Ending {
    /// How many there are.
    pub const COUNT: usize = 7;

    /// All of them, in the order of their numbers.
    pub const ALL: [Ending; Self::COUNT] = [
        Ending::Success,
        Ending::Rejected,
        Ending::ClientError,
        Ending::UpstreamError,
        Ending::Timeout,
        Ending::Cancelled,
        Ending::Unavailable,
    ];

    /// Its name in records.
    pub fn name(self) -> &'static str {
        match self {
            Ending::Success => "success",
            Ending::Rejected => "rejected",
            Ending::ClientError => "client_error",
            Ending::UpstreamError => "upstream_error",
            Ending::Timeout => "timeout",
            Ending::Cancelled => "cancelled",
            Ending::Unavailable => "unavailable",
        }
    }

    /// Whether it counts as an error of the service: the real host's `error_rate`.
    pub fn is_error(self) -> bool {
        matches!(self, Ending::UpstreamError | Ending::Timeout | Ending::Unavailable)
    }

    /// A success or an error: the real host's finished requests.
    pub fn is_finished(self) -> bool {
        self == Ending::Success || self.is_error()
    }
}

/// What the cache did for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheUse {
    /// It was not asked.
    Bypass,
    /// It did not have the answer.
    Miss,
    /// It did.
    Hit,
    /// An equal request under way did.
    Shared,
}

/// Everything that is known of a request once it is over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RequestEnd {
    /// Counts requests in the order of their arrival, from 0.
    pub number: u64,
    /// What the operator called the way it was served ([`crate::operator::Direction::arm`]).
    pub arm: u32,
    /// When it arrived.
    pub arrived: Moment,
    /// When it was over.
    pub ended: Moment,
    /// What it came to.
    pub ending: Ending,
    /// What the cache did.
    pub cache: CacheUse,
    /// A stream was wanted.
    pub is_streaming: bool,
    /// It ended before its end because the engine's context was full.
    pub is_cut_short: bool,
    /// Number of the provider that answered or was tried last, by the order of names.
    pub provider: Option<usize>,
    /// Number of the model in the fleet.
    pub model: usize,
    /// Milliseconds from arrival to the last token.
    pub response_ms: f64,
    /// Milliseconds from arrival to the first token of a stream.
    pub first_token_ms: Option<f64>,
    /// Milliseconds waited for admission.
    pub queue_ms: f64,
    /// Milliseconds from sending upstream to the last token.
    pub upstream_ms: f64,
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Tokens of the answer that reached the client.
    pub output_tokens: u32,
    /// Key of the session; 0 for none.
    pub session: u64,
}

impl RequestEnd {
    /// (response time − time to first token) / (tokens − 1), in milliseconds, for streams of two tokens and more.
    pub fn token_ms(&self) -> Option<f64> {
        let first_ms = self.first_token_ms.filter(|_| self.output_tokens >= 2)?;
        Some((self.response_ms - first_ms).max(0.0) / f64::from(self.output_tokens - 1))
    }

    /// Whether it was answered as well as the objective asks.
    pub fn is_good(&self, objective: &Objective) -> bool {
        let is_in_time = if self.is_streaming {
            let is_first_in_time = self.first_token_ms.is_some_and(|first_ms| first_ms <= objective.first_token_ms);
            is_first_in_time && self.token_ms().is_none_or(|token_ms| token_ms <= objective.token_ms)
        } else {
            self.response_ms <= objective.response_ms
        };
        self.ending == Ending::Success && !self.is_cut_short && is_in_time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_answer_succeeds_and_keeps_every_limit() {
        let end = RequestEnd {
            number: 0,
            arm: 0,
            arrived: Moment::START,
            ended: Moment::START,
            ending: Ending::Success,
            cache: CacheUse::Bypass,
            is_streaming: true,
            is_cut_short: false,
            provider: None,
            model: 0,
            response_ms: 2_000.0,
            first_token_ms: Some(1_000.0),
            queue_ms: 0.0,
            upstream_ms: 0.0,
            prompt_tokens: 1,
            output_tokens: 11,
            session: 0,
        };
        let objective = Objective { first_token_ms: 1_000.0, token_ms: 100.0, response_ms: 1_500.0 };
        assert!(end.is_good(&objective) && end.token_ms() == Some(100.0));
        assert!(!RequestEnd { ending: Ending::Timeout, ..end }.is_good(&objective));
        assert!(!RequestEnd { first_token_ms: Some(1_001.0), ..end }.is_good(&objective));
        assert!(!RequestEnd { response_ms: 2_001.0, ..end }.is_good(&objective));
        assert!(!RequestEnd { is_cut_short: true, ..end }.is_good(&objective));
        assert!(!RequestEnd { is_streaming: false, first_token_ms: None, ..end }.is_good(&objective));
    }
}
