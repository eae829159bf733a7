//! What a running engine says of its load, in Prometheus' text form.

use serde::Serialize;

/// One reading of an engine's `/metrics`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct EngineMetrics {
    /// Slots it has.
    pub slots: u32,
    /// Slots at work. llama.cpp counts a request as processing from the moment it has a slot.
    pub slots_busy: u32,
    /// Requests with a slot.
    pub requests_processing: u32,
    /// Requests that wait for a slot.
    pub requests_deferred: u32,
    /// Prompt tokens processed since the engine was first started, over all of its processes; without those found in
    /// the KV cache.
    pub prompt_tokens_total: u64,
    /// Tokens generated since then.
    pub tokens_predicted_total: u64,
    /// Prompt tokens a second while processing prompts; of the present process.
    pub prompt_tps: f64,
    /// Tokens a second and slot while generating; of the present process.
    pub predicted_tps: f64,
}

impl EngineMetrics {
    /// Reads the text. What is missing counts as 0.
    pub(super) fn parse(text: &str, slots: u32) -> Self {
        let value = |name: &str| {
            let found = text.lines().find_map(|line| {
                let (label, value) = line.strip_prefix("llamacpp:")?.split_once(' ')?;
                (label == name).then(|| value.trim().parse::<f64>().ok())?
            });
            found.filter(|value| value.is_finite() && *value >= 0.0).unwrap_or(0.0)
        };
        let requests_processing = value("requests_processing") as u32;
        Self {
            slots,
            slots_busy: requests_processing.min(slots),
            requests_processing,
            requests_deferred: value("requests_deferred") as u32,
            prompt_tokens_total: value("prompt_tokens_total") as u64,
            tokens_predicted_total: value("tokens_predicted_total") as u64,
            prompt_tps: value("prompt_tokens_seconds"),
            predicted_tps: value("predicted_tokens_seconds"),
        }
    }
}

/// Makes counters that start anew with each process rise without end.
#[derive(Debug, Default)]
pub(super) struct Counters {
    earlier: (u64, u64),
    latest: (u64, u64),
}

impl Counters {
    /// A new process counts from 0.
    pub(super) fn next_process(&mut self) {
        self.earlier = (self.earlier.0 + self.latest.0, self.earlier.1 + self.latest.1);
        self.latest = (0, 0);
    }

    /// Replaces a reading's totals of the process by those of the engine.
    pub(super) fn accumulate(&mut self, mut reading: EngineMetrics) -> EngineMetrics {
        self.latest = (reading.prompt_tokens_total, reading.tokens_predicted_total);
        reading.prompt_tokens_total += self.earlier.0;
        reading.tokens_predicted_total += self.earlier.1;
        reading
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP llamacpp:prompt_tokens_total Number of prompt tokens processed.\n\
        # TYPE llamacpp:prompt_tokens_total counter\nllamacpp:prompt_tokens_total 120\n\
        llamacpp:tokens_predicted_total 45\nllamacpp:prompt_tokens_seconds 677.5\n\
        llamacpp:predicted_tokens_seconds nan\nllamacpp:requests_processing 2\nllamacpp:requests_deferred 4\n";

    #[test]
    fn a_reading_is_parsed_and_nonsense_counts_as_nothing() {
        let metrics = EngineMetrics::parse(TEXT, 4);
        assert_eq!((metrics.slots, metrics.slots_busy, metrics.requests_deferred), (4, 2, 4));
        assert_eq!((metrics.prompt_tokens_total, metrics.tokens_predicted_total), (120, 45));
        assert_eq!((metrics.prompt_tps, metrics.predicted_tps), (677.5, 0.0));
        assert_eq!(EngineMetrics::parse("no metrics", 1), EngineMetrics { slots: 1, ..EngineMetrics::default() });
    }

    #[test]
    fn totals_go_on_over_a_change_of_process() {
        let mut counters = Counters::default();
        let total = |counters: &mut Counters| counters.accumulate(EngineMetrics::parse(TEXT, 1)).tokens_predicted_total;
        assert_eq!(total(&mut counters), 45);
        assert_eq!(total(&mut counters), 45);
        counters.next_process();
        assert_eq!(total(&mut counters), 90);
    }
}
