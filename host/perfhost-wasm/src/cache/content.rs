//! Hashing what a load has to read: plugins and compiled code, tens of MiB where a guest brings its interpreter along.
//!
//! It is most of the time of loading them, so it runs on all cores, and reading goes on beside it. Small ones are done
//! before other threads would have woken up.

use std::fs::File;
use std::io::{self, Read};

/// What is read at a time. Less is hashed on the calling thread.
const PIECE_BYTES: u64 = 1 << 20;

/// Adds what is in memory.
pub(super) fn add_bytes(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    if bytes.len() as u64 > PIECE_BYTES {
        hasher.update_rayon(bytes);
    } else {
        hasher.update(bytes);
    }
}

/// Adds the next `size` bytes of a file.
pub(super) fn add_file(hasher: &mut blake3::Hasher, file: &mut File, size: u64) -> io::Result<()> {
    let mut source = file.take(size);
    let (mut full, mut next) = (Vec::new(), Vec::new());
    let mut read = |piece: &mut Vec<u8>| {
        piece.clear();
        source.by_ref().take(PIECE_BYTES).read_to_end(piece)
    };
    read(&mut full)?;
    if size <= PIECE_BYTES {
        hasher.update(&full);
        return Ok(());
    }
    while !full.is_empty() {
        let (_, read) = rayon::join(|| hasher.update_rayon(&full).count(), || read(&mut next));
        read?;
        std::mem::swap(&mut full, &mut next);
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test says where")]
mod tests {
    use std::io::{Seek, Write};

    use super::*;

    #[test]
    fn pieces_come_to_the_same_as_the_whole_and_the_rest_of_the_file_is_left() {
        for size in [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES + 12_345] {
            let bytes: Vec<u8> = (0..size).map(|at| (at * 31 % 251) as u8).collect();
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            file.write_all(b"rest").unwrap();
            file.rewind().unwrap();
            let (mut of_file, mut of_bytes) = (blake3::Hasher::new(), blake3::Hasher::new());
            add_file(&mut of_file, &mut file, size).unwrap();
            add_bytes(&mut of_bytes, &bytes);
            assert_eq!((of_file.finalize(), of_bytes.finalize()), (blake3::hash(&bytes), blake3::hash(&bytes)));
            let mut rest = String::new();
            file.read_to_string(&mut rest).unwrap();
            assert_eq!(rest, "rest");
        }
    }
}
