//! What makes two requests equal: a SHA-256 over named fields, in the order the caller feeds them.

use std::fmt;

use sha2::{Digest, Sha256};

/// The identity of a request. Two requests with equal keys may share one answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key([u8; 32]);

impl Key {
    /// The same question among those of a partition, such as an experiment's arm: answers of one are never another's.
    pub fn in_partition(self, partition: u64) -> Self {
        let mut bytes = self.0;
        for (byte, of) in bytes.iter_mut().zip(partition.to_le_bytes()) {
            *byte ^= of;
        }
        Self(bytes)
    }

    /// A key from the 32 bytes that [`Key::as_bytes`] gave.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The whole hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first eight bytes as a number, never 0: for hints and logs, where a rare clash does no harm.
    pub const fn short(&self) -> u64 {
        self.word(0) | (self.word(0) == 0) as u64
    }

    /// Eight of the key's bytes as a number; `at` counts words, 0 to 3.
    pub(crate) const fn word(&self, at: usize) -> u64 {
        let mut bytes = [0; 8];
        let mut index = 0;
        while index < 8 {
            bytes[index] = self.0[at * 8 + index];
            index += 1;
        }
        u64::from_be_bytes(bytes)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Key({self})")
    }
}

/// The first eight bytes in hexadecimal, enough to tell keys apart in a log.
impl fmt::Display for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:016x}", self.word(0))
    }
}

/// Builds a [`Key`] from fields.
///
/// Each field is hashed as name, length of the name, value, length of the value. The lengths follow what they measure, so
/// a value may be fed in pieces without being joined first; read from its end, the input splits in only one way, so no
/// two lists of fields hash the same input.
#[derive(Clone)]
pub struct KeyBuilder {
    hash: Sha256,
}

impl KeyBuilder {
    /// Starts a key for one use: keys of different domains never meet.
    pub fn new(domain: &str) -> Self {
        let mut builder = Self { hash: Sha256::new() };
        builder.field("domain", domain.as_bytes());
        builder
    }

    /// Adds one field.
    pub fn field(&mut self, name: &str, value: &[u8]) -> &mut Self {
        self.pieces(name, [value])
    }

    /// Adds one field whose value is the pieces joined.
    pub fn pieces<'a>(&mut self, name: &str, value: impl IntoIterator<Item = &'a [u8]>) -> &mut Self {
        self.hash.update(name.as_bytes());
        self.hash.update((name.len() as u64).to_le_bytes());
        let mut length = 0_u64;
        for piece in value {
            self.hash.update(piece);
            length += piece.len() as u64;
        }
        self.hash.update(length.to_le_bytes());
        self
    }

    /// The key of what was added.
    pub fn finish(self) -> Key {
        Key(self.hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(fields: &[(&str, &str)]) -> Key {
        let mut builder = KeyBuilder::new("test");
        for (name, value) in fields {
            builder.field(name, value.as_bytes());
        }
        builder.finish()
    }

    #[test]
    fn moving_a_byte_across_a_boundary_changes_the_key() {
        let keys = [
            key(&[("ab", "cd")]),
            key(&[("abc", "d")]),
            key(&[("a", "bcd")]),
            key(&[("ab", "c"), ("d", "")]),
            key(&[("ab", ""), ("", "cd")]),
            key(&[]),
        ];
        for (at, one) in keys.iter().enumerate() {
            assert!(!keys[at + 1..].contains(one), "{at}");
        }
    }

    #[test]
    fn pieces_count_as_their_join() {
        let mut builder = KeyBuilder::new("test");
        builder.pieces("ab", [&b"c"[..], b"", b"d"]);
        assert_eq!(builder.finish(), key(&[("ab", "cd")]));
    }

    #[test]
    fn domains_are_apart() {
        assert_ne!(KeyBuilder::new("a").finish(), KeyBuilder::new("b").finish());
    }

    #[test]
    fn a_short_key_is_never_zero() {
        assert_eq!(Key::from_bytes([0; 32]).short(), 1);
        assert_eq!(Key::from_bytes([0x11; 32]).short(), 0x1111_1111_1111_1111);
    }
}
