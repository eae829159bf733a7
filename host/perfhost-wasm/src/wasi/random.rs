//! `wasi:random`: numbers that follow from the observation's seed, so that a decision can be replayed. Not for secrets;
//! a strategy has none.

use wasmtime::component::LinkerInstance;

use crate::failure::HostRefusal;
use crate::guest::Guest;

/// Bytes that one call may ask for.
const MAX_BYTES: u64 = 64 << 10;

/// The splitmix64 generator.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        if length > MAX_BYTES {
            return Err(HostRefusal::Misuse("asked for more than 64 KiB of random bytes at once").into());
        }
        let length = length as usize;
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(length);
        Ok(bytes)
    }
}

pub(super) fn is_answered(into: &mut LinkerInstance<'_, Guest>, interface: &str, name: &str) -> wasmtime::Result<bool> {
    match (interface, name) {
        ("wasi:random/random", "get-random-bytes") | ("wasi:random/insecure", "get-insecure-random-bytes") => into
            .func_wrap(name, |mut store: wasmtime::StoreContextMut<'_, Guest>, (length,): (u64,)| {
                Ok((store.data_mut().wasi.random.bytes(length)?,))
            })?,
        ("wasi:random/random", "get-random-u64") | ("wasi:random/insecure", "get-insecure-random-u64") => into
            .func_wrap(name, |mut store: wasmtime::StoreContextMut<'_, Guest>, (): ()| {
                Ok((store.data_mut().wasi.random.next(),))
            })?,
        ("wasi:random/insecure-seed", "insecure-seed") => {
            into.func_wrap(name, |mut store: wasmtime::StoreContextMut<'_, Guest>, (): ()| {
                let random = &mut store.data_mut().wasi.random;
                Ok(((random.next(), random.next()),))
            })?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_requests_are_bounded() {
        let bytes = |seed| Random::new(seed).bytes(20).unwrap();
        assert_eq!(bytes(1), bytes(1));
        assert_ne!(bytes(1), bytes(2));
        assert_eq!(bytes(1).len(), 20);
        assert!(Random::new(1).bytes(MAX_BYTES + 1).is_err());
    }
}
