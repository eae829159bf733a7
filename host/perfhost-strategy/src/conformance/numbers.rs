//! The seeded generator: splitmix64 (Steele, Lea and Flood 2014), which is enough to make inputs with.

/// Numbers that follow from a seed.
#[derive(Debug, Clone)]
pub(super) struct Numbers(u64);

impl Numbers {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A whole number from 0 to `most`.
    pub(super) fn up_to(&mut self, most: u64) -> u64 {
        if most == u64::MAX { self.next() } else { self.next() % (most + 1) }
    }

    /// A number from 0 to below 1.
    pub(super) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A positive number, each order of magnitude from `lowest` to `highest` as likely as any other.
    pub(super) fn magnitude(&mut self, lowest: f64, highest: f64) -> f64 {
        lowest * (highest / lowest).powf(self.share())
    }

    /// One in `count`.
    pub(super) fn is_one_in(&mut self, count: u64) -> bool {
        self.up_to(count.max(1) - 1) == 0
    }

    /// One of them.
    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.up_to(from.len() as u64 - 1) as usize]
    }

    /// Bytes.
    pub(super) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_and_ranges_hold() {
        let (mut one, mut other) = (Numbers::new(7), Numbers::new(7));
        assert!((0..100).all(|_| one.next() == other.next()));
        let mut seen = [false; 4];
        for _ in 0..200 {
            seen[one.up_to(3) as usize] = true;
            assert!((0.0..1.0).contains(&one.share()));
            assert!((1e-3..=1e6).contains(&one.magnitude(1e-3, 1e6)));
        }
        assert_eq!((seen, one.up_to(0), one.bytes(3).len()), ([true; 4], 0, 3));
    }
}
