//! A request and a candidate to vary.

use crate::route::{Candidate, Operation, Request};

/// A streamed chat request without a limit that is not expected to give the same answer again.
pub fn request() -> Request {
    Request {
        operation: Operation::Chat,
        model: 0,
        streaming: true,
        deterministic: false,
        prompt_bytes: 400,
        max_tokens: 0,
        priority: 0,
        deadline_ms: 0,
        key: 7,
        session: 0,
        seen_before: false,
        extra: Vec::new(),
    }
}

/// An idle, healthy, loaded target of which nothing was measured.
pub fn candidate(target: u32) -> Candidate {
    Candidate {
        target,
        in_flight: 0,
        queued: 0,
        resident: true,
        latency_p50_ms: 0.0,
        ttft_p50_ms: 0.0,
        error_rate: 0.0,
        cost: 0.0,
        prefix_match: 0.0,
        weight: 1.0,
        extra: Vec::new(),
    }
}
