//! Scans a body that is one JSON document, keeping its beginning and its end.

use serde::de::DeserializeOwned;
use serde::de::IgnoredAny;

use super::figures::{EngineTimings, Name, TIMINGS, USAGE, Usage, last_object};
use crate::protocol::openai::events::is_error;

/// Bytes kept of the beginning, for servers that put `usage` before a long list of embeddings.
const HEAD_BYTES: usize = 4 << 10;

/// Bytes kept of the end, where the figures are. Up to twice as many are held between two cuts.
const TAIL_BYTES: usize = 16 << 10;

/// What was seen of a body so far.
#[derive(Debug, Default)]
pub(super) struct BodyScanner {
    /// Empty while `tail` is still the whole body.
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl BodyScanner {
    pub(super) fn feed(&mut self, chunk: &[u8]) {
        if self.tail.len() + chunk.len() <= 2 * TAIL_BYTES {
            self.tail.extend_from_slice(chunk);
            return;
        }
        if self.head.is_empty() {
            self.head.extend(self.tail.iter().chain(chunk).take(HEAD_BYTES));
        }
        let kept = self.tail.len().min(TAIL_BYTES.saturating_sub(chunk.len()));
        self.tail.drain(..self.tail.len() - kept);
        self.tail.extend_from_slice(&chunk[chunk.len().saturating_sub(TAIL_BYTES)..]);
    }

    pub(super) fn has_begun(&self) -> bool {
        !self.tail.is_empty()
    }

    /// The document closes. A body that is still held whole is checked to be JSON throughout; a longer one begins and ends
    /// with a bracket, and HTTP's framing has to vouch for what is between.
    pub(super) fn is_closed(&self) -> bool {
        if self.head.is_empty() {
            return serde_json::from_slice::<IgnoredAny>(&self.tail).is_ok();
        }
        self.head.trim_ascii_start().starts_with(b"{") && self.tail.trim_ascii_end().ends_with(b"}")
    }

    pub(super) fn is_error(&self) -> bool {
        let start = if self.head.is_empty() { &self.tail } else { &self.head };
        is_error(start.trim_ascii_start())
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        self.object(&USAGE)
    }

    pub(super) fn timings(&self) -> Option<EngineTimings> {
        self.object(&TIMINGS)
    }

    fn object<T: DeserializeOwned>(&self, name: &'static Name) -> Option<T> {
        last_object(name, &self.tail).or_else(|| last_object(name, &self.head))
    }
}
