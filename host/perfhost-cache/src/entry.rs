//! One whole, successful answer, held in memory of its own.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

/// The largest answer that is kept: a larger one would push out thousands of ordinary ones.
pub const MAX_ENTRY_BYTES: usize = 8 << 20;

/// What an entry costs beyond its bytes: key, entry, reference counts and the store's own nodes, rounded up.
pub const ENTRY_OVERHEAD_BYTES: usize = 512;

/// Bytes in one chunk of a stored answer, so that a large one leaves in steps that flow control can stop.
const CHUNK_BYTES: usize = 64 << 10;

/// How an answer was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// One JSON document.
    Body,
    /// Server-sent events.
    Stream,
}

/// Where an answer came from and what it cost.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Provider that made it.
    pub provider: Arc<str>,
    /// Model as the request named it.
    pub model: Arc<str>,
    /// Tokens read; 0 when the provider did not say.
    pub prompt_tokens: u32,
    /// Tokens generated.
    pub output_tokens: u32,
    /// Time from sending the request to the answer's last byte.
    pub took: Duration,
    /// When it was complete, in milliseconds since 1970.
    pub stored_at_ms: u64,
}

/// A whole, successful answer. Only [`Entry::new`] makes one; the caller vouches that the answer's status was 200 and
/// that its protocol says it is complete.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Entry {
    /// How the answer was sent.
    pub form: Form,
    /// Value of the answer's `content-type`.
    pub content_type: Bytes,
    /// The answer's bytes, in order; boundaries carry no meaning.
    pub chunks: Vec<Bytes>,
    /// Tokens read; 0 when the provider did not say.
    pub prompt_tokens: u32,
    /// Tokens generated.
    pub output_tokens: u32,
    /// When it was complete, in milliseconds since 1970.
    pub stored_at_ms: u64,
    /// Provider that made it.
    pub provider: Arc<str>,
    /// Model as the request named it.
    pub model: Arc<str>,
    /// What making it took.
    pub took: Duration,
}

/// Why an answer is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Nothing to keep.
    #[error("cache entry: the answer is empty")]
    Empty,
    /// Over [`MAX_ENTRY_BYTES`].
    #[error("cache entry: the answer has {bytes} bytes; at most {MAX_ENTRY_BYTES} are kept")]
    TooLarge {
        /// Size of the answer.
        bytes: usize,
    },
    /// The content type says a stream and the form a body, or the other way round.
    #[error("cache entry: form {form:?} does not fit the answer's content type")]
    WrongForm {
        /// The form that was named.
        form: Form,
    },
}

impl Entry {
    /// Copies the answer into one allocation of its own. Chunks straight from a connection share the connection's much
    /// larger read buffers; kept as they are, they would hold many times the bytes that the cache counts.
    ///
    /// # Errors
    /// When the answer is empty, larger than [`MAX_ENTRY_BYTES`], or its content type contradicts `form`.
    pub fn new(form: Form, content_type: Bytes, chunks: &[Bytes], origin: Origin) -> Result<Self, EntryError> {
        let bytes = chunks.iter().map(Bytes::len).sum();
        if bytes == 0 {
            return Err(EntryError::Empty);
        }
        if bytes > MAX_ENTRY_BYTES {
            return Err(EntryError::TooLarge { bytes });
        }
        let is_event_stream = content_type.get(..17).is_some_and(|t| t.eq_ignore_ascii_case(b"text/event-stream"));
        if is_event_stream != (form == Form::Stream) {
            return Err(EntryError::WrongForm { form });
        }
        let mut whole = BytesMut::with_capacity(bytes);
        for chunk in chunks {
            whole.extend_from_slice(chunk);
        }
        let mut whole = whole.freeze();
        let mut pieces = Vec::with_capacity(bytes.div_ceil(CHUNK_BYTES));
        while whole.len() > CHUNK_BYTES {
            pieces.push(whole.split_to(CHUNK_BYTES));
        }
        pieces.push(whole);
        Ok(Self {
            form,
            content_type: Bytes::copy_from_slice(&content_type),
            chunks: pieces,
            prompt_tokens: origin.prompt_tokens,
            output_tokens: origin.output_tokens,
            stored_at_ms: origin.stored_at_ms,
            provider: origin.provider,
            model: origin.model,
            took: origin.took,
        })
    }

    /// Size of the answer.
    pub fn bytes(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum()
    }

    /// What the entry counts against the cache's capacity.
    pub fn weight(&self) -> u32 {
        let handles = self.chunks.len() * size_of::<Bytes>();
        u32::try_from(self.bytes() + self.content_type.len() + handles + ENTRY_OVERHEAD_BYTES).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(form: Form, content_type: &'static str, chunks: &[Bytes]) -> Result<Entry, EntryError> {
        let origin = Origin {
            provider: "local".into(),
            model: "m".into(),
            prompt_tokens: 1,
            output_tokens: 2,
            took: Duration::from_millis(3),
            stored_at_ms: 4,
        };
        Entry::new(form, Bytes::from_static(content_type.as_bytes()), chunks, origin)
    }

    #[test]
    fn the_answer_moves_into_memory_of_its_own_and_keeps_its_bytes() {
        let read_buffer = Bytes::from(vec![7_u8; CHUNK_BYTES + 100]);
        let kept = entry(Form::Body, "application/json", &[read_buffer.slice(..50), read_buffer.slice(50..)]).unwrap();
        assert!(read_buffer.is_unique(), "the entry holds on to the connection's buffer");
        assert_eq!(kept.chunks.iter().map(Bytes::len).collect::<Vec<_>>(), [CHUNK_BYTES, 100]);
        assert_eq!(kept.chunks.concat(), read_buffer);
    }

    #[test]
    fn what_cannot_be_an_answer_is_refused() {
        let chunk = [Bytes::from_static(b"{}")];
        assert_eq!(entry(Form::Body, "application/json", &[]).unwrap_err(), EntryError::Empty);
        assert_eq!(entry(Form::Body, "application/json", &[Bytes::new()]).unwrap_err(), EntryError::Empty);
        let large = [Bytes::from(vec![0; MAX_ENTRY_BYTES]), chunk[0].clone()];
        let bytes = MAX_ENTRY_BYTES + 2;
        assert_eq!(entry(Form::Body, "application/json", &large).unwrap_err(), EntryError::TooLarge { bytes });
        let wrong = entry(Form::Body, "Text/Event-Stream; charset=utf-8", &chunk).unwrap_err();
        assert_eq!(wrong, EntryError::WrongForm { form: Form::Body });
        assert!(entry(Form::Stream, "application/json", &chunk).is_err());
        assert!(entry(Form::Stream, "text/event-stream", &chunk).is_ok());
    }

    #[test]
    fn the_weight_covers_the_bytes_and_the_book_keeping() {
        let kept = entry(Form::Body, "application/json", &[Bytes::from_static(b"{}")]).unwrap();
        assert_eq!(kept.weight() as usize, 2 + 16 + size_of::<Bytes>() + ENTRY_OVERHEAD_BYTES);
    }
}
