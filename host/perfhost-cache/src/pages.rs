//! Chunks of an answer in memory that is not a connection's.
//!
//! A chunk straight from a connection is a slice of a read buffer of 8 KiB and more, which it keeps alive whole: an answer
//! streamed in events of 250 bytes would hold thirty times the bytes that it counts.

use bytes::{Bytes, BytesMut};

/// Chunks from this size on are kept as they are: copying them would cost more than the rest of their buffer does.
const COPY_BELOW_BYTES: usize = 16 << 10;

/// Pages grow with the answer, from the first to the largest size.
const FIRST_PAGE_BYTES: usize = 4 << 10;
const LARGEST_PAGE_BYTES: usize = 64 << 10;

/// Copies the small chunks of one answer together, page by page.
#[derive(Debug, Default)]
pub struct Pages {
    page: BytesMut,
    copied: usize,
}

impl Pages {
    /// The same bytes, fit to be kept for long.
    pub fn keep(&mut self, chunk: Bytes) -> Bytes {
        if chunk.len() >= COPY_BELOW_BYTES {
            return chunk;
        }
        if self.page.capacity() < chunk.len() {
            let page = self.copied.clamp(FIRST_PAGE_BYTES, LARGEST_PAGE_BYTES);
            self.page = BytesMut::with_capacity(page.max(chunk.len()));
        }
        self.copied += chunk.len();
        self.page.extend_from_slice(&chunk);
        self.page.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_chunks_let_go_of_their_buffer_and_large_ones_stay() {
        let buffer = Bytes::from((0..=255).cycle().take(64 << 10).collect::<Vec<u8>>());
        let mut pages = Pages::default();
        let kept: Vec<Bytes> = (0..200).map(|at| pages.keep(buffer.slice(at * 300..(at + 1) * 300))).collect();
        assert_eq!(kept.concat(), buffer[..60_000]);
        assert!(buffer.is_unique());
        let large = pages.keep(buffer.slice(..COPY_BELOW_BYTES));
        assert_eq!(large.as_ptr(), buffer.as_ptr());
    }
}
