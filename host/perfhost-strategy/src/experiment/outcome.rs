//! What one request came to, and whether that was good.
//!
//! Decided at the latest when its deadline passes. A timeout, a refusal, a client that hung up, an answer after the
//! deadline: each is a failure and is counted; none is dropped, so no arm gains by losing its slow requests.

use serde::{Deserialize, Serialize};

/// What an answer has to keep to. Limits that are not set do not matter.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slo {
    /// Longest time to the first token, milliseconds.
    pub ttft_ms: Option<f64>,
    /// Longest time per output token after the first, milliseconds.
    pub time_per_output_token_ms: Option<f64>,
    /// Longest response time, milliseconds.
    pub response_ms: Option<f64>,
    /// Whatever has not ended after this is a failure, milliseconds.
    pub deadline_ms: u64,
}

impl Default for Slo {
    /// First token within 2 s, 200 ms a token, deadline after a minute: MLPerf's limits for a chat on one server, the
    /// deadline ours.
    fn default() -> Self {
        Self { ttft_ms: Some(2_000.0), time_per_output_token_ms: Some(200.0), response_ms: None, deadline_ms: 60_000 }
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// Answered in full.
    Answered,
    /// The provider failed or broke off, or none could take it.
    Failed,
    /// A time limit passed, or the deadline.
    TimedOut,
    /// Turned away by admission.
    Rejected,
    /// The client went away before the end.
    ClientGone,
}

/// One request's end. Figures that are not finite or negative are taken as the worst.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// From arrival to the last byte, milliseconds.
    pub response_ms: f64,
    /// From arrival to the first token; `None` when nothing was streamed.
    pub ttft_ms: Option<f64>,
    /// Tokens of the answer; 0 when not known.
    pub output_tokens: u32,
    /// What it cost, in the host's unit: US dollars, or seconds of a processor.
    pub cost: f64,
    /// Quality from 0 to 1, when something judged it (a validator, a judge model).
    pub quality: Option<f64>,
}

impl Outcome {
    /// What a request came to that had not ended by its deadline.
    pub fn missed(slo: &Slo) -> Self {
        Self {
            ending: Ending::TimedOut,
            response_ms: slo.deadline_ms as f64,
            ttft_ms: None,
            output_tokens: 0,
            cost: 0.0,
            quality: None,
        }
    }

    /// Whether it was answered in full before the deadline.
    pub fn is_answered(&self, slo: &Slo) -> bool {
        self.ending == Ending::Answered && self.response_ms <= slo.deadline_ms as f64
    }

    /// Whether it was answered and kept to every limit: the goodput indicator.
    pub fn is_good(&self, slo: &Slo) -> bool {
        let is_within = |limit: Option<f64>, found: Option<f64>| match (limit, found) {
            (Some(limit), Some(found)) => found <= limit,
            _ => true,
        };
        self.is_answered(slo)
            && is_within(slo.response_ms, Some(self.response_ms))
            && is_within(slo.ttft_ms, Some(self.first_token_ms()))
            && is_within(slo.time_per_output_token_ms, self.time_per_output_token_ms())
    }

    /// Response time, milliseconds; that of a failure is the deadline.
    pub fn latency_ms(&self, slo: &Slo) -> f64 {
        let deadline_ms = slo.deadline_ms as f64;
        if self.is_answered(slo) && self.response_ms >= 0.0 { self.response_ms } else { deadline_ms }
    }

    /// Time to the first token, milliseconds; that of an answer in one piece is its response time.
    pub fn first_token_ms(&self) -> f64 {
        self.ttft_ms.unwrap_or(self.response_ms)
    }

    /// (response time − time to first token)/(tokens − 1), for streams of two tokens and more.
    pub fn time_per_output_token_ms(&self) -> Option<f64> {
        let first_ms = self.ttft_ms.filter(|_| self.output_tokens >= 2)?;
        Some((self.response_ms - first_ms) / f64::from(self.output_tokens - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Outcome = Outcome {
        ending: Ending::Answered,
        response_ms: 4_000.0,
        ttft_ms: Some(500.0),
        output_tokens: 36,
        cost: 0.0,
        quality: None,
    };

    #[test]
    fn every_limit_counts_and_failures_never_pass() {
        let slo = Slo { response_ms: Some(5_000.0), ..Slo::default() };
        assert!(GOOD.is_good(&slo));
        for bad in [
            Outcome { ttft_ms: Some(2_001.0), ..GOOD },
            Outcome { output_tokens: 18, ..GOOD },
            Outcome { response_ms: 5_001.0, ..GOOD },
            Outcome { response_ms: f64::NAN, ..GOOD },
            Outcome { ttft_ms: Some(f64::NAN), ..GOOD },
            Outcome { ending: Ending::ClientGone, ..GOOD },
            Outcome { ending: Ending::Rejected, response_ms: 1.0, ..GOOD },
            Outcome::missed(&slo),
        ] {
            assert!(!bad.is_good(&slo), "{bad:?}");
        }
    }

    #[test]
    fn a_failure_is_as_slow_as_its_deadline() {
        let slo = Slo::default();
        let refused = Outcome { ending: Ending::Rejected, response_ms: 1.0, ..GOOD };
        assert_eq!((GOOD.latency_ms(&slo), refused.latency_ms(&slo)), (4_000.0, 60_000.0));
        assert_eq!(Outcome { response_ms: 70_000.0, ..GOOD }.latency_ms(&slo), 60_000.0);
    }

    #[test]
    fn an_answer_in_one_piece_has_its_first_token_at_its_end() {
        let whole = Outcome { ttft_ms: None, response_ms: 1_999.0, ..GOOD };
        assert!(whole.is_good(&Slo::default()));
        assert!(!Outcome { response_ms: 2_001.0, ..whole }.is_good(&Slo::default()));
    }
}
