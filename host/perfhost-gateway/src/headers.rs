//! The headers that the gateway adds, and those that it keeps to itself.

use std::cell::Cell;

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use perfhost_telemetry::Phase;

use crate::experiment;

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-perfhost-request-id");
pub(crate) const STRATEGY: HeaderName = HeaderName::from_static("x-perfhost-strategy");
pub(crate) const PROVIDER: HeaderName = HeaderName::from_static("x-perfhost-provider");
/// In requests: `bypass` or `refresh`. In answers: what the cache did.
pub(crate) const CACHE: HeaderName = HeaderName::from_static("x-perfhost-cache");
/// In requests: -100 to 100, higher first in the queue.
pub(crate) const PRIORITY: HeaderName = HeaderName::from_static("x-perfhost-priority");
pub(crate) const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Removes from a request what is between the client and the gateway. The upstream client removes what is between two
/// neighbours on the way (`connection` and the like) by itself.
///
/// `accept-encoding` goes too: a compressed answer could be neither counted nor kept.
pub(crate) fn prepare_for_upstream(headers: &mut HeaderMap, is_key_ours: bool) {
    headers.remove(CACHE);
    headers.remove(PRIORITY);
    headers.remove(header::EXPECT);
    headers.remove(header::ACCEPT_ENCODING);
    if is_key_ours {
        headers.remove(header::AUTHORIZATION);
    }
}

/// The priority that the client asked for, -100 to 100; `None` when it asked for none or for nonsense.
pub(crate) fn priority(headers: &HeaderMap) -> Option<i32> {
    let asked = headers.get(PRIORITY).and_then(|value| value.to_str().ok()).and_then(|text| text.trim().parse().ok());
    asked.map(|priority: i32| priority.clamp(-100, 100))
}

/// `server-timing` from the phases that took any time: `plan;dur=0.004, …`, in milliseconds.
pub(crate) fn server_timing(phases_ns: &[u64; Phase::COUNT]) -> HeaderValue {
    let mut text = BytesMut::with_capacity(192);
    for phase in Phase::ALL {
        let microseconds = phases_ns[phase as usize].div_ceil(1_000);
        if microseconds == 0 {
            continue;
        }
        if !text.is_empty() {
            text.put_slice(b", ");
        }
        text.put_slice(phase.name().as_bytes());
        text.put_slice(b";dur=");
        put_thousandths(&mut text, microseconds);
    }
    HeaderValue::from_maybe_shared(text.freeze()).unwrap_or(HeaderValue::from_static(""))
}

/// Writes `number` / 1,000 with three decimals. By hand: formatting floats would cost more than the phases it shows.
fn put_thousandths(text: &mut BytesMut, number: u64) {
    let mut digits = [b'0'; 21];
    let mut at = digits.len();
    let mut rest = number;
    while rest > 0 || at > digits.len() - 5 {
        at -= 1;
        if at == digits.len() - 4 {
            digits[at] = b'.';
            continue;
        }
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    text.put_slice(&digits[at..]);
}

/// Makes request ids: 64 random bits per worker, changed by a counter, so that ids are unique without asking anyone.
pub(crate) struct RequestIds {
    random: u64,
    counter: Cell<u64>,
}

impl RequestIds {
    pub(crate) fn new() -> Self {
        Self { random: fastrand::u64(..), counter: Cell::new(0) }
    }

    /// The next one as its answer carries it, and as a number.
    pub(crate) fn next(&self) -> (HeaderValue, u64) {
        let number = self.counter.get();
        self.counter.set(number + 1);
        (self.header(number), experiment::number(self.random, number))
    }

    fn header(&self, number: u64) -> HeaderValue {
        let mut text = [0; 24];
        put_hexadecimal(&mut text[..16], self.random);
        put_hexadecimal(&mut text[16..], number);
        HeaderValue::from_maybe_shared(Bytes::copy_from_slice(&text)).unwrap_or(HeaderValue::from_static(""))
    }
}

/// The last digits of `number`, as many as `text` has room for.
fn put_hexadecimal(text: &mut [u8], number: u64) {
    let mut rest = number;
    for digit in text.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(rest & 15) as usize];
        rest >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousandths_have_three_decimals() {
        let text = |number| {
            let mut text = BytesMut::new();
            put_thousandths(&mut text, number);
            String::from_utf8(text.to_vec()).unwrap()
        };
        assert_eq!([text(0), text(4), text(1_234), text(98_765_432)], ["0.000", "0.004", "1.234", "98765.432"]);
    }

    #[test]
    fn server_timing_names_the_phases_that_took_time() {
        let mut phases_ns = [0; Phase::COUNT];
        phases_ns[Phase::Plan as usize] = 3_500;
        phases_ns[Phase::FirstByte as usize] = 12_000_000;
        assert_eq!(server_timing(&phases_ns), "plan;dur=0.004, first_byte;dur=12.000");
    }

    #[test]
    fn request_ids_differ_and_have_one_length() {
        let ids = RequestIds::new();
        let ((one, first), (other, second)) = (ids.next(), ids.next());
        assert_ne!(one, other);
        let number = |id: &HeaderValue| experiment::request_number(id.to_str().unwrap());
        assert_eq!((number(&one), number(&other)), (Some(first), Some(second)));
        assert_eq!((one.len(), one.as_bytes()[23], other.as_bytes()[23]), (24, b'0', b'1'));
    }

    #[test]
    fn priorities_are_bounded_and_nonsense_is_none() {
        let of = |text: &'static str| priority(&HeaderMap::from_iter([(PRIORITY, HeaderValue::from_static(text))]));
        assert_eq!([of("7"), of("-3"), of("5000"), of("-5000")], [Some(7), Some(-3), Some(100), Some(-100)]);
        assert_eq!((of("high"), priority(&HeaderMap::new())), (None, None));
    }
}
