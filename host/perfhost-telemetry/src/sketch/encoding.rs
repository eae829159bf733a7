//! The written form of a sketch, for windows in memory and blobs in the store.
//!
//! `version (1 byte) | count | zeros | sum, min, max (8 bytes each, little endian) | (key step, weight)*` where whole
//! numbers are LEB128 and a key step is the distance from the key before, zigzag for the first. An empty sketch is the
//! version and two zeros. Written by one version of perfhost and read by the next, so the form of a version is fixed.

use super::{DDSketch, MAX_BINS, MAX_VALUE, mapping};

/// The only version so far.
const VERSION: u8 = 1;

/// Why bytes are not a sketch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SketchError {
    /// The bytes end too early.
    #[error("sketch is cut short")]
    Truncated,
    /// Written by a newer perfhost, or not a sketch.
    #[error("sketch has version {0}, known is {VERSION}")]
    Version(u8),
    /// The numbers contradict each other.
    #[error("sketch is damaged: {0}")]
    Damaged(&'static str),
}

/// Exact totals; the bins follow.
#[derive(Default)]
struct Totals {
    count: u64,
    zeros: u64,
    sum: f64,
    min: f64,
    max: f64,
}

impl DDSketch {
    /// The written form; a few hundred bytes for typical windows.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(48 + self.filled().count() * 3);
        bytes.push(VERSION);
        put(&mut bytes, self.count);
        put(&mut bytes, self.zeros);
        if self.count > 0 {
            for number in [self.sum, self.min, self.max] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
        }
        let mut before = None;
        for (key, weight) in self.filled() {
            let step = match before {
                None => ((key << 1) ^ (key >> 31)) as u32,
                Some(before) => (key - before) as u32,
            };
            put(&mut bytes, u64::from(step));
            put(&mut bytes, weight);
            before = Some(key);
        }
        bytes
    }

    /// Reads the written form.
    pub fn decode(bytes: &[u8]) -> Result<Self, SketchError> {
        let mut sketch = Self::new();
        sketch.merge_encoded(bytes)?;
        Ok(sketch)
    }

    /// Adds all of a sketch in its written form. On an error nothing was added.
    pub fn merge_encoded(&mut self, bytes: &[u8]) -> Result<(), SketchError> {
        let totals = parse(bytes, |_, _| {})?;
        self.merge_totals(totals.count, totals.zeros, totals.sum, totals.min, totals.max);
        parse(bytes, |key, weight| self.add_to_bin(key, weight)).map(|_| ())
    }
}

/// Checks everything; `bin` is called for each bin in order.
fn parse(mut bytes: &[u8], mut bin: impl FnMut(i32, u64)) -> Result<Totals, SketchError> {
    match take(&mut bytes)? {
        [VERSION] => {}
        [other] => return Err(SketchError::Version(other)),
    }
    let mut totals = Totals { count: get(&mut bytes)?, zeros: get(&mut bytes)?, ..Totals::default() };
    if totals.count > 0 {
        totals.sum = f64::from_le_bytes(take(&mut bytes)?);
        totals.min = f64::from_le_bytes(take(&mut bytes)?);
        totals.max = f64::from_le_bytes(take(&mut bytes)?);
    }
    // Written so that a NaN fails too.
    let is_ordered = 0.0 <= totals.min && totals.min <= totals.max && totals.max <= MAX_VALUE;
    if !is_ordered || !totals.sum.is_finite() || totals.sum < 0.0 {
        return Err(SketchError::Damaged("sum, smallest and largest do not fit"));
    }
    let mut seen = totals.zeros;
    let mut before: Option<i64> = None;
    let mut bins = 0;
    while !bytes.is_empty() {
        let step = get(&mut bytes)?;
        let weight = get(&mut bytes)?;
        let step = i64::try_from(step).ok().filter(|step| *step <= i64::from(u32::MAX));
        let step = step.ok_or(SketchError::Damaged("a bin is out of range"))?;
        let key = match before {
            None => (step >> 1) ^ -(step & 1),
            Some(_) if step == 0 => return Err(SketchError::Damaged("bins are out of order")),
            Some(before) => before + step,
        };
        let small_key = i32::try_from(key).ok().filter(|key| mapping::KEYS.contains(key));
        let small_key = small_key.ok_or(SketchError::Damaged("a bin is out of range"))?;
        seen = seen.checked_add(weight).ok_or(SketchError::Damaged("bins hold too much"))?;
        bins += 1;
        if weight == 0 || bins > MAX_BINS {
            return Err(SketchError::Damaged("an empty bin or too many bins"));
        }
        bin(small_key, weight);
        before = Some(key);
    }
    if seen != totals.count {
        return Err(SketchError::Damaged("bins do not sum up to the count"));
    }
    Ok(totals)
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn get(bytes: &mut &[u8]) -> Result<u64, SketchError> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let [byte] = take(bytes)?;
        let part = u64::from(byte & 0x7f);
        if part << shift >> shift != part {
            break;
        }
        number |= part << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(SketchError::Damaged("a number is too large"))
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], SketchError> {
    let (head, rest) = bytes.split_first_chunk().ok_or(SketchError::Truncated)?;
    *bytes = rest;
    Ok(*head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled() -> DDSketch {
        let mut sketch = DDSketch::new();
        for value in [0.0, 0.001, 0.5, 1.0, 1.5, 20.0, 20.0, 3_600_000.0] {
            sketch.add(value);
        }
        sketch.add_weighted(7.0, 1 << 40);
        sketch
    }

    #[test]
    fn what_was_written_reads_back_equal() {
        let sketch = filled();
        let back = DDSketch::decode(&sketch.encode()).unwrap();
        assert_eq!(back.summary(), sketch.summary());
        assert_eq!(back.sum(), sketch.sum());
        assert_eq!(back.encode(), sketch.encode());
        assert_eq!(DDSketch::decode(&DDSketch::new().encode()).unwrap().count(), 0);
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_refused_or_still_adds_up() {
        let bytes = filled().encode();
        for length in 0..bytes.len() {
            assert!(DDSketch::decode(&bytes[..length]).is_err(), "cut to {length}");
        }
        for at in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[at / 8] ^= 1 << (at % 8);
            if let Ok(sketch) = DDSketch::decode(&damaged) {
                let binned: u64 = sketch.filled().map(|(_, weight)| weight).sum();
                assert_eq!(binned + sketch.zeros, sketch.count);
                assert!(sketch.sum.is_finite());
            }
        }
    }

    #[test]
    fn a_foreign_version_is_named() {
        let mut bytes = filled().encode();
        bytes[0] = 9;
        assert_eq!(DDSketch::decode(&bytes).unwrap_err(), SketchError::Version(9));
    }

    #[test]
    fn a_failed_merge_adds_nothing() {
        let mut sketch = filled();
        let before = sketch.encode();
        assert!(sketch.merge_encoded(&before[..before.len() - 1]).is_err());
        assert_eq!(sketch.encode(), before);
    }
}
