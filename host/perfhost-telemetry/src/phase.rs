//! The phases of a request, in order. Owns their names; measuring them is the gateway's business.

use serde::Serialize;

/// One phase of a request. The sum of all phases is the request's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(usize)]
pub enum Phase {
    /// Reading the request's head and body.
    Accept,
    /// Working out what is asked: operation, model, key.
    Identify,
    /// The strategy's plan for it.
    Plan,
    /// Looking it up in the cache.
    Cache,
    /// Waiting for admission.
    Admit,
    /// Getting a connection to the provider.
    Connect,
    /// Writing the request upstream.
    Send,
    /// Waiting for the first byte of the answer; for a request that shares another's answer, waiting for that one.
    FirstByte,
    /// Passing the answer on.
    Stream,
    /// Recording what happened.
    Record,
}

impl Phase {
    /// How many there are.
    pub const COUNT: usize = 10;

    /// All of them, in order.
    pub const ALL: [Phase; Self::COUNT] = [
        Phase::Accept,
        Phase::Identify,
        Phase::Plan,
        Phase::Cache,
        Phase::Admit,
        Phase::Connect,
        Phase::Send,
        Phase::FirstByte,
        Phase::Stream,
        Phase::Record,
    ];

    /// Its name in metrics, headers and documents.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Accept => "accept",
            Phase::Identify => "identify",
            Phase::Plan => "plan",
            Phase::Cache => "cache",
            Phase::Admit => "admit",
            Phase::Connect => "connect",
            Phase::Send => "send",
            Phase::FirstByte => "first_byte",
            Phase::Stream => "stream",
            Phase::Record => "record",
        }
    }

    /// Names under which history keeps each phase's mean time of successful requests, in milliseconds; by its number.
    pub const METRICS: [&'static str; Self::COUNT] = [
        "phase_accept_ms",
        "phase_identify_ms",
        "phase_plan_ms",
        "phase_cache_ms",
        "phase_admit_ms",
        "phase_connect_ms",
        "phase_send_ms",
        "phase_first_byte_ms",
        "phase_stream_ms",
        "phase_record_ms",
    ];

    /// Whether the time belongs to perfhost itself: neither waiting for admission nor the provider's.
    pub fn is_overhead(self) -> bool {
        !matches!(self, Phase::Admit | Phase::Connect | Phase::Send | Phase::FirstByte | Phase::Stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_numbered_in_their_order() {
        for (at, phase) in Phase::ALL.iter().enumerate() {
            assert_eq!(*phase as usize, at, "{}", phase.name());
            assert_eq!(Phase::METRICS[at], format!("phase_{}_ms", phase.name()));
        }
    }
}
