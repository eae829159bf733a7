//! Scans an event stream.

use memchr::memchr;

use super::figures::{EngineTimings, TIMINGS, USAGE, Usage, brings_tokens, last_object};
use crate::protocol::openai::events::{DONE, is_error, payload};

/// Bytes kept of a line that chunks cut; a longer line is judged by its beginning.
const MAX_LINE_BYTES: usize = 64 << 10;

/// What was seen of a stream so far.
#[derive(Debug, Default)]
pub(super) struct StreamScanner {
    /// The beginning of a line whose end has not come.
    partial: Vec<u8>,
    pub(super) token_events: u32,
    pub(super) usage: Option<Usage>,
    pub(super) timings: Option<EngineTimings>,
    pub(super) is_done: bool,
    pub(super) is_error: bool,
}

impl StreamScanner {
    pub(super) fn feed(&mut self, mut chunk: &[u8]) {
        while let Some(end) = memchr(b'\n', chunk) {
            let (line, rest) = (&chunk[..end], &chunk[end + 1..]);
            if self.partial.is_empty() {
                self.line(line);
            } else {
                self.keep(line);
                let mut whole = std::mem::take(&mut self.partial);
                self.line(&whole);
                whole.clear();
                self.partial = whole;
            }
            chunk = rest;
        }
        self.keep(chunk);
    }

    fn keep(&mut self, part: &[u8]) {
        let room = MAX_LINE_BYTES.saturating_sub(self.partial.len());
        self.partial.extend_from_slice(&part[..part.len().min(room)]);
    }

    fn line(&mut self, line: &[u8]) {
        let Some(event) = payload(line) else {
            // An old llama.cpp writes errors so.
            self.is_error |= line.starts_with(b"error:") || line.starts_with(b"event: error");
            return;
        };
        if event == DONE {
            self.is_done = true;
            return;
        }
        let is_token = brings_tokens(event);
        self.token_events += u32::from(is_token);
        if let Some(usage) = last_object(&USAGE, event) {
            self.usage = Some(usage);
        }
        if !is_token {
            // With `timings_per_token` every event has them; the last has no token.
            self.timings = last_object(&TIMINGS, event).or(self.timings);
            self.is_error |= is_error(event);
        }
    }
}
