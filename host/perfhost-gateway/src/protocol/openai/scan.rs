//! Looks at an answer as its bytes pass: first token, token counts, wholeness, the engine's own timings.
//!
//! Nothing is parsed but the small objects of interest. They are found by their quoted names; inside a JSON string a
//! quote is always escaped, so generated text cannot look like one. In the usual case, where chunks end where events
//! do, a chunk costs a few searches and no allocation.

mod body;
mod figures;
mod stream;

use perfhost_strategy::plan::Operation;

use body::BodyScanner;
pub use figures::EngineTimings;
use figures::Usage;
use stream::StreamScanner;

/// What an answer held.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Answer {
    /// Tokens read; 0 when the provider did not say.
    pub prompt_tokens: u32,
    /// Tokens generated; when the provider did not say, the number of stream events that brought some.
    pub output_tokens: u32,
    /// The provider gave the counts: they are no estimates.
    pub has_usage: bool,
    /// The answer is, or has within it, an error.
    pub is_error: bool,
    /// What llama.cpp measured.
    pub timings: Option<EngineTimings>,
}

/// Scans one answer.
#[derive(Debug)]
pub struct AnswerScanner {
    operation: Operation,
    form: Scanner,
}

#[derive(Debug)]
enum Scanner {
    Body(BodyScanner),
    Stream(StreamScanner),
}

impl AnswerScanner {
    /// `is_streaming`: the answer is an event stream, as its content type says.
    pub fn new(operation: Operation, is_streaming: bool) -> Self {
        let form = match is_streaming {
            true => Scanner::Stream(StreamScanner::default()),
            false => Scanner::Body(BodyScanner::default()),
        };
        Self { operation, form }
    }

    /// Takes the next bytes of the answer, cut anywhere.
    pub fn feed(&mut self, chunk: &[u8]) {
        match &mut self.form {
            Scanner::Body(scanner) => scanner.feed(chunk),
            Scanner::Stream(scanner) => scanner.feed(chunk),
        }
    }

    /// A token has passed. The first event of a stream, which brings only a role, does not count; of a body, any byte
    /// does.
    pub fn saw_first_token(&self) -> bool {
        match &self.form {
            Scanner::Body(scanner) => scanner.has_begun(),
            Scanner::Stream(scanner) => scanner.token_events > 0,
        }
    }

    /// What was seen so far. Asked after the last byte, it is the whole answer.
    pub fn finish(&self) -> Answer {
        let (usage, timings, events, is_error) = match &self.form {
            Scanner::Body(scanner) => (scanner.usage(), scanner.timings(), 0, scanner.is_error()),
            Scanner::Stream(scanner) => (scanner.usage, scanner.timings, scanner.token_events, scanner.is_error),
        };
        let usage = usage.or(timings.map(Usage::from));
        let output_tokens = usage.map_or(events, |usage| usage.completion_tokens);
        Answer {
            prompt_tokens: usage.map_or(0, |usage| usage.prompt_tokens),
            output_tokens: if self.operation == Operation::Embedding { 0 } else { output_tokens },
            has_usage: usage.is_some(),
            is_error,
            timings,
        }
    }

    /// The protocol's own end was seen, and no error: `[DONE]` of a stream, the closing bracket of a body. Whether a body
    /// is cut short is also for HTTP's framing to say. Reads all of a body that is held whole.
    pub fn is_complete(&self) -> bool {
        match &self.form {
            Scanner::Body(scanner) => scanner.is_closed() && !scanner.is_error(),
            Scanner::Stream(scanner) => scanner.is_done && !scanner.is_error,
        }
    }
}

#[cfg(test)]
mod tests;
